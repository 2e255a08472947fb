/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package lint

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/internal/validation/lint"
	"switchyard.dev/switchyard/test/testenv"
)

func eachItem(list client.ObjectList, do func(client.Object)) error {
	return meta.EachListItem(list, func(object runtime.Object) error {
		do(object.(client.Object))
		return nil
	})
}

// there is what the manifests are held against.
var there = []string{
	`{apiVersion: v1, kind: Namespace, metadata: {name: shop}}`,
	`{apiVersion: v1, kind: Namespace, metadata: {name: lax, labels: {rule.switchyard.dev/X1: warn, rule.switchyard.dev/X8: "off"}}}`,
	`{apiVersion: v1, kind: Namespace, metadata: {name: red, labels: {team: red}}}`,
	`{apiVersion: v1, kind: Service, metadata: {name: first, namespace: shop},
		spec: {selector: {app: first}, clusterIP: 10.0.0.30, externalIPs: [198.51.100.1], ports: [{port: 80}]}}`,
	`{apiVersion: v1, kind: Service, metadata: {name: twin, namespace: shop}, spec: {externalIPs: [198.51.100.1], ports: [{port: 80}]}}`,
	`{apiVersion: v1, kind: Service, metadata: {name: lb, namespace: shop}, spec: {type: LoadBalancer, loadBalancerClass: a/b,
		externalTrafficPolicy: Local, healthCheckNodePort: 30300, ports: [{port: 80, nodePort: 30301}]}}`,
	`{apiVersion: switchyard.dev/v1alpha1, kind: PortPool, metadata: {name: red}, spec: {ranges: ["30100-30199"], namespaceSelector: {matchLabels: {team: red}}}}`,
	`{apiVersion: switchyard.dev/v1alpha1, kind: PortReservation, metadata: {name: "30500"}, spec: {serviceRef: {namespace: shop, name: other}}}`,
	`{apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: red, labels: {app: web}}, spec: {containers: [{name: c, image: i}]},
		status: {phase: Running, podIP: 10.1.0.7, podIPs: [{ip: 10.1.0.7}]}}`,
}

func service(name, spec string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: shop}\nspec: {%s}\n", name, spec)
}

func slice(namespace, address string) string {
	return fmt.Sprintf("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, namespace: %s, labels: {kubernetes.io/service-name: by-hand}}\naddressType: IPv4\n"+
		"endpoints: [{addresses: [%s]}]\nports: [{port: 80}]\n", namespace, address)
}

// reported is what lint says of a text, in short.
func reported(t *testing.T, user testenv.Toolbox, args, text string) (lines []string, code int) {
	t.Helper()
	stdout, stderr, code := user.RunWith(t, "switchyard lint -f - --cluster -o json "+args, text)
	var report struct{ Findings []lint.Finding }
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	for _, f := range report.Findings {
		if f.Rule == "" && f.Severity == lint.Warning {
			continue // The server's own, such as those about external IPs.
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", f, f.Severity, f.Rule, f.Field)))
	}
	return lines, code
}

func TestLintInACluster(t *testing.T) {
	c := start(t)
	c.create(t, there...)
	reader := c.user(t, "reader", reading)
	before := c.versions(t)
	t.Run("rules", func(t *testing.T) { theRules(t, reader) })
	t.Run("updates", func(t *testing.T) { updates(t, c, reader) })
	t.Run("output", func(t *testing.T) { output(t, reader) })
	t.Run("no rights", func(t *testing.T) { withoutRights(t, c) })
	t.Run("one namespace", func(t *testing.T) { inOneNamespace(t, c) })
	if diff := cmp.Diff(before, c.versions(t)); diff != "" {
		t.Errorf("something was written (-before +after):\n%s", diff)
	}
}

func theRules(t *testing.T, reader testenv.Toolbox) {
	for name, tc := range map[string]struct {
		text, args string
		want       []string
		code       int
	}{
		"nothing wrong":                  {text: service("new", "ports: [{port: 80}]")},
		"X1 external IP":                 {text: service("new", "externalIPs: [198.51.100.1], ports: [{port: 80}]"), want: []string{"-:1 error X1 spec.externalIPs[0]"}, code: 1},
		"X1 only a warning":              {text: strings.Replace(service("new", "externalIPs: [198.51.100.1], ports: [{port: 80}]"), "shop", "lax", 1), want: []string{"-:1 warning X1 spec.externalIPs[0]"}},
		"X1 a strict warning":            {text: strings.Replace(service("new", "externalIPs: [198.51.100.1], ports: [{port: 80}]"), "shop", "lax", 1), args: "--strict", want: []string{"-:1 warning X1 spec.externalIPs[0]"}, code: 1},
		"X3 a ClusterIP":                 {text: service("new", "externalIPs: [10.0.0.30], ports: [{port: 80}]"), want: []string{"-:1 error X3 spec.externalIPs[0]"}, code: 1},
		"X7 a pool's port":               {text: service("new", "type: NodePort, ports: [{port: 80, nodePort: 30101}]"), want: []string{"-:1 error X7 spec.ports[0].nodePort"}, code: 1},
		"X7 a pool's own":                {text: strings.Replace(service("new", "type: NodePort, ports: [{port: 80, nodePort: 30101}]"), "shop", "red", 1)},
		"X7 a reserved port":             {text: service("new", "type: NodePort, ports: [{port: 80, nodePort: 30500}]"), want: []string{"-:1 error X7 spec.ports[0].nodePort"}, code: 1},
		"X8 a ClusterIP":                 {text: slice("shop", "10.0.0.30"), want: []string{"-:1 error X8 endpoints[0].addresses[0]"}, code: 1},
		"X8 switched off":                {text: slice("lax", "10.0.0.30")},
		"X9 a foreign pod":               {text: slice("shop", "10.1.0.7"), want: []string{"-:1 error X9 endpoints[0].addresses[0]"}, code: 1},
		"X9 a pod of its own":            {text: slice("red", "10.1.0.7")},
		"a NodePort that is taken":       {text: service("new", "type: NodePort, ports: [{port: 80, nodePort: 30301}]"), want: []string{"-:1 error  spec.ports[0].nodePort"}, code: 1},
		"a health check's that is taken": {text: service("new", "type: NodePort, ports: [{port: 81, nodePort: 30777, name: a}, {port: 80, nodePort: 30300, name: b}]"), want: []string{"-:1 error  spec.ports[1].nodePort"}, code: 1},
		"a ClusterIP that is taken":      {text: service("new", "clusterIP: 10.0.0.30, ports: [{port: 80}]"), want: []string{"-:1 error  spec.clusterIPs[0]"}, code: 1},
		"its own NodePort":               {text: service("lb", "type: LoadBalancer, loadBalancerClass: a/b, ports: [{port: 80, nodePort: 30301}]")},
		"X12 selector":                   {text: service("new", "selector: {app: first}, ports: [{port: 80}]"), want: []string{"-:1 warning X12 spec.selector"}},
		"X15 localhost":                  {text: service("new", "type: ExternalName, externalName: localhost"), want: []string{"-:1 error X15 spec.externalName"}, code: 1},
		"V19 no such family":             {text: service("new", "ipFamilies: [IPv6], ports: [{port: 80}]")},
		"V3 comes first":                 {text: service("new", "externalIPs: [198.51.100.1]"), want: []string{"-:1 error  spec.ports"}, code: 1},
		"the namespace of the flag":      {text: strings.Replace(service("new", "type: NodePort, ports: [{port: 80, nodePort: 30101}]"), ", namespace: shop", "", 1), args: "-n red"},
		"the context's namespace": {text: strings.Replace(service("new", "type: NodePort, ports: [{port: 80, nodePort: 30101}]"), ", namespace: shop", "", 1),
			want: []string{"-:1 error X7 spec.ports[0].nodePort"}, code: 1},
		"the second document's second item": {text: service("a", "ports: [{port: 80}]") + "---\n" +
			`{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod}, {apiVersion: v1, kind: Service, metadata: {name: b, namespace: shop}, spec: {externalIPs: [10.0.0.30], ports: [{port: 80}]}}]}`,
			want: []string{"-:2#2 error X3 spec.externalIPs[0]"}, code: 1},
		"a namespace that is not there": {text: strings.Replace(service("new", "externalIPs: [198.51.100.1], ports: [{port: 80}]"), "shop", "nowhere", 1),
			want: []string{"-:1 error X1 spec.externalIPs[0]"}, code: 1},
		"a generated name": {text: strings.Replace(service("new", "externalIPs: [198.51.100.1], ports: [{port: 80}]"), "name: new", "generateName: new-", 1),
			want: []string{"-:1 error X1 spec.externalIPs[0]"}, code: 1},
	} {
		t.Run(name, func(t *testing.T) {
			lines, code := reported(t, reader, tc.args, tc.text)
			if lines = slices.Compact(lines); code != tc.code || !slices.Equal(lines, tc.want) {
				t.Errorf("exit code %d, want %d; findings %q, want %q", code, tc.code, lines, tc.want)
			}
		})
	}
}

// output is what people and programs read.
func output(t *testing.T, reader testenv.Toolbox) {
	text := service("new", "externalIPs: [198.51.100.1], ports: [{port: 80}]")
	stdout, _, _ := reader.RunWith(t, "switchyard lint -f - --cluster", text)
	for _, want := range []string{"-:1", "Service shop/new", "error", "spec.externalIPs[0]", "Service shop/first already serves port 80/TCP", "(rule X1)", "1 object in 1 file checked: "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	asJSON, _, _ := reader.RunWith(t, "switchyard lint -f - --cluster -o json", text)
	asYAML, _, _ := reader.RunWith(t, "switchyard lint -f - --cluster -o yaml", text)
	var fromJSON, fromYAML any
	if err := json.Unmarshal([]byte(asJSON), &fromJSON); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(asYAML), &fromYAML); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fromJSON, fromYAML); diff != "" {
		t.Errorf("JSON and YAML differ (-json +yaml):\n%s", diff)
	}
	if stdout, _, code := reader.RunWith(t, "kubectl switchyard lint -f - --cluster", text); code != 1 || !strings.Contains(stdout, "(rule X1)") {
		t.Errorf("kubectl's plugin: exit code %d\n%s", code, stdout)
	}
}

// withoutRights names what is missing, at once.
func withoutRights(t *testing.T, c *cluster) {
	port := service("new", "type: NodePort, ports: [{port: 80, nodePort: 30101}]")
	const remedy = "ask for a role with the rights"
	for name, tc := range map[string]struct {
		lacks string
		text  string
		want  []string
		code  int
	}{
		"no-cidrs":        {lacks: "servicecidrs", text: port, want: []string{"you may not list ServiceCIDRs of all namespaces, so the rules X1 and on were not asked: ", remedy}, code: 2},
		"no-pools":        {lacks: "portpools", text: port, want: []string{"you may not list PortPools of all namespaces, so the rules X1 and on were not asked: ", remedy}, code: 2},
		"no-reservations": {lacks: "portreservations", text: port, want: []string{"you may not read portreservations, so not all rules (X1 and on) were asked: ", remedy}, code: 2},
		"no-labels":       {lacks: "namespaces", text: port, want: []string{"you may not read namespaces, so not all rules (X1 and on) were asked: ", remedy}, code: 2},
		"no-severities":   {lacks: "namespaces", text: slice("lax", "10.0.0.30"), want: []string{"took the default severities in namespace lax"}, code: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var rights []rbacv1.PolicyRule
			for _, rule := range reading {
				rule.Resources = slices.DeleteFunc(slices.Clone(rule.Resources), func(resource string) bool { return resource == tc.lacks })
				if len(rule.Resources) > 0 {
					rights = append(rights, rule)
				}
			}
			_, stderr, code := c.user(t, name, rights).RunWith(t, "switchyard lint -f - --cluster", tc.text)
			for _, want := range tc.want {
				if code != tc.code || !strings.Contains(stderr, want) {
					t.Errorf("exit code %d, want %d; no %q in\n%s", code, tc.code, want, stderr)
				}
			}
		})
	}
}

// inOneNamespace is a user with rights in one namespace, who is told what a server
// says, what clashes there, and in one line that the rules were not asked.
func inOneNamespace(t *testing.T, c *cluster) {
	tenant := c.tenant(t, "tenant", "shop")
	for name, tc := range map[string]struct {
		text string
		want []string
		code int
	}{
		"nothing wrong":             {text: service("new", "ports: [{port: 80}]"), code: 2},
		"what may not change":       {text: service("first", "selector: {app: first}, clusterIP: 10.0.0.31, ports: [{port: 80}]"), want: []string{"-:1 error  spec.clusterIPs[0]"}, code: 1},
		"a NodePort of its own":     {text: service("new", "type: NodePort, ports: [{port: 80, nodePort: 30301}]"), want: []string{"-:1 error  spec.ports[0].nodePort"}, code: 1},
		"what only the rules know":  {text: service("new", "externalIPs: [198.51.100.1], ports: [{port: 80}]"), code: 2},
		"the namespace of the flag": {text: strings.Replace(service("lb", "type: LoadBalancer, loadBalancerClass: a/c, ports: [{port: 80}]"), ", namespace: shop", "", 1), want: []string{"-:1 error  spec.loadBalancerClass"}, code: 1},
	} {
		t.Run(name, func(t *testing.T) {
			lines, code := reported(t, tenant, "-n shop", tc.text)
			if lines = slices.Compact(lines); code != tc.code || !slices.Equal(lines, tc.want) {
				t.Errorf("exit code %d, want %d; findings %q, want %q", code, tc.code, lines, tc.want)
			}
		})
	}
	stdout, stderr, _ := tenant.RunWith(t, "switchyard lint -f - --cluster -n shop", service("new", "ports: [{port: 80}]"))
	if !strings.Contains(stdout, "1 object in 1 file checked: 0 errors") || strings.Count(stderr, "\n") != 1 ||
		!strings.Contains(stderr, "you may not list AddressPools, Nodes, Pods, PortPools, ServiceCIDRs, Services of all namespaces, so the rules X1 and on were not asked: ask for a role with the rights") {
		t.Errorf("it says\n%s%s", stdout, stderr)
	}
}

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

package render

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

func read(t *testing.T, manifests string) *Decoder {
	t.Helper()
	d := NewDecoder()
	if err := d.Read("test.yaml", strings.NewReader(manifests)); err != nil {
		t.Fatal(err)
	}
	return d
}

const service = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.96.0.10
  clusterIPs: [10.96.0.10]
  ports: [{port: 80, nodePort: 30080}]
`

const slice = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: "", port: 8080}]
endpoints: [{addresses: [10.0.0.2]}, {addresses: [10.0.0.1]}]
`

func TestManifestsOfEveryShapeAreRead(t *testing.T) {
	indented := strings.ReplaceAll(strings.TrimSpace(service), "\n", "\n  ")
	for name, tc := range map[string]struct {
		manifests          string
		services, slices   int
		warnings, complain []string
	}{
		"several documents":           {manifests: service + "---\n# nothing here\n---" + slice, services: 1, slices: 1},
		"nothing at all":              {},
		"JSON":                        {manifests: `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}`, services: 1},
		"a list as kubectl prints it": {manifests: "apiVersion: v1\nkind: List\nitems:\n- " + indented, services: 1},
		"a typed list":                {manifests: "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: a}\n- metadata: {name: b}", services: 2},
		"other kinds": {
			manifests: "apiVersion: apps/v1\nkind: Deployment\n---\napiVersion: v1\nkind: Pod\n---" + service, services: 1,
			warnings: []string{
				"test.yaml, document 1: Deployment of apps/v1 has no part in the table and is not read",
				"test.yaml, document 2: Pod has no part in the table and is not read",
			}},
		"a field that does not exist": {
			manifests: service + "  clusterIp: 10.0.0.1\n", services: 1,
			warnings: []string{`test.yaml, document 1: strict decoding error: unknown field "spec.clusterIp"`}},
		"no kind, and still the next is read": {
			manifests: "metadata: {name: x}\n---" + service, services: 1,
			complain: []string{`test.yaml, document 1: it needs an apiVersion and a kind, as in "apiVersion: v1" and "kind: Service"`}},
		"a wrong type": {
			manifests: service + "---\napiVersion: v1\nkind: Service\nspec: {ports: 80}", services: 1,
			complain: []string{"test.yaml, document 2: json: cannot unmarshal number into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort"}},
		"not YAML": {manifests: "a: [", complain: []string{"test.yaml, document 1: yaml: line 1: did not find expected node content"}},
		"a bad item of a list": {manifests: "apiVersion: v1\nkind: List\nitems:\n- {kind: Service}\n- " + indented, services: 1,
			complain: []string{`test.yaml, document 1, items[0]: it needs an apiVersion and a kind, as in "apiVersion: v1" and "kind: Service"`}},
	} {
		t.Run(name, func(t *testing.T) {
			d := NewDecoder()
			var complaints []string
			if err := d.Read("test.yaml", strings.NewReader(tc.manifests)); err != nil {
				complaints = strings.Split(err.Error(), "\n")
			}
			if diff := cmp.Diff(tc.complain, complaints); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.warnings, d.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if len(d.Objects.Services) != tc.services || len(d.Objects.EndpointSlices) != tc.slices {
				t.Errorf("%d Services, %d slices", len(d.Objects.Services), len(d.Objects.EndpointSlices))
			}
			for _, svc := range d.Objects.Services {
				if svc.Namespace != "default" {
					t.Errorf("%s is in namespace %q", svc.Name, svc.Namespace)
				}
			}
		})
	}
}

func input(objects Objects) Input {
	return Input{
		Objects: objects, Place: policy.Place{NodeName: "node-1"},
		Nodes: []policy.Node{
			{Family: model.IPv4, NodePortAddrs: []netip.Addr{netip.MustParseAddr("172.30.0.11")}, ServiceCIDRs: objects.CIDRs()},
			{Family: model.IPv6},
		},
	}
}

func TestTheTableOfAFewObjects(t *testing.T) {
	d := read(t, service+"---"+slice+"---\napiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: kubernetes}\nspec: {cidrs: [10.96.0.0/16]}")
	text, problems := Text(input(d.Objects))
	if len(problems) != 0 {
		t.Errorf("problems: %v", problems)
	}
	for _, part := range []string{
		"table ip switchyard {", "table ip6 switchyard {", "10.96.0.10 . tcp . 80 : ", "tcp . 30080 : ",
		"10.0.0.1 . 8080", "10.0.0.2 . 8080", "172.30.0.11",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("the text has no %q", part)
		}
	}
	if again, _ := Text(input(d.Objects)); again != text {
		t.Error("the same objects make another text")
	}
}

func TestAffinityBringsItsChain(t *testing.T) {
	d := read(t, strings.Replace(service, "spec:\n", "spec:\n  sessionAffinity: ClientIP\n", 1)+"---"+slice)
	text, _ := Text(input(d.Objects))
	chain := regexp.MustCompile(`(?m)^\tchain (\S*10800\S*) \{$`).FindStringSubmatch(text)
	if chain == nil || !strings.Contains(text, ": goto "+chain[1]) {
		t.Errorf("no chain for three hours, or nothing leads to it: %q", chain)
	}
}

func TestOfTwoObjectsOfANameTheLastCounts(t *testing.T) {
	const node = "apiVersion: v1\nkind: Node\nmetadata: {name: node-1, labels: {at: %s}}\n---\n"
	const ranges = "apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: kubernetes}\nspec: {cidrs: [%s]}\n---\n"
	const fresh = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n---"
	objects := read(t, fmt.Sprintf(node+node+ranges+ranges, "first", "second", "nonsense", "10.96.0.0/16")+fresh+service).Objects
	if got := objects.Node("node-1"); got == nil || got.Labels["at"] != "second" {
		t.Errorf("found %v", got)
	}
	if got := objects.Node("node-2"); got != nil {
		t.Errorf("found %v", got)
	}
	if text, problems := Text(input(objects)); len(problems) != 0 || !strings.Contains(text, "10.96.0.10 . tcp . 80") {
		t.Errorf("problems of what was replaced: %v", problems)
	}
}

func TestAProxyRendersItsOwnServices(t *testing.T) {
	d := read(t, service+"---"+slice)
	d.Objects.Services[0].Labels = map[string]string{model.LabelServiceProxyName: "mine"}
	for proxy, want := range map[string]bool{"": false, "mine": true} {
		in := input(d.Objects)
		in.Options.ProxyName = proxy
		if text, _ := Text(in); strings.Contains(text, "10.96.0.10") != want {
			t.Errorf("proxy %q renders the Service: %v", proxy, !want)
		}
	}
}

func TestServiceCIDRsAreReadAsWritten(t *testing.T) {
	d := read(t, `
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: odd}
spec: {cidrs: [10.96.1.2/16, "::ffff:10.97.0.0/112"]}
---
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: example.org}`)
	text, problems := Text(input(d.Objects))
	if len(problems) != 0 || !strings.Contains(text, "10.96.0.0/16") || !strings.Contains(text, "10.97.0.0/16") {
		t.Errorf("problems %v, text:\n%s", problems, text)
	}
}

func TestWhatIsNotRenderedIsNamed(t *testing.T) {
	d := read(t, `
apiVersion: v1
kind: Service
metadata: {name: fresh}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: bad}
spec: {clusterIP: 10.96.0.11, externalIPs: [x], ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: odd}
spec: {cidrs: [10.96.0.0/16, nonsense]}
---`+slice)
	eps := d.Objects.EndpointSlices[0]
	eps.Labels[discoveryv1.LabelServiceName], eps.Endpoints[0].Addresses[0] = "bad", "10.96.0.77"
	_, problems := Text(input(d.Objects))
	var got []string
	for _, problem := range problems {
		got = append(got, problem.String())
	}
	want := []string{
		`ServiceCIDR odd: spec.cidrs[1]: "nonsense" is not a CIDR; correct it, as in 10.96.0.0/16`,
		"Service default/fresh: spec.clusterIP: it has none, so nothing leads to it; set one, or read the Service back from an API server, which allocates one",
		"EndpointSlice default/web-1: endpoints: 10.96.0.77 is in the cluster's service CIDR 10.96.0.0/16: " +
			"a Service can not be the endpoint of another; list the endpoints of that Service in its place",
		`Service default/bad: spec.externalIPs[0]: "x" is not an IP address; remove it or correct it`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

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

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/internal/validation/lint"
)

const (
	goodService = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {ports: [{port: 80}]}\n"
	badService  = "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {ports: [{port: 0, targetPort: 1}]}\n"
	warnService = "apiVersion: v1\nkind: Service\nmetadata: {name: ext}\nspec: {externalIPs: [192.0.2.1], ports: [{port: 80}]}\n"
)

// linted is what the command prints, and its exit code.
func linted(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	c := rootCommand()
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetIn(strings.NewReader(stdin))
	c.SetArgs(append([]string{"lint"}, args...))
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func exitCode(err error) int {
	if err == nil {
		return 0
	}
	exit, is := errors.AsType[*exitError](err)
	if !is {
		return -1
	}
	return exit.code
}

func TestLintExitCodes(t *testing.T) {
	for name, tc := range map[string]struct {
		stdin string
		args  []string
		code  int
		err   string
	}{
		"clean":                 {stdin: goodService, args: []string{"-f", "-"}},
		"an error":              {stdin: badService, args: []string{"-f", "-"}, code: 1},
		"a warning":             {stdin: warnService, args: []string{"-f", "-"}},
		"a warning with strict": {stdin: warnService, args: []string{"-f", "-", "--strict"}, code: 1},
		"no question":           {code: 2, err: "say what to look at"},
		"nothing":               {args: []string{"-f", "-"}, code: 2, err: "-: there is no object in it"},
		"only comments":         {stdin: "# none\n---\n", args: []string{"-f", "-"}, code: 2, err: "-: there is no object in it"},
		"an empty List":         {stdin: `{"apiVersion":"v1","kind":"List","items":[]}`, args: []string{"-f", "-"}, code: 2, err: "-: there is no object in it"},
		"only other kinds":      {stdin: "apiVersion: v1\nkind: Pod\n", args: []string{"-f", "-"}},
		"a file without -f":     {args: []string{"service.yaml", "b.yaml"}, code: 2, err: "give files with -f: `switchyard lint -f service.yaml -f b.yaml`"},
		"wide":                  {stdin: badService, args: []string{"-f", "-", "-o", "wide"}, code: 1},
		"no such file":          {args: []string{"-f", "none.yaml"}, code: 2, err: "none.yaml: no such file"},
		"no such format":        {args: []string{"-f", "-", "-o", "table"}, code: 2, err: `unknown output format "table"`},
		"a cluster for nothing": {stdin: goodService, args: []string{"-f", "-", "--context", "nope"}, code: 2, err: "--kubeconfig and --context choose a cluster: give --cluster"},
		"no such flag":          {args: []string{"--file", "-"}, code: 2, err: "`switchyard lint --help` lists the flags"},
		"no such family":        {args: []string{"-f", "-", "--ip-families", "4"}, code: 2, err: `--ip-families "4": want IPv4, IPv6`},
		"unreadable, and errors": {stdin: "a: [\n---\n" + badService, args: []string{"-f", "-"}, code: 2,
			err: "-: document 1 (line 1): yaml:"},
		"a family that is missing": {stdin: strings.Replace(goodService, "spec: {", "spec: {ipFamilies: [IPv6], ", 1), args: []string{"-f", "-", "--ip-families", "IPv4"}, code: 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := linted(t, tc.stdin, tc.args...)
			if code := exitCode(err); code != tc.code {
				t.Errorf("exit code %d, want %d: %v", code, tc.code, err)
			}
			if err == nil {
				return
			}
			if exit, is := errors.AsType[*exitError](err); tc.err != "" && (!is || exit.err == nil || !strings.Contains(exit.err.Error(), tc.err)) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
		})
	}
}

func TestLintPrintsATable(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{"a.yaml": goodService + "---\n" + badService, "b.yaml": warnService + "---\nkind: Pod\napiVersion: v1\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := linted(t, "", "-f", "a.yaml", "-f", "b.yaml")
	want := `AT         OBJECT        SEVERITY   FIELD                MESSAGE
a.yaml:2   Service db    error      spec.ports[0].port   Invalid value: 0: must be between 1 and 65535, inclusive
b.yaml:1   Service ext   warning    spec.externalIPs     spec.externalIPs is deprecated and may no longer be implemented in some clusters

3 objects in 2 files checked, 1 of other kinds passed over: 1 error, 1 warning.
`
	if diff := cmp.Diff(want, out); diff != "" || exitCode(err) != 1 {
		t.Errorf("error %v, output (-want +got):\n%s", err, diff)
	}
	out, _ = linted(t, goodService+"---\n"+strings.Replace(goodService, "ports:", "loadBalancerIP: lb, ports:", 1), "-f", "-", "-o", "wide")
	want = `AT    LINE   OBJECT             SEVERITY   RULE   FIELD                 MESSAGE
-:2   6      Service shop/web   warning    S1     spec.loadBalancerIP   "lb" is not an IP address; the server stores whatever stands here
`
	if shown, _, _ := strings.Cut(out, "\n\n"); shown+"\n" != want {
		t.Errorf("wide (-want +got):\n%s", cmp.Diff(want, shown+"\n"))
	}
}

func TestLintPrintsJSONAndYAML(t *testing.T) {
	text, _ := linted(t, badService, "-f", "-", "-o", "json")
	var asJSON, asYAML map[string]any
	if err := json.Unmarshal([]byte(text), &asJSON); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	want := map[string]any{
		"findings": []any{map[string]any{"file": "-", "document": 1.0, "line": 1.0, "kind": "Service", "name": "db", "severity": "error",
			"field": "spec.ports[0].port", "message": "Invalid value: 0: must be between 1 and 65535, inclusive"}},
		"unreadable": []any{}, "notRead": []any{},
		"summary": map[string]any{"files": 1.0, "checked": 1.0, "passedOver": 0.0, "errors": 1.0, "warnings": 0.0},
	}
	if diff := cmp.Diff(want, asJSON); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	text, _ = linted(t, badService, "-f", "-", "-o", "yaml")
	if err := yaml.Unmarshal([]byte(text), &asYAML); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if diff := cmp.Diff(want, asYAML); diff != "" {
		t.Errorf("YAML (-want +got):\n%s", diff)
	}
}

func TestRuleFindings(t *testing.T) {
	object := lint.Object{Kind: "Service", Name: "web"}
	refusal := apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), "web", field.ErrorList{
		field.Invalid(field.NewPath("spec", "externalIPs").Index(0), "192.0.2.1", "Service a/b already serves port 80/TCP at this address (rule X1)")})
	found, err := ruleFindings(object, []string{"spec.selector: Service a/c has it too (rule X12)", "in other words"}, refusal)
	if err != nil {
		t.Fatal(err)
	}
	want := []lint.Finding{
		{Kind: "Service", Name: "web", Severity: lint.Warning, Rule: "X12", Field: "spec.selector", Message: "Service a/c has it too"},
		{Kind: "Service", Name: "web", Severity: lint.Warning, Message: "in other words"},
		{Kind: "Service", Name: "web", Severity: lint.Error, Rule: "X1", Field: "spec.externalIPs[0]",
			Message: `Invalid value: "192.0.2.1": Service a/b already serves port 80/TCP at this address`},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if _, err := ruleFindings(object, nil, apierrors.NewServiceUnavailable("no")); err == nil {
		t.Error("what could not be judged is no error")
	}
}

func TestAnAnnotationThatTheManifestGivesUpIsGone(t *testing.T) {
	t.Chdir(t.TempDir())
	manifest := func(annotation string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: {name: web, annotations: {" + annotation + "}}\nspec: {ports: [{port: 80}]}\n"
	}
	if err := os.WriteFile("old.yaml", []byte(manifest("service.kubernetes.io/topology-mode: Auto")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := linted(t, manifest("service.kubernetes.io/topology-aware-hints: Disabled"), "-f", "-", "--against", "old.yaml"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestLintJudgesTheStatusAlone(t *testing.T) {
	t.Chdir(t.TempDir())
	manifest := func(kind, ingress string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: " + kind + ", ports: [{port: 80}]}\nstatus: {loadBalancer: {ingress: [" + ingress + "]}}\n"
	}
	if err := os.WriteFile("old.yaml", []byte(manifest("LoadBalancer", "{ip: 192.0.2.01, ipMode: VIP}")), 0o600); err != nil {
		t.Fatal(err)
	}
	const endpoints = "apiVersion: v1\nkind: Endpoints\nmetadata: {name: web}\n"
	for name, tc := range map[string]struct {
		text string
		args []string
		want string
		code int
	}{
		"an address, whose mode is filled in": {text: manifest("LoadBalancer", "{ip: 192.0.2.1}")},
		"no address":                          {text: manifest("LoadBalancer", "{ip: lb}"), code: 1, want: `status.loadBalancer.ingress[0].ip   Invalid value: "lb"`},
		"another type":                        {text: manifest("ClusterIP", "{ip: 192.0.2.1}"), code: 1, want: "status.loadBalancer.ingress   Forbidden: may only be used when `spec.type` is 'LoadBalancer'"},
		"one that was there":                  {text: manifest("LoadBalancer", "{ip: 192.0.2.01}"), args: []string{"--against", "old.yaml"}},
		"the spec has its own way in":         {text: manifest("ClusterIP", "{ip: 192.0.2.1}"), args: []string{"--against", "old.yaml"}},
		"a kind without":                      {text: endpoints, code: 1, want: "Endpoints has no status"},
		"another subresource":                 {text: endpoints, args: []string{"--subresource", "scale"}, code: 2},
	} {
		out, err := linted(t, tc.text, append([]string{"-f", "-", "--subresource", "status"}, tc.args...)...)
		if code := exitCode(err); code != tc.code || !strings.Contains(out, tc.want) {
			t.Errorf("%s: exit code %d, want %d: %v; output\n%swant %q", name, code, tc.code, err, out, tc.want)
		}
	}
}

func TestLintJudgesUpdates(t *testing.T) {
	t.Chdir(t.TempDir())
	const old = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: LoadBalancer, loadBalancerClass: a/b, clusterIP: 10.0.0.1, ports: [{port: 80}]}\n"
	if err := os.WriteFile("old.yaml", []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		from, to string
		args     []string
		want     string
		code     int
	}{
		"as it was":             {},
		"without its ClusterIP": {from: "clusterIP: 10.0.0.1, "},
		"another ClusterIP": {from: "10.0.0.1", to: "10.0.0.2", code: 1,
			want: `spec.clusterIPs[0]   Invalid value: ["10.0.0.2"]: may not change once set`},
		"another class":           {from: "a/b", to: "a/c", code: 1, want: `spec.loadBalancerClass   Invalid value: "a/c": may not change once set`},
		"without its class":       {from: "loadBalancerClass: a/b, ", code: 1, want: `spec.loadBalancerClass   Invalid value: null: may not change once set`},
		"no load balancer":        {from: "type: LoadBalancer, loadBalancerClass: a/b, "},
		"of another name":         {from: "{name: web}\nspec: {type: LoadBalancer, loadBalancerClass: a/b", to: "{name: db}\nspec: {type: LoadBalancer, loadBalancerClass: a/c"},
		"in another namespace":    {from: "{name: web}", to: "{name: web, namespace: shop}"},
		"in that namespace":       {from: "a/b", to: "a/c", args: []string{"-n", "shop"}, code: 1, want: "may not change once set"},
		"in a cluster as well":    {args: []string{"--cluster"}, code: 2},
		"against standard input":  {args: []string{"--against", "-"}, code: 2},
		"against what is nowhere": {args: []string{"--against", "none.yaml"}, code: 2},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := linted(t, strings.Replace(old, tc.from, tc.to, 1), append([]string{"-f", "-", "--against", "old.yaml"}, tc.args...)...)
			if code := exitCode(err); code != tc.code || !strings.Contains(out, tc.want) {
				t.Errorf("exit code %d, want %d: %v; output\n%swant %q", code, tc.code, err, out, tc.want)
			}
		})
	}
}

// What docs/lint.md shows is what the command prints.
func TestLintPrintsWhatItsPageShows(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	page, err := os.ReadFile("docs/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(page), "$ switchyard lint -f docs/examples/lint.yaml\n")
	shown, _, _ = strings.Cut(shown, "```")
	out, err := linted(t, "", "-f", "docs/examples/lint.yaml")
	if diff := cmp.Diff(shown, out); diff != "" || exitCode(err) != 1 {
		t.Errorf("error %v, output (-shown +printed):\n%s", err, diff)
	}
}

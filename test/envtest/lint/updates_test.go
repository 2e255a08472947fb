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
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/validation/lint"
	"switchyard.dev/switchyard/test/testenv"
)

// updates are held against what the API server itself says to them, dry, and
// judged by the rules for what they add alone.
func updates(t *testing.T, c *cluster, reader testenv.Toolbox) {
	const class = "type: LoadBalancer, loadBalancerClass: a/b, externalTrafficPolicy: Local, "
	for name, tc := range map[string]struct {
		text string
		// refused says that the server does, and rules what is found beside that.
		refused bool
		rules   []string
	}{
		"as it is":                    {text: service("first", "selector: {app: first}, externalIPs: [198.51.100.1], ports: [{port: 80}]")},
		"another selector":            {text: service("first", "selector: {app: second}, externalIPs: [198.51.100.1], ports: [{port: 80}]"), rules: []string{"X12"}},
		"X1 another port of another":  {text: service("twin", "externalIPs: [198.51.100.1, 10.0.0.30], ports: [{port: 80}]"), rules: []string{"X3"}},
		"V20 another ClusterIP":       {text: service("first", "clusterIP: 10.0.0.31, ports: [{port: 80}]"), refused: true},
		"V20 headless":                {text: service("first", "clusterIP: None, ports: [{port: 80}]"), refused: true},
		"V18 another family":          {text: service("first", "ipFamilies: [IPv6], ports: [{port: 80}]"), refused: true},
		"a second family":             {text: service("first", "ipFamilyPolicy: PreferDualStack, ports: [{port: 80}]")},
		"V14 another class":           {text: service("lb", "type: LoadBalancer, loadBalancerClass: a/c, ports: [{port: 80}]"), refused: true},
		"V16 another health check":    {text: service("lb", class+"healthCheckNodePort: 30302, ports: [{port: 80}]"), refused: true},
		"V12 a type without ports":    {text: service("lb", "type: ClusterIP, ports: [{port: 80, nodePort: 30309}]"), refused: true},
		"A11 a type without ports":    {text: service("lb", "type: ClusterIP, ports: [{port: 80}]")},
		"A12 an alias":                {text: service("first", "type: ExternalName, externalName: db.example.com, ports: [{port: 80}]")},
		"V5 an alias with another IP": {text: service("first", "type: ExternalName, externalName: db.example.com, clusterIP: 10.0.0.31, ports: [{port: 80}]"), refused: true},
		"V3 no ports":                 {text: service("first", "ports: []"), refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, _ := reader.RunWith(t, "switchyard lint -f - --cluster -o json", tc.text)
			var report struct{ Findings []lint.Finding }
			if err := json.Unmarshal([]byte(stdout), &report); err != nil {
				t.Fatalf("%v: %s%s", err, stdout, stderr)
			}
			var rules, errors []string
			for _, f := range report.Findings {
				if strings.HasPrefix(f.Rule, "X") {
					rules = append(rules, f.Rule)
				} else if f.Rule == "" && f.Severity == lint.Error {
					errors = append(errors, f.Field+": "+f.Message)
				}
			}
			servers := c.answer(t, tc.text)
			if diff := cmp.Diff(servers, errors); diff != "" || (len(servers) > 0) != tc.refused {
				t.Errorf("errors (-server +lint):\n%s", diff)
			}
			if rules = slices.Compact(rules); !slices.Equal(rules, tc.rules) {
				t.Errorf("rules %q, want %q", rules, tc.rules)
			}
		})
	}
}

// answer is what the API server says to applying a manifest.
func (c *cluster) answer(t *testing.T, manifest string) []string {
	t.Helper()
	svc := c.parse(t, manifest).(*corev1.Service)
	text, err := json.Marshal(map[string]any{"spec": specOf(t, svc)})
	if err != nil {
		t.Fatal(err)
	}
	err = c.admin.Patch(t.Context(), svc, client.RawPatch("application/merge-patch+json", text), client.DryRunAll)
	if err == nil {
		return nil
	}
	status, is := err.(apierrors.APIStatus)
	if !is || !apierrors.IsInvalid(err) {
		t.Fatal(err)
	}
	var causes []string
	for _, cause := range status.Status().Details.Causes {
		causes = append(causes, cause.Field+": "+cause.Message)
	}
	return causes
}

// specOf are the fields that a manifest has.
func specOf(t *testing.T, svc *corev1.Service) map[string]any {
	t.Helper()
	text, err := json.Marshal(svc.Spec)
	if err != nil {
		t.Fatal(err)
	}
	var spec map[string]any
	if err := json.Unmarshal(text, &spec); err != nil {
		t.Fatal(err)
	}
	if len(svc.Spec.Ports) == 0 {
		spec["ports"] = []any{}
	}
	return spec
}

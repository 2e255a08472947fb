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

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// whyServices are one that answers and one that does not.
const whyServices = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: web, image: example.org/web, ports: [{name: http-web, containerPort: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: plain}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http-web}]}
---
apiVersion: v1
kind: Service
metadata: {name: near}
spec: {selector: {app: wep}, ports: [{port: 80}]}
`

// whyReport is what `switchyard why -o json` says, with its exit code.
func whyReport(t *testing.T, args ...string) (diagnosis.Report, string, int) {
	t.Helper()
	out, problems, code := cli(t, append([]string{"why", "-o", "json"}, args...)...)
	var report diagnosis.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil && code != 2 {
		t.Fatalf("switchyard why %v: exit code %d, %v: %s%s", args, code, err, out, problems)
	}
	return report, problems, code
}

func TestWhyForPeopleWithAndWithoutRights(t *testing.T) {
	needCluster(t)
	output(t, "create", "namespace", "why")
	defer output(t, "delete", "namespace", "why", "--wait=false")
	apply(t, "why", whyServices)
	output(t, "wait", "-n", "why", "--for=condition=Ready", "pod/web", waitFor)
	await(t, func() error {
		report, problems, code := whyReport(t, "why/plain")
		if code != 0 {
			return fmt.Errorf("exit code %d, %+v%s", code, report.Verdict, problems)
		}
		return nil
	})
	t.Run("for people", whyForPeople)
	t.Run("who may read one namespace", whyWithRightsInOneNamespace)
	t.Run("questions that can not be answered", whyErrors)
}

func whyForPeople(t *testing.T) {
	out, problems, code := cli(t, "why", "near.why.svc.cluster.local")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 1 || problems != "" || !strings.HasPrefix(out, "Service why/near  ClusterIP  10.96.") || !strings.Contains(out, "\nPROBLEM  selector ") ||
		!strings.HasPrefix(lines[len(lines)-1], "Service why/near does not answer: ") || lines[len(lines)-2] != "" {
		t.Errorf("exit code %d: %s%s", code, out, problems)
	}
	wide, _, _ := cli(t, "why", "why/plain", "-o", "wide")
	if !strings.Contains(wide, "is of ServiceCIDR kubernetes (10.96.0.0/16)") || !strings.Contains(wide, "agents of 2 nodes are healthy") {
		t.Errorf("wide: %s", wide)
	}
}

func whyWithRightsInOneNamespace(t *testing.T) {
	output(t, "create", "serviceaccount", "why-reader", "-n", "demo")
	output(t, "create", "rolebinding", "why-reader", "-n", "why", "--clusterrole=view", "--serviceaccount=demo:why-reader")
	defer output(t, "delete", "serviceaccount/why-reader", "-n", "demo")
	kubeconfig := kubeconfigOf(t, "why-reader")
	await(t, func() error { // The API server's RBAC follows by a watch.
		report, problems, code := whyReport(t, "why/plain", "--kubeconfig", kubeconfig)
		if code != 0 || report.Verdict.State != diagnosis.Unknown {
			return fmt.Errorf("exit code %d, %+v%s", code, report.Verdict, problems)
		}
		unseen := strings.Join(report.Unseen, "\n")
		for _, what := range []string{"Services of all namespaces", "Nodes", "IPAddresses", "what programs the nodes"} {
			if strings.Count(unseen, what) != 1 {
				return fmt.Errorf("%q is not said once to be unseen: %s", what, unseen)
			}
		}
		return nil
	})
	report, problems, code := whyReport(t, "why/near", "--kubeconfig", kubeconfig)
	if code != 1 || report.Verdict.Reason != diagnosis.NoMatchingPods {
		t.Errorf("exit code %d, %+v%s", code, report.Verdict, problems)
	}
	if report, problems, code := whyReport(t, "demo/front", "--kubeconfig", kubeconfig); code != 2 || !strings.Contains(problems, "forbidden") {
		t.Errorf("a Service that may not be read: exit code %d, %+v%s", code, report, problems)
	}
}

func whyErrors(t *testing.T) {
	for _, tc := range []struct {
		want string
		args []string
	}{
		{"want one SERVICE or NAMESPACE/SERVICE", nil},
		{"is no Service", []string{"a/b/c"}},
		{"there is no node node-9", []string{"why/plain", "--from", "node/node-9"}},
		{"there is no pod why/nobody", []string{"why/plain", "--from", "nobody"}},
		{`unknown output format "text"`, []string{"why/plain", "-o", "text"}},
	} {
		out, problems, code := cli(t, append([]string{"why"}, tc.args...)...)
		if code != 2 || out != "" || !strings.Contains(problems, tc.want) {
			t.Errorf("switchyard why %v: exit code %d, want %q: %s%s", tc.args, code, tc.want, out, problems)
		}
	}
	if report, _, code := whyReport(t, "why/plane"); code != 1 || report.Verdict.Reason != diagnosis.NotFound || !strings.Contains(report.Verdict.Sentence, "plain") {
		t.Errorf("a Service that does not exist: exit code %d, %+v", code, report.Verdict)
	}
}

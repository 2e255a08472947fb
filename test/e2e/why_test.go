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
	"slices"
	"strings"
	"testing"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// whyPods are a server on the second node, one that fails its probe, one with
// a NetworkPolicy, and a client on the first node.
const whyPods = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: node-2
  terminationGracePeriodSeconds: 1
  containers: [{name: web, image: example.org/web, ports: [{name: http-web, containerPort: 80}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: sick, labels: {app: sick}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: registry.k8s.io/e2e-test-images/agnhost:2.53
    args: [netexec, --http-port=80]
    ports: [{containerPort: 80}]
    readinessProbe: {httpGet: {path: /healthy, port: 81}, periodSeconds: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: guarded, labels: {app: guarded}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: web, image: example.org/web, ports: [{containerPort: 80}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec:
  nodeName: node-1
  terminationGracePeriodSeconds: 1
  containers: [{name: web, image: example.org/web}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: friends}
spec:
  podSelector: {matchLabels: {app: guarded}}
  ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]
`

// asked is one Service and what is to be said of it.
type asked struct {
	name, spec string
	// status and slice are made after it.
	status, slice string
	from          string
	state         diagnosis.State
	reason        diagnosis.Reason
	says          []string
}

var brokenServices = []asked{
	{name: "near", spec: "selector: {app: wep}, ports: [{port: 80}]", state: diagnosis.Problem, reason: diagnosis.NoMatchingPods, says: []string{"app=wep", "web"}},
	{name: "sick", spec: "selector: {app: sick}, ports: [{port: 80}]", state: diagnosis.Problem, reason: diagnosis.PodsNotReady, says: []string{"sick", "readiness probe", "81"}},
	{name: "named", spec: "selector: {app: web}, ports: [{port: 80, targetPort: http}]", state: diagnosis.Problem, reason: diagnosis.NamedPortNotFound, says: []string{"http-web"}},
	{name: "nothing", spec: "ports: [{port: 80}]", state: diagnosis.Problem, reason: diagnosis.NoSelectorNoEndpoints},
	{name: "elsewhere", spec: "type: ExternalName, externalName: wep.why.svc.cluster.local", state: diagnosis.Problem, reason: diagnosis.ExternalNameNotFound},
	{name: "local", from: "client", spec: "selector: {app: web}, internalTrafficPolicy: Local, ports: [{port: 80}]",
		state: diagnosis.Problem, reason: diagnosis.TrafficPolicyLocalWithoutLocalEndpoints, says: []string{"node-1", "client"}},
	{name: "local", spec: "selector: {app: web}, internalTrafficPolicy: Local, ports: [{port: 80}]",
		state: diagnosis.Warning, reason: diagnosis.TrafficPolicyLocalWithoutLocalEndpoints, says: []string{"node-1"}},
	{name: "ranges", from: "203.0.113.7", spec: "type: LoadBalancer, selector: {app: web}, loadBalancerSourceRanges: [192.0.2.0/24], ports: [{port: 80}]",
		status: `{"status":{"loadBalancer":{"ingress":[{"ip":"198.51.100.10"}]}}}`, state: diagnosis.Problem, reason: diagnosis.SourceNotAllowed, says: []string{"203.0.113.7"}},
	{name: "guarded", from: "client", spec: "selector: {app: guarded}, ports: [{port: 80}]", state: diagnosis.Problem, reason: diagnosis.NetworkPolicyDenies, says: []string{"friends"}},
	{name: "inside", from: "203.0.113.7", spec: "selector: {app: web}, ports: [{port: 80}]", state: diagnosis.Problem, reason: diagnosis.NotExposed},
}

var soundServices = []asked{
	{name: "plain", spec: "selector: {app: web}, ports: [{port: 80, targetPort: http-web}]"},
	{name: "plain", from: "client", spec: "selector: {app: web}, ports: [{port: 80, targetPort: http-web}]"},
	{name: "headless", spec: "clusterIP: None, selector: {app: web}, ports: [{port: 80}]"},
	{name: "outside", spec: "type: ExternalName, externalName: db.example.org"},
	{name: "alias", spec: "type: ExternalName, externalName: plain.why.svc.cluster.local"},
	{name: "by-hand", spec: "ports: [{port: 80}]", slice: `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: by-hand-1, labels: {kubernetes.io/service-name: by-hand}}
addressType: IPv4
endpoints: [{addresses: [198.51.100.20]}]
ports: [{name: "", port: 80}]`},
	{name: "nodeport", spec: "type: NodePort, selector: {app: web}, ports: [{port: 80}]"},
	{name: "nodeport", from: "203.0.113.7", spec: "type: NodePort, selector: {app: web}, ports: [{port: 80}]"},
	{name: "both", spec: "ipFamilyPolicy: RequireDualStack, selector: {app: web}, ports: [{port: 80}]"},
	{name: "balanced", spec: "type: LoadBalancer, selector: {app: web}, externalTrafficPolicy: Local, ports: [{port: 80}]",
		status: `{"status":{"loadBalancer":{"ingress":[{"ip":"198.51.100.11"}]}}}`},
	{name: "unready", spec: "selector: {app: sick}, publishNotReadyAddresses: true, ports: [{port: 80}]"},
	{name: "guarded", spec: "selector: {app: guarded}, ports: [{port: 80}]"},
}

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

func TestWhyTellsBrokenServicesFromSoundOnes(t *testing.T) {
	needCluster(t)
	output(t, "create", "namespace", "why")
	defer output(t, "delete", "namespace", "why", "--wait=false")
	apply(t, "why", whyPods)
	all := slices.Concat(brokenServices, soundServices)
	for _, s := range all {
		apply(t, "why", fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {name: %s}, spec: {%s}}", s.name, s.spec))
		if s.slice != "" {
			apply(t, "why", s.slice)
		}
		if s.status != "" {
			output(t, "patch", "-n", "why", "service", s.name, "--subresource=status", "--type=merge", "-p", s.status)
		}
	}
	output(t, "wait", "-n", "why", "--for=condition=Ready", "pod/web", "pod/guarded", "pod/client", "--timeout=60s")
	for _, s := range all {
		t.Run(s.name+" "+s.from, func(t *testing.T) { whyAsked(t, s) })
	}
	t.Run("for people", whyForPeople)
	t.Run("who may read one namespace", whyWithRightsInOneNamespace)
	t.Run("questions that can not be answered", whyErrors)
}

func whyAsked(t *testing.T, s asked) {
	args, wantCode := []string{"-n", "why", s.name}, 1
	if s.from != "" {
		args = append(args, "--from", s.from)
	}
	if s.state == "" {
		s.state, wantCode = diagnosis.OK, 0
	}
	await(t, func() error {
		report, problems, code := whyReport(t, args...)
		v := report.Verdict
		if v.State != s.state || v.Reason != s.reason || code != wantCode {
			return fmt.Errorf("exit code %d, %s %s, want %s %s: %s%s", code, v.State, v.Reason, s.state, s.reason, v.Sentence, problems)
		}
		for _, part := range s.says {
			if !strings.Contains(v.Sentence, part) {
				return fmt.Errorf("%q is not said: %s", part, v.Sentence)
			}
		}
		if len(report.Unseen) > 0 {
			return fmt.Errorf("who may read all has not seen %q", report.Unseen)
		}
		return nil
	})
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
	for _, s := range []asked{brokenServices[0], brokenServices[1], brokenServices[2]} {
		report, problems, code := whyReport(t, "why/"+s.name, "--kubeconfig", kubeconfig)
		if code != 1 || report.Verdict.Reason != s.reason {
			t.Errorf("exit code %d, %+v%s", code, report.Verdict, problems)
		}
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

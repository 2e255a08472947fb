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

package why

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// pagesOf answers with the codes of NODE/path, of what is not there with an error.
func pagesOf(codes map[string]int) Page {
	return func(_ context.Context, node, path string) (int, error) {
		switch code := codes[node+path]; code {
		case 0:
			return 0, fmt.Errorf("dial tcp %s: no route to host", node)
		case http.StatusForbidden:
			return code, forbidden("nodes/proxy")
		case -1:
			return 0, ErrDown
		default:
			return code, nil
		}
	}
}

// unready is a pod whose container is in that state.
func unready(p *corev1.Pod, waiting string) *corev1.Pod {
	p.Status.Conditions[0].Status = corev1.ConditionFalse
	if waiting != "" {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: waiting}}}}
	}
	return p
}

func TestAgents(t *testing.T) {
	ours := func(node string) *corev1.Pod {
		p := pod(system, "node-"+node, node, "", "app.kubernetes.io/name", "switchyard", "app.kubernetes.io/component", "node")
		p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{}
		return p
	}
	n1, n2 := kubeProxy("n1"), kubeProxy("n2")
	young := unready(kubeProxy("n2"), "ContainerCreating")
	young.CreationTimestamp = metav1.Now()
	well := map[string]int{"n1/livez": 200, "n2/livez": 200, "n1/readyz": 404, "n2/readyz": 404}
	with := func(change ...any) map[string]int {
		codes := map[string]int{}
		maps.Copy(codes, well)
		for i := 0; i < len(change); i += 2 {
			codes[change[i].(string)] = change[i+1].(int)
		}
		return codes
	}
	for name, tc := range map[string]struct {
		objects []client.Object
		pages   map[string]int
		local   bool
		// n3 is a third node, made by change.
		n3     func(*corev1.Node)
		state  diagnosis.State
		reason diagnosis.Reason
		says   string
		unseen string
	}{
		"pods of kube-proxy, that can not be asked": {objects: []client.Object{n1, n2}, state: diagnosis.OK},
		"pods of the suite, that need not be asked": {objects: []client.Object{ours("n1"), ours("n2")}, pages: with("n1/livez", 503), state: diagnosis.OK},
		"one taking over from the other":            {objects: []client.Object{ours("n1"), n1, n2, unready(ours("n2"), "CrashLoopBackOff")}, state: diagnosis.OK},
		"one that gives way":                        {objects: []client.Object{ours("n1"), n1, ours("n2"), unready(kubeProxy("n2"), "CrashLoopBackOff")}, state: diagnosis.OK},
		"a kube-proxy that has stopped working":     {objects: []client.Object{n1, n2}, pages: with("n2/livez", 503), state: diagnosis.Warning, reason: diagnosis.AgentUnhealthy, says: "n2"},
		"one that crashes":                          {objects: []client.Object{n1, unready(kubeProxy("n2"), "CrashLoopBackOff")}, state: diagnosis.Warning, reason: diagnosis.AgentUnhealthy, says: "CrashLoopBackOff"},
		"one that just starts":                      {objects: []client.Object{n1, young}, state: diagnosis.OK},
		"one that is not ready":                     {objects: []client.Object{ours("n1"), unready(ours("n2"), "")}, state: diagnosis.Warning, reason: diagnosis.AgentNotSynced, says: "n2"},
		"a node without one":                        {objects: []client.Object{n1}, state: diagnosis.Warning, reason: diagnosis.AgentMissing, says: "n2"},
		"a node without one that answers":           {objects: []client.Object{n1}, pages: with(), state: diagnosis.OK},
		"a new node":                                {objects: []client.Object{n1, n2}, n3: func(n *corev1.Node) { n.CreationTimestamp = metav1.Now() }, state: diagnosis.OK},
		"a node of Windows":                         {objects: []client.Object{n1, n2}, n3: func(n *corev1.Node) { n.Labels[corev1.LabelOSStable] = "windows" }, state: diagnosis.OK},
		"a virtual node":                            {objects: []client.Object{n1, n2}, n3: func(n *corev1.Node) { n.Labels["type"] = "virtual-kubelet" }, state: diagnosis.OK},
		"a node that is away": {objects: []client.Object{n1, n2, unready(kubeProxy("n3"), "")}, state: diagnosis.OK,
			n3: func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }},
		"neither pods nor pages":           {state: diagnosis.OK, unseen: "no pods of switchyard-node in namespace switchyard-system, nor of kube-proxy in kube-system"},
		"pages that may not be read":       {pages: with("n1/livez", 403), state: diagnosis.OK, unseen: "what programs the nodes"},
		"pages of no pods":                 {pages: with(), state: diagnosis.OK},
		"a page of no pods is bad":         {pages: with("n1/livez", 503), state: diagnosis.Warning, reason: diagnosis.AgentUnhealthy, says: "n1"},
		"some of no pods can not be asked": {pages: with("n2/livez", 0), state: diagnosis.OK},
		"an old kube-proxy":                {pages: with("n1/livez", 404, "n1/healthz", 200, "n2/livez", 404, "n2/healthz", 503), state: diagnosis.Warning, reason: diagnosis.AgentUnhealthy, says: "n2"},
		"something else at that port":      {pages: with("n1/livez", 404, "n1/healthz", 404, "n2/livez", 302), state: diagnosis.OK, unseen: "what programs the nodes"},
		"local, and well":                  {local: true, pages: with("n1/readyz", 200, "n2/readyz", 200), state: diagnosis.OK},
		"local, not synced":                {local: true, pages: with("n1/readyz", 503), state: diagnosis.Warning, reason: diagnosis.AgentNotSynced, says: "n1"},
		"local, and ended":                 {local: true, pages: with("n1/livez", -1), state: diagnosis.Warning, reason: diagnosis.AgentUnhealthy, says: "n1"},
		"local, and none may be entered":   {local: true, pages: map[string]int{}, state: diagnosis.OK, unseen: "no route to host"},
	} {
		t.Run(name, func(t *testing.T) {
			objects := append(web(), tc.objects...)
			if tc.n3 != nil {
				n3 := node("n3", "192.0.2.3", "10.1.2.0/24")
				tc.n3(n3)
				objects = append(objects, n3)
			}
			a := asker(t, &access{}, objects...)
			a.Local = tc.local
			if tc.pages != nil {
				a.Page = pagesOf(tc.pages)
			}
			answer := ask(t, a, shopWeb)
			answer.says(t, tc.state, tc.reason, tc.says)
			if unseen := strings.Join(answer.Unseen, "\n"); !strings.Contains(unseen, tc.unseen) || tc.unseen == "" && unseen != "" {
				t.Errorf("not seen: %q, want %q", unseen, tc.unseen)
			}
		})
	}
}

// In a large cluster the nodes that matter are asked, and nothing is concluded from
// those that are not.
func TestNotAllNodesAreAsked(t *testing.T) {
	objects := append(web(), pod("shop", "client", "m70", "10.2.0.1"))
	for i := range 80 {
		objects = append(objects, node(fmt.Sprintf("m%d", i), fmt.Sprintf("198.51.100.%d", i), fmt.Sprintf("10.2.%d.0/24", i)))
	}
	a := asker(t, &access{}, objects...)
	var mu sync.Mutex
	var asked []string
	a.Page = func(_ context.Context, node, _ string) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		if !slices.Contains(asked, node) {
			asked = append(asked, node)
		}
		return http.StatusOK, nil
	}
	answer := ask(t, a, Question{Service: shopWeb.Service, Pod: key("shop", "client")})
	answer.says(t, diagnosis.OK, "")
	if len(asked) != maxAsked || asked[0] != "m70" || !slices.Contains(asked, "n1") || !slices.Contains(asked, "n2") {
		t.Errorf("asked %d nodes: %v", len(asked), asked)
	}
}

func TestNobodyIsAskedAfterAForbiddenOne(t *testing.T) {
	a := asker(t, &access{}, web()...)
	asked := 0
	a.Page = func(context.Context, string, string) (int, error) {
		asked++
		return http.StatusForbidden, forbidden("nodes/proxy")
	}
	ask(t, a, shopWeb)
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

func TestHeadlessServicesNeedNoAgents(t *testing.T) {
	objects := web()
	spec := &objects[0].(*corev1.Service).Spec
	spec.ClusterIP, spec.ClusterIPs = corev1.ClusterIPNone, []string{corev1.ClusterIPNone}
	a := asker(t, &access{list: func(list client.ObjectList, o client.ListOptions) error {
		if kind := kindOf(list); kind == "IPAddressList" || kind == "ServiceList" && o.Namespace == "" || kind == "PodList" && o.Namespace == "kube-system" {
			t.Errorf("%s are read for nothing", kind)
		}
		return nil
	}}, objects...)
	a.Settle = time.Hour
	ask(t, a, shopWeb).says(t, diagnosis.OK, "")
}

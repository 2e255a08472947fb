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

package status

import (
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/inventory"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// ago is a time before now.
func ago(d time.Duration) time.Time { return now.Add(-d) }

func pod(name, node string) Instance {
	return Instance{
		Name: name, Pod: types.NamespacedName{Namespace: "switchyard-system", Name: name}, Node: node,
		Version: "v0.7.0", Ready: true, Created: ago(day), Logs: "kubectl -n switchyard-system logs " + name,
	}
}

func answer() Answer {
	return Answer{Version: "v0.7.0", Now: now, Started: ago(day), Synced: ago(3 * time.Minute), ServicePorts: 12, Endpoints: 30}
}

func node(name string) Node {
	return Node{Name: name, Ready: true, Ordinary: true, Created: ago(day), Kernel: "6.12.0"}
}

func service(name string) corev1.Service {
	return corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, CreationTimestamp: metav1.NewTime(ago(time.Hour))},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: "None"},
	}
}

// wellFacts are of a cluster of two nodes with nothing to look after.
func wellFacts() *Facts {
	inv := &inventory.Inventory{
		Services:  []corev1.Service{service("web")},
		NodePorts: inventory.NodePorts{Span: allocator.DefaultNodePorts, From: inventory.FromServer},
		System:    "switchyard-system",
	}
	return &Facts{
		Server: "https://10.0.0.1:6443", Version: "v1.37.1", System: "switchyard-system",
		Index: inv.Index(), Audit: audit.Run(inv.Index(), now),
		Nodes:    []Node{node("node-1"), node("node-2")},
		Managers: []Instance{pod("manager-a", "node-1"), pod("manager-b", "node-2")},
		Agents:   []Instance{pod("agent-1", "node-1"), pod("agent-2", "node-2")},
		DNS:      []Instance{pod("dns-1", "node-1")},
		Leader:   Leader{Name: "manager-a", Renewed: ago(2 * time.Second), Lasts: 15 * time.Second},
		Webhooks: []Webhook{{
			Configuration: "validating", Name: "v.switchyard.dev", Policy: admissionv1.Ignore, CAEnds: now.Add(9 * year),
			Counts: &WebhookCounts{Requests: 40, Passed: 1, Denied: 3},
		}},
		Serving: map[string]time.Time{"manager-a": now.Add(year)},
		Answers: map[string]Answer{"agent-1": answer(), "agent-2": answer()},
		Chosen:  map[string]bool{"agent-1": true, "agent-2": true},
		Unknown: map[List]bool{},
	}
}

// withInventory changes what Services and pools there are.
func (f *Facts) withInventory(change func(*inventory.Inventory)) {
	change(f.Index.Inventory)
	f.Index = f.Index.Inventory.Index()
	f.Audit = audit.Run(f.Index, now)
}

func kinds(r *Report) (all []Kind) {
	for _, w := range r.Warnings {
		all = append(all, w.Kind)
	}
	return all
}

func onlyWarning(t *testing.T, r *Report) Warning {
	t.Helper()
	if len(r.Warnings) != 1 {
		t.Fatalf("warnings are %v, want one", kinds(r))
	}
	return r.Warnings[0]
}

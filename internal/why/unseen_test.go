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
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// One line for what lacks together; first what changes the question, then what a
// Service depends on most.
func TestGapsAreToldTogether(t *testing.T) {
	var g gaps
	g.add(gap{"PortPools", mayNot, withoutPools})
	g.add(gap{"AddressPools", mayNot, withoutPools})
	g.add(gap{"claims", notServed, withoutPools})
	g.addKind(diagnosis.Nodes, gap{"Nodes", mayNot, "so"}, mayNot)
	g.addKind(diagnosis.Pods, gap{"Pods", mayNot, "so"}, mayNot)
	g.add(gap{"pod pay/client", "you may not read it", forAnybody})
	g.add(gap{"PortPools", notServed, "told already"})
	want := []string{
		"pod pay/client (you may not read it): what is said is for anybody",
		"Pods, Nodes (you may not read them): so",
		"AddressPools, PortPools (you may not read them): " + withoutPools,
		"claims (the API server does not serve them): " + withoutPools,
	}
	if diff := cmp.Diff(want, g.lines()); diff != "" {
		t.Error("-want +got:\n" + diff)
	}
	if diff := cmp.Diff(map[diagnosis.Kind]string{diagnosis.Nodes: mayNot, diagnosis.Pods: mayNot}, g.unseen); diff != "" {
		t.Error("-want +got:\n" + diff)
	}
}

// Labels of namespaces decide about a client of another one.
func TestNetworkPoliciesByNamespace(t *testing.T) {
	policy := &networkingv1.NetworkPolicy{ObjectMeta: objectMeta("shop", "friends")}
	policy.Spec.PodSelector.MatchLabels = map[string]string{"app": "web"}
	policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "pay"}}}}}}
	leaving := &networkingv1.NetworkPolicy{ObjectMeta: objectMeta("pay", "nowhere")}
	leaving.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
	from := Question{Service: shopWeb.Service, Pod: key("pay", "client")}
	objects := append(web(), policy, pod("pay", "client", "n2", "10.1.1.9"))
	ask(t, asker(t, &access{}, objects...), from).says(t, diagnosis.Problem, diagnosis.NetworkPolicyDenies, "friends")
	for _, object := range objects {
		if object.GetName() == "pay" {
			object.SetLabels(map[string]string{"team": "pay"})
		}
	}
	ask(t, asker(t, &access{}, objects...), from).says(t, diagnosis.OK, "")
	ask(t, asker(t, &access{}, append(objects, leaving)...), from).says(t, diagnosis.Problem, diagnosis.NetworkPolicyDenies, "nowhere")
}

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

package inventory

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/placeholder"
)

func TestOnlyTheManagersPlaceholdersHoldForReservations(t *testing.T) {
	ours, theirs := placeholder.Ports(system, 30080), placeholder.Ports("shop", 30081)
	ours.Spec.ClusterIP, ours.Spec.ClusterIPs = "10.96.0.9", []string{"10.96.0.9"}
	inv := &Inventory{
		System: system, NodePorts: NodePorts{Span: allocator.DefaultNodePorts}, Services: []corev1.Service{*ours, *theirs},
		PortReservations: []v1alpha1.PortReservation{{ObjectMeta: metav1.ObjectMeta{Name: "30080"}}},
	}
	x := inv.Index()
	for _, tc := range []struct {
		number        allocator.Number
		held, holders bool
	}{
		{number: allocator.PortNumber(30080), held: true},
		{number: allocator.PortNumber(30081), holders: true}, // a label hides nobody's Service
		{number: allocator.AddrNumber(netip.MustParseAddr("10.96.0.9")), holders: true},
	} {
		if held, holders := x.HeldFor(tc.number), len(x.Numbers.Holders(tc.number)) > 0; held != tc.held || holders != tc.holders {
			t.Errorf("%s is held by a placeholder: %v, want %v; by a Service: %v, want %v", tc.number, held, tc.held, holders, tc.holders)
		}
	}
	if diff := cmp.Diff([]allocator.Number{allocator.PortNumber(30081)}, x.Used(""), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("used ports (-want +got):\n%s", diff)
	}
}

func TestWhatMakesNoSenseIsLeftOutAndNamed(t *testing.T) {
	meta := metav1.ObjectMeta{Name: "odd"}
	inv := &Inventory{
		NodePorts: NodePorts{Span: allocator.DefaultNodePorts},
		ServiceCIDRs: []networkingv1.ServiceCIDR{
			{ObjectMeta: meta, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"fd00::/32"}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "good"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/24"}}},
		},
		PortPools: []v1alpha1.PortPool{{ObjectMeta: meta}}, AddressPools: []v1alpha1.AddressPool{{ObjectMeta: meta}},
		PortReservations: []v1alpha1.PortReservation{{ObjectMeta: meta}}, AddressReservations: []v1alpha1.AddressReservation{{ObjectMeta: meta}},
	}
	x := inv.Index()
	var kinds []string
	for _, u := range x.Unreadable {
		if u.Name != "odd" || u.Err == nil {
			t.Errorf("%s %s: %v", u.Kind, u.Name, u.Err)
		}
		kinds = append(kinds, u.Kind)
	}
	if diff := cmp.Diff([]string{"ServiceCIDR", "PortPool", "AddressPool", "PortReservation", "AddressReservation"}, kinds); diff != "" {
		t.Errorf("unreadable (-want +got):\n%s", diff)
	}
	var texts []string
	for _, r := range x.Ranges() {
		texts = append(texts, r.Text)
	}
	if diff := cmp.Diff([]string{"30000-32767", "10.96.0.0/24"}, texts); diff != "" {
		t.Errorf("ranges (-want +got):\n%s", diff)
	}
}

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

package findings

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/diagnosis"
	"switchyard.dev/switchyard/internal/inventory"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// service is one that is as old as its hours.
func service(namespace, name string, hours int, change func(*corev1.ServiceSpec)) corev1.Service {
	s := corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + name), CreationTimestamp: metav1.NewTime(now.Add(-time.Duration(hours) * time.Hour))},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	change(&s.Spec)
	return s
}

func clusterIP(ip string) func(*corev1.ServiceSpec) {
	return func(s *corev1.ServiceSpec) { s.ClusterIP, s.ClusterIPs = ip, []string{ip} }
}

func nodePort(port int32) func(*corev1.ServiceSpec) {
	return func(s *corev1.ServiceSpec) { s.Type, s.Ports[0].NodePort = corev1.ServiceTypeNodePort, port }
}

func externalIP(ip string) func(*corev1.ServiceSpec) {
	return func(s *corev1.ServiceSpec) { s.ExternalIPs = []string{ip} }
}

func addressOf(ip, namespace, name string) networkingv1.IPAddress {
	return networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: ip},
		Spec:       networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: namespace, Name: name}},
	}
}

func TestUsersReadNoNamesOfOtherNamespaces(t *testing.T) {
	for name, tc := range map[string]struct {
		inventory inventory.Inventory
		reason    audit.Kind
		error     bool
		given     bool // the number is its own
		remedy    string
	}{
		"ClusterIP of an older one": {
			inventory.Inventory{Services: []corev1.Service{service("shop", "web", 1, clusterIP("10.96.0.9")), service("secret", "hidden", 2, clusterIP("10.96.0.9"))}},
			audit.NumberHeldTwice, true, true, "give it another",
		},
		"ClusterIP of a younger one": {
			inventory.Inventory{Services: []corev1.Service{service("shop", "web", 3, clusterIP("10.96.0.9")), service("secret", "hidden", 2, clusterIP("10.96.0.9"))}},
			audit.NumberHeldTwice, true, true, "is the oldest",
		},
		"NodePort": {
			inventory.Inventory{Services: []corev1.Service{service("shop", "web", 1, nodePort(30080)), service("secret", "hidden", 2, nodePort(30080))}},
			audit.NumberHeldTwice, false, true, "give it another",
		},
		"external IP": {
			inventory.Inventory{Services: []corev1.Service{service("shop", "web", 1, externalIP("192.0.2.1")), service("secret", "hidden", 2, externalIP("192.0.2.1"))}},
			audit.FrontendHeldTwice, false, true, "external IP",
		},
		"IPAddress of another": {
			inventory.Inventory{Services: []corev1.Service{service("shop", "web", 1, clusterIP("10.96.0.9"))},
				IPAddresses: []networkingv1.IPAddress{addressOf("10.96.0.9", "secret", "hidden")}},
			audit.IPAddressWrongReference, false, false, "repair",
		},
		"reserved for another": {
			inventory.Inventory{Services: []corev1.Service{service("shop", "web", 1, nodePort(30080))},
				PortReservations: []v1alpha1.PortReservation{{ObjectMeta: metav1.ObjectMeta{Name: "30080"},
					Spec: v1alpha1.PortReservationSpec{ServiceRef: &v1alpha1.ServiceReference{Namespace: "secret", Name: "hidden"}}}}},
			audit.ReservedNumberTaken, false, false, "give it another",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inv := tc.inventory
			inv.NodePorts = inventory.NodePorts{Span: allocator.DefaultNodePorts, From: inventory.FromFlag}
			inv.ServiceCIDRs = []networkingv1.ServiceCIDR{{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/16"}}}}
			own := &inv.Services[0]
			for _, f := range audit.Run(inv.Index(), now).Findings {
				if f.Kind != tc.reason {
					continue
				}
				got := ForItsUsers(own, f)
				if text := got.Message + got.Remedy; strings.Contains(text, "secret") || strings.Contains(text, "hidden") || got.Message == "" {
					t.Errorf("it says %q", text)
				}
				if got.Error != tc.error || got.Unallocated == tc.given || got.Reason != string(tc.reason) || !strings.Contains(got.Remedy, tc.remedy) {
					t.Errorf("got %+v", got)
				}
				return
			}
			t.Errorf("audit found no %s", tc.reason)
		})
	}
}

func TestUsersReadWhatIsOfTheirOwnNamespace(t *testing.T) {
	inv := inventory.Inventory{Services: []corev1.Service{service("shop", "web", 1, nodePort(30080)), service("shop", "old", 2, nodePort(30080))},
		NodePorts: inventory.NodePorts{Span: allocator.DefaultNodePorts, From: inventory.FromFlag}}
	for _, f := range audit.Run(inv.Index(), now).Findings {
		if f.Kind != audit.NumberHeldTwice {
			continue
		}
		if got, want := ForItsUsers(&inv.Services[0], f), Of(&inv.Services[0], f); got != want || !strings.Contains(got.Remedy, "shop/old is the oldest") {
			t.Errorf("got %+v, want %+v", got, want)
		}
		return
	}
	t.Error("audit found no double")
}

func TestWhatIsNotKnownIsNotRepeated(t *testing.T) {
	own := service("shop", "web", 1, nodePort(30080))
	got := ForItsUsers(&own, audit.Finding{Kind: "New", Number: "30080", Message: "secret/hidden", Remedy: "see secret/hidden",
		Objects: []audit.Object{{Kind: "Service", Namespace: "shop", Name: "web"}, {Kind: "Service", Namespace: "secret", Name: "hidden"}}})
	want := diagnosis.NumberFinding{Reason: "New", Number: "30080", Message: "something is wrong with 30080 that concerns another namespace", Unallocated: true}
	if got != want {
		t.Errorf("got %+v", got)
	}
}

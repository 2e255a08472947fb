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

package audit

import (
	"fmt"
	"net/netip"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/placeholder"
)

const system = "switchyard-system"

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// hoursAgo is a time of creation.
func hoursAgo(n int) metav1.Time { return metav1.NewTime(now.Add(-time.Duration(n) * time.Hour)) }

func ref(namespace, name string) *v1alpha1.ServiceReference {
	return &v1alpha1.ServiceReference{Namespace: namespace, Name: name}
}

// service is one with a ClusterIP and NodePorts, as old as its hours.
func service(namespace, name string, hours int, ip string, nodePorts ...int32) corev1.Service {
	s := corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + name), CreationTimestamp: hoursAgo(hours)},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: ip, ClusterIPs: []string{ip}},
	}
	for i, port := range nodePorts {
		s.Spec.Type = corev1.ServiceTypeNodePort
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: fmt.Sprint("p", i), Port: int32(80 + i), NodePort: port})
	}
	return s
}

func ipAddressOf(ip, namespace, name string) networkingv1.IPAddress {
	return networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: ip, CreationTimestamp: hoursAgo(1)},
		Spec:       networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: namespace, Name: name}},
	}
}

func heldAddress(ip string) networkingv1.IPAddress {
	number := allocator.AddrNumber(netip.MustParseAddr(ip))
	return *placeholder.Address(allocator.Reservation{Number: number, Object: number.ReservationName()})
}

func heldPorts(ports ...int32) corev1.Service {
	s := *placeholder.Ports(system, ports...)
	s.CreationTimestamp = hoursAgo(1)
	return s
}

func claim(number allocator.Number, age time.Duration) coordinationv1.Lease {
	lease := *allocator.ClaimLease(system, allocator.Claim{Number: number, Created: now.Add(-age)}, "uid")
	lease.CreationTimestamp = metav1.NewTime(now.Add(-age))
	return lease
}

func portPool(name string, hours int, team string, ranges ...v1alpha1.PortRange) v1alpha1.PortPool {
	p := v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: hoursAgo(hours)}, Spec: v1alpha1.PortPoolSpec{Ranges: ranges}}
	if team != "" {
		p.Spec.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": team}}
	}
	return p
}

func addressPool(name string, use v1alpha1.AddressUse, team string, ranges ...v1alpha1.AddressRange) v1alpha1.AddressPool {
	return v1alpha1.AddressPool{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: hoursAgo(1)},
		Spec: v1alpha1.AddressPoolSpec{Use: use, Addresses: ranges, NamespaceSelector: &metav1.LabelSelector{
			MatchLabels: map[string]string{"team": team},
		}},
	}
}

func portReservation(port int32, to *v1alpha1.ServiceReference) v1alpha1.PortReservation {
	return v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(port)}, Spec: v1alpha1.PortReservationSpec{ServiceRef: to}}
}

func addressReservation(ip string, to *v1alpha1.ServiceReference) v1alpha1.AddressReservation {
	name := allocator.AddrNumber(netip.MustParseAddr(ip)).ReservationName()
	return v1alpha1.AddressReservation{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.AddressReservationSpec{Address: ip, ServiceRef: to}}
}

// endpoints are one of a pod of its own, one of no pod, and the pod of another.
func endpoints() inventory.Endpoints {
	return inventory.Endpoints{
		Slices: []discoveryv1.EndpointSlice{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
			Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.7"}}, {Addresses: []string{"192.0.2.9"}}},
		}},
		Pods: map[netip.Addr][]types.NamespacedName{
			netip.MustParseAddr("10.1.0.7"): {{Namespace: "b", Name: "over-soon"}, {Namespace: "a", Name: "web"}},
			netip.MustParseAddr("10.1.0.8"): {{Namespace: "b", Name: "db"}}, netip.MustParseAddr("10.1.0.9"): {{Namespace: "b", Name: "db-2"}},
		},
	}
}

// clean is a cluster in which everything is as it should be, with one of each
// thing that may be wrong in another.
func clean() *inventory.Inventory {
	shared := service("a", "shared", 5, "10.96.0.13")
	shared.Spec.Ports = []corev1.ServicePort{{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}}
	shared.Spec.ExternalIPs = []string{"192.0.2.1"}
	other := service("b", "shared", 5, "10.96.0.14")
	other.Spec.Ports = []corev1.ServicePort{{Name: "dns", Port: 53, Protocol: corev1.ProtocolTCP}}
	other.Spec.ExternalIPs = []string{"192.0.2.1"}
	kubernetes := service("default", "kubernetes", 99, "10.96.0.1")
	young := ipAddressOf("10.96.0.99", "a", "being-made")
	young.CreationTimestamp = metav1.NewTime(now.Add(-time.Second))
	gateway := ipAddressOf("10.96.0.98", "a", "gateway")
	gateway.Spec.ParentRef.Group, gateway.Spec.ParentRef.Resource = "gateway.networking.k8s.io", "gateways"
	placeholders := heldPorts(30070)
	placeholders.Spec.ClusterIPs, placeholders.Spec.ClusterIP = []string{"10.96.0.20"}, "10.96.0.20"
	return &inventory.Inventory{
		System:    system,
		NodePorts: inventory.NodePorts{Span: allocator.PortSpan{First: 30000, Last: 30099}, From: inventory.FromServer},
		Services: []corev1.Service{
			kubernetes, service("a", "web", 3, "10.96.0.10", 30010, 30011), service("b", "web", 2, "10.96.0.11", 30012),
			service("a", "kept", 1, "10.96.0.12", 30080), shared, other, placeholders,
		},
		IPAddresses: []networkingv1.IPAddress{
			ipAddressOf("10.96.0.1", "default", "kubernetes"), ipAddressOf("10.96.0.10", "a", "web"), ipAddressOf("10.96.0.11", "b", "web"),
			ipAddressOf("10.96.0.12", "a", "kept"), ipAddressOf("10.96.0.13", "a", "shared"), ipAddressOf("10.96.0.14", "b", "shared"),
			ipAddressOf("10.96.0.20", system, placeholders.Name), heldAddress("10.96.0.7"), young, gateway,
		},
		ServiceCIDRs: []networkingv1.ServiceCIDR{{
			ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/24"}},
		}},
		PortPools:    []v1alpha1.PortPool{portPool("team-a", 5, "a", "30080-30089")},
		AddressPools: []v1alpha1.AddressPool{addressPool("team-b", v1alpha1.UseClusterIP, "b", "10.96.0.11")},
		PortReservations: []v1alpha1.PortReservation{
			portReservation(30070, nil), portReservation(30012, ref("b", "web")),
		},
		AddressReservations: []v1alpha1.AddressReservation{addressReservation("10.96.0.7", nil), addressReservation("198.51.100.1", nil)},
		Endpoints:           endpoints(),
		Claims:              []coordinationv1.Lease{claim(allocator.PortNumber(30013), time.Second)},
		Namespaces:          map[string]labels.Set{"a": {"team": "a"}, "b": {"team": "b"}},
	}
}

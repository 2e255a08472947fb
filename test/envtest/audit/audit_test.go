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
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/inventory/usage"
	"switchyard.dev/switchyard/internal/placeholder"
)

// told is a finding in short.
func told(r audit.Report) []string {
	lines := []string{}
	for _, f := range r.Findings {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s", f.Kind, f.Number))+": "+audit.Texts(f.Objects))
	}
	slices.Sort(lines)
	return lines
}

func selecting(team string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"team": team}}
}

func TestEachSituationOnARealAPIServer(t *testing.T) {
	c := start(t)
	external := func(namespace, name string) *corev1.Service {
		s := service(namespace, name)
		s.Spec.ExternalIPs = []string{"192.0.2.1"}
		return s
	}
	c.create(t,
		at(service("a", "web", 30010), "10.0.1.10"), at(service("b", "full"), "10.0.1.11"), at(service("a", "missing"), "10.0.1.12"),
		at(service("a", "wrong"), "10.0.1.13"), at(service("b", "pooled", 30100), "10.0.1.14"), at(service("b", "taker", 30050), "10.0.1.15"),
		at(external("a", "edge"), "10.0.1.16"),
	)
	if diff := cmp.Diff([]string{}, told(audit.Run(c.look(t), time.Now()))); diff != "" {
		t.Fatalf("a cluster that is well (-want +got):\n%s", diff)
	}
	if x := c.look(t); x.NodePorts != (inventory.NodePorts{Span: allocator.PortSpan{First: 30000, Last: 30255}, From: inventory.FromServer}) || len(x.Unread) > 0 {
		t.Errorf("the range is %v, not read %v", x.NodePorts, x.Unread)
	}
	damage(t, c)
	// Claims and orphans are found when they are old.
	report := audit.Run(c.look(t), time.Now().Add(time.Hour))
	want := []string{
		"ClaimForNothing 30200: Lease switchyard-system/nodeport-30200",
		"EndpointOfOthers 10.244.0.9: EndpointSlice a/by-hand, Service a/web and Pod b/secret",
		"FrontendHeldTwice 192.0.2.1:80/TCP: Service a/edge and Service b/edge",
		"IPAddressMissing 10.0.1.12: Service a/missing",
		"IPAddressOrphan 10.0.1.50: IPAddress 10.0.1.50",
		"IPAddressWrongReference 10.0.1.13: IPAddress 10.0.1.13 and Service a/wrong",
		"NumberHeldTwice 10.0.1.10: Service a/web and Service b/same-address",
		"NumberHeldTwice 30010: Service a/web and Service b/same-port",
		"NumberInForeignPool 30100: Service b/pooled and PortPool team-a",
		"NumberOutOfRange 32000: Service a/outside",
		"ObjectUnreadable: PortPool unreadable",
		"PlaceholderForNothing 10.0.1.60: IPAddress 10.0.1.60",
		"PlaceholderForNothing 30070: Service switchyard-system/reserved-nodeport-30070",
		"PoolConflict 30105-30109: PortPool young and PortPool team-a",
		"PoolFull: PortPool full",
		"PoolOutOfRange 31000-31010: PortPool young",
		"RangeFull 10.1.0.0/30: ServiceCIDR small",
		"ReservationNotHeld 10.0.1.61: AddressReservation 10.0.1.61",
		"ReservationNotHeld 30080: PortReservation 30080",
		"ReservationOutOfRange 8080: PortReservation 8080",
		"ReservedNumberTaken 30050: Service b/taker and PortReservation 30050",
	}
	if diff := cmp.Diff(want, told(report)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	for _, kind := range audit.Kinds() {
		if !slices.ContainsFunc(report.Findings, func(f audit.Finding) bool { return f.Kind == kind }) {
			t.Errorf("nothing is %s", kind)
		}
	}
	t.Run("the tools", func(t *testing.T) { theTools(t, c) })
	t.Run("who may not list much", func(t *testing.T) { withoutRights(t, c) })
	t.Run("who has one namespace", func(t *testing.T) { inOneNamespace(t, c) })
}

// damage makes everything wrong that can be.
func damage(t *testing.T, c *cluster) {
	t.Helper()
	c.create(t,
		&v1alpha1.PortPool{
			ObjectMeta: metav1.ObjectMeta{Name: "team-a"},
			Spec:       v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30100-30109"}, Priority: 9, NamespaceSelector: selecting("a")},
		},
		&v1alpha1.PortPool{
			ObjectMeta: metav1.ObjectMeta{Name: "young"},
			Spec:       v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30105-30119", "31000-31010"}, NamespaceSelector: selecting("a")},
		},
		&v1alpha1.PortPool{
			ObjectMeta: metav1.ObjectMeta{Name: "full"},
			Spec:       v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30010"}, NamespaceSelector: nil},
		},
		&v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: "30050"}, Spec: v1alpha1.PortReservationSpec{
			ServiceRef: &v1alpha1.ServiceReference{Namespace: "a", Name: "rightful"},
		}},
		&v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: "30080"}},
		&v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: "8080"}},
		&v1alpha1.AddressReservation{ObjectMeta: metav1.ObjectMeta{Name: "10.0.1.61"}, Spec: v1alpha1.AddressReservationSpec{Address: "10.0.1.61"}},
		allocator.ClaimLease(system, allocator.Claim{Number: allocator.PortNumber(30200), Created: time.Now()}, "uid"),
		placeholder.Address(allocator.Reservation{Number: allocator.AddrNumber(netip.MustParseAddr("10.0.1.60")), Object: "10.0.1.60"}),
		placeholder.Ports(system, 30070),
	)
	// The address is named before there is a pod that has it.
	c.create(t, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "a", Name: "by-hand", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.244.0.9"}}},
	})
	secret := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "b", Name: "secret"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
	}
	c.create(t, secret)
	secret.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.244.0.9", PodIPs: []corev1.PodIP{{IP: "10.244.0.9"}}}
	if err := c.admin.Status().Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	edge := service("b", "edge")
	edge.Spec.ExternalIPs = []string{"192.0.2.1"}
	c.create(t, edge)
	// Last, as others would get its addresses as well. The server learns of it by
	// its own watch, and is asked in dry runs, which take none.
	c.create(t, &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.1.0.0/30"}}})
	eventually(t, func() error {
		return c.admin.Create(t.Context(), at(service("a", "small-1"), "10.1.0.1"), client.DryRunAll)
	})
	c.create(t, at(service("a", "small-1"), "10.1.0.1"), at(service("a", "small-2"), "10.1.0.2"))
	c.stopRepair(t)
	for _, ip := range []string{"10.0.1.12", "10.0.1.13"} {
		if err := c.admin.Delete(t.Context(), &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: ip}}); err != nil {
			t.Fatal(err)
		}
	}
	c.create(t, ipAddress("10.0.1.13", "a", "somebody-else"), ipAddress("10.0.1.50", "a", "gone"))
	store(t, c)
}

// store adds what no API server accepts, and waits until it knows.
func store(t *testing.T, c *cluster) {
	t.Helper()
	objects := map[string]any{"switchyard.dev/portpools/unreadable": map[string]any{
		"apiVersion": "switchyard.dev/v1alpha1", "kind": "PortPool", "spec": map[string]any{"ranges": []string{"everything"}},
		"metadata": map[string]any{"name": "unreadable", "uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"},
	}}
	add := func(key string, object *corev1.Service) { objects[key] = object }
	ports := func(nodePort int32) []corev1.ServicePort {
		return []corev1.ServicePort{{Port: 81, Protocol: corev1.ProtocolTCP, NodePort: nodePort}}
	}
	headless := []string{corev1.ClusterIPNone}
	add(stored("b", "same-port", corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: corev1.ClusterIPNone, ClusterIPs: headless, Ports: ports(30010)}))
	add(stored("a", "outside", corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: corev1.ClusterIPNone, ClusterIPs: headless, Ports: ports(32000)}))
	add(stored("b", "same-address", corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.0.1.10", ClusterIPs: []string{"10.0.1.10"}, Ports: ports(0),
	}))
	c.store(t, objects)
	eventually(t, func() error {
		for _, object := range []client.Object{
			&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "b", Name: "same-port"}},
			&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "b", Name: "same-address"}},
			&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "outside"}},
			&v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: "unreadable"}},
		} {
			if err := c.admin.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
				return err
			}
		}
		return nil
	})
}

// BenchmarkTenThousand reads, indexes, audits and counts a cluster of 10,000
// Services with an IPAddress each.
func BenchmarkTenThousand(b *testing.B) {
	c := start(b)
	objects := map[string]any{}
	const services = 10_000
	for i := range services {
		ip := netip.AddrFrom4([4]byte{10, 0, byte(4 + i>>8), byte(i)}).String()
		key, s := stored("a", fmt.Sprint("s", i), corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: ip, ClusterIPs: []string{ip}, Selector: map[string]string{"app": fmt.Sprint("s", i)},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}},
		})
		s.ManagedFields = []metav1.ManagedFieldsEntry{{
			Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply, APIVersion: "v1", FieldsType: "FieldsV1",
			FieldsV1: &metav1.FieldsV1{Raw: fmt.Appendf(nil, `{"f:spec":{"f:ports":{%q:{}}}}`, strings.Repeat("x", 500))},
		}}
		objects[key] = s
		address := ipAddress(ip, "a", s.Name)
		address.TypeMeta = metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "IPAddress"}
		address.CreationTimestamp = metav1.Now()
		objects["ipaddresses/"+ip] = address
	}
	c.store(b, objects)
	for len(c.look(b).Services) < services {
	}
	b.ReportAllocs()
	for b.Loop() {
		x := c.look(b)
		if report := audit.Run(x, time.Now()); len(report.Findings) > 0 {
			b.Fatalf("findings: %v", told(report)[:1])
		}
		if report := usage.Of(x); report.Ranges[1].Allocated < services {
			b.Fatalf("only %d are counted", report.Ranges[1].Allocated)
		}
	}
}

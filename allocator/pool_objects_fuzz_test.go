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

package allocator

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// FuzzPoolObjects: whatever is written in a pool, it is refused with a reason that
// names the object, or read as spans that an index can work with, whatever else is
// in it.
func FuzzPoolObjects(f *testing.F) {
	f.Add("30000-30099,30080", "30001", "10.96.0.0/24,fd00::1-fd00::9", "10.96.0.1", "team", "In", true)
	f.Add("0", "65536", "10.0.0.1/24", "::ffff:10.0.0.1", "", "Exists", false)
	f.Add("1-65535", "", "0.0.0.0/0,::/0", "255.255.255.255", "a/b", "NotIn", true)
	f.Add("30099-30000", "-", "fe80::1%eth0", "10.0.0.1-fd00::1", "x", "DoesNotExist", false)
	f.Fuzz(func(t *testing.T, ports, reservedPorts, addrs, reservedAddrs, key, operator string, buggy bool) {
		selector := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: metav1.LabelSelectorOperator(operator)}}}
		if key == "" {
			selector = nil
		}
		portPool := v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: "fuzzed"}, Spec: v1alpha1.PortPoolSpec{
			Ranges: list[v1alpha1.PortRange](ports), Reserved: list[v1alpha1.PortRange](reservedPorts), NamespaceSelector: selector,
		}}
		addrPool := v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: "fuzzed"}, Spec: v1alpha1.AddressPoolSpec{
			Use: v1alpha1.UseClusterIP, Addresses: list[v1alpha1.AddressRange](addrs), Reserved: list[v1alpha1.AddressRange](reservedAddrs),
			ServiceSelector: selector, AvoidBuggyIPs: buggy,
		}}
		readPort, portErr := PortPoolOf(&portPool)
		readAddr, addrErr := AddrPoolOf(&addrPool)
		for _, err := range []error{portErr, addrErr} {
			if err != nil && !strings.Contains(err.Error(), "Pool fuzzed: spec.") {
				t.Errorf("%v does not say where", err)
			}
		}
		spansMakeSense(t, readPort, readAddr)
		index := newIndex(t, "10.96.0.0/16", "fd00::/64")
		err := index.ObservePools([]v1alpha1.PortPool{portPool}, []v1alpha1.AddressPool{addrPool})
		if (err != nil) != (portErr != nil || addrErr != nil) {
			t.Errorf("taking it in: %v, reading it: %v and %v", err, portErr, addrErr)
		}
		for _, view := range index.PortPools() {
			if view.Count.Capacity > 2768 || view.Count.Free > view.Count.Capacity {
				t.Errorf("%q counts %+v", ports, view.Count)
			}
		}
		index.AddrPools()
		plan := index.Plan(PlanRequest{New: svc(nodePort, port("a", 80, 0)), Mode: Authoritative, DryRun: true})
		for _, a := range plan.Assignments {
			if !index.ranges.contains(a.Number) {
				t.Errorf("%s is assigned and lies in no range", a.Number)
			}
		}
	})
}

// spansMakeSense of what was read, also where other parts could not be.
func spansMakeSense(t *testing.T, ports PortPool, addrs AddrPool) {
	t.Helper()
	for _, s := range slices.Concat(ports.Ranges, ports.Reserved) {
		if s.First < 1 || s.Last < s.First || s.Last > 65535 {
			t.Errorf("ports %v", s)
		}
	}
	for _, s := range slices.Concat(addrs.Ranges, addrs.Reserved) {
		if !s.First.IsValid() || s.Last.Less(s.First) || s.First.BitLen() != s.Last.BitLen() || s.First.Zone() != "" || s.First.Is4In6() {
			t.Errorf("addresses %v", s)
		}
	}
}

func list[T ~string](joined string) []T {
	var items []T
	for item := range strings.SplitSeq(joined, ",") {
		items = append(items, T(item))
	}
	return items
}

// FuzzReservationObjects: a reservation that is read has the name of its number,
// and that name leads back to it.
func FuzzReservationObjects(f *testing.F) {
	f.Add("30080", "", "default", "web")
	f.Add("10.96.0.7", "10.96.0.7", "", "")
	f.Add("fd00-0000-0000-0000-0000-0000-0000-0007", "fd00::7", "default", "")
	f.Add("fd00-0000-0000-0000-0000-0000-0000-0007", "fd00::7%1", "", "web")
	f.Fuzz(func(t *testing.T, name, address, namespace, service string) {
		var ref *v1alpha1.ServiceReference
		if namespace != "" || service != "" {
			ref = &v1alpha1.ServiceReference{Namespace: namespace, Name: service}
		}
		port, portErr := ReservationOfPort(&v1alpha1.PortReservation{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.PortReservationSpec{ServiceRef: ref},
		})
		addr, addrErr := ReservationOfAddress(&v1alpha1.AddressReservation{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.AddressReservationSpec{Address: address, ServiceRef: ref},
		})
		for read, err := range map[*Reservation]error{&port: portErr, &addr: addrErr} {
			if err != nil {
				continue
			}
			parsed, err := ParseReservationName(name)
			if err != nil || parsed != read.Number || read.Number.ReservationName() != name || read.Object != name {
				t.Errorf("%q reserves %v and leads to %v (%v)", name, read.Number, parsed, err)
			}
			if ref != nil && !read.For(keyOf(svc(named(namespace, service)))) {
				t.Errorf("%+v is not for %s/%s", read, namespace, service)
			}
		}
		if addrErr == nil {
			if want, err := netip.ParseAddr(address); err != nil || want.Unmap() != addr.Number.Addr {
				t.Errorf("%q reserves %v", address, addr.Number)
			}
		}
	})
}

func named(namespace, name string) edit {
	return func(s *corev1.Service) { s.Namespace, s.Name = namespace, name }
}

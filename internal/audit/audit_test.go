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
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/inventory"
)

// told is a finding in short, with its number in front.
func told(r Report) []string {
	lines := []string{}
	for _, f := range r.Findings {
		lines = append(lines, strings.TrimSpace(strings.TrimSpace(fmt.Sprintf("%s %s %s", f.Severity, f.Kind, f.Number))+": "+Texts(f.Objects)))
	}
	return lines
}

func TestEachFindingOnce(t *testing.T) {
	tests := map[string]struct {
		damage func(*inventory.Inventory)
		kind   Kind
		want   []string
		says   string
	}{
		"nothing is wrong": {damage: func(*inventory.Inventory) {}},
		"a NodePort of two Services": {
			damage: func(i *inventory.Inventory) {
				i.Services[2].Spec.Ports[0].NodePort = 30010
				i.PortReservations = i.PortReservations[:1]
			},
			kind: NumberHeldTwice, want: []string{"error NumberHeldTwice 30010: Service a/web and Service b/web"},
			says: "a/web is the oldest and keeps it; give another nodePort to b/web (free: 30012, 30014-30069, 30071-30079, ...)",
		},
		"a NodePort of two Services, of which one has a pool": {
			damage: func(i *inventory.Inventory) {
				i.Services[2].Spec.Ports[0].NodePort = 30080
				i.PortReservations = i.PortReservations[:1]
			},
			kind: NumberHeldTwice, want: []string{
				"error NumberHeldTwice 30080: Service b/web and Service a/kept",
				"warning NumberInForeignPool 30080: Service b/web and PortPool team-a",
			},
			says: "b/web is the oldest and keeps it; give another nodePort to a/kept (free: 30081-30089)",
		},
		"a health check's port that is a NodePort": {
			damage: func(i *inventory.Inventory) {
				s := &i.Services[4]
				s.Spec.Type, s.Spec.ExternalTrafficPolicy, s.Spec.HealthCheckNodePort = "LoadBalancer", "Local", 30010
			},
			kind: NumberHeldTwice, want: []string{"error NumberHeldTwice 30010: Service a/shared and Service a/web"},
		},
		"a ClusterIP of two Services": {
			damage: func(i *inventory.Inventory) { i.Services[3].Spec.ClusterIPs = []string{"10.96.0.10"} },
			kind:   NumberHeldTwice,
			want: []string{
				"error NumberHeldTwice 10.96.0.10: Service a/web and Service a/kept",
				"warning IPAddressOrphan 10.96.0.12: IPAddress 10.96.0.12", // what a/kept had before
			},
		},
		"an external IP with the port of another": {
			damage: func(i *inventory.Inventory) { i.Services[5].Spec.Ports[0].Protocol = corev1.ProtocolUDP },
			kind:   FrontendHeldTwice, want: []string{"error FrontendHeldTwice 192.0.2.1:53/UDP: Service a/shared and Service b/shared"},
		},
		"an external IP that is a ClusterIP": {
			damage: func(i *inventory.Inventory) {
				i.Services[4].Spec.ExternalIPs = []string{"10.96.0.10"}
				i.Services[4].Spec.Ports[0] = corev1.ServicePort{Port: 81}
			},
			kind: FrontendHeldTwice, want: []string{"error FrontendHeldTwice 10.96.0.10:81/TCP: Service a/shared and Service a/web"},
		},
		"endpoints that are pods of others": {
			damage: func(i *inventory.Inventory) {
				i.Endpoints.Slices[0].Endpoints[0].Addresses = []string{"10.1.0.7", "10.1.0.8", "10.1.0.9"}
			},
			kind: EndpointOfOthers, want: []string{"error EndpointOfOthers 10.1.0.8: EndpointSlice a/web-1, Service a/web and Pod b/db"},
			says: "led to the pod b/db, and to 1 more of other namespaces",
		},
		"endpoints that are meant to be pods of others": {
			damage: func(i *inventory.Inventory) {
				i.Endpoints.Slices[0].Endpoints[0].Addresses = []string{"10.1.0.8"}
				i.Namespaces["a"][foreignPodsLabel] = "off"
			},
			kind: EndpointOfOthers, want: nil,
		},
		"addresses of a slice that is no Service's": {
			damage: func(i *inventory.Inventory) {
				i.Endpoints.Slices[0].Endpoints[0].Addresses = []string{"10.1.0.8"}
				i.Endpoints.Slices[0].Labels = nil
			},
			kind: EndpointOfOthers, want: nil, // no node reads it
		},
		"a reserved port that another manager's placeholder has": {
			damage: func(i *inventory.Inventory) { i.Services[len(i.Services)-1].Namespace = "elsewhere" },
			kind:   ReservedNumberTaken, says: "placeholder of a manager in namespace elsewhere: if one runs there, say so with --manager-namespace",
			want: []string{"error ReservedNumberTaken 30070: Service elsewhere/reserved-nodeport-30070 and PortReservation 30070",
				"error IPAddressWrongReference 10.96.0.20: IPAddress 10.96.0.20 and Service elsewhere/reserved-nodeport-30070"},
		},
		"a reserved port that another has": {
			damage: func(i *inventory.Inventory) { i.PortReservations[1].Spec.ServiceRef = ref("c", "web") },
			kind:   ReservedNumberTaken, want: []string{"error ReservedNumberTaken 30012: Service b/web and PortReservation 30012"},
			says: "is reserved for Service c/web, and held by b/web",
		},
		"a port that is in no range": {
			damage: func(i *inventory.Inventory) { i.Services[1].Spec.Ports[0].NodePort = 31000 },
			kind:   NumberOutOfRange, want: []string{"warning NumberOutOfRange 31000: Service a/web"}, says: "not in 30000-30099",
		},
		"a ClusterIP that is in no range": {
			damage: func(i *inventory.Inventory) {
				i.Services[1].Spec.ClusterIPs = []string{"10.97.0.10"}
				i.IPAddresses[1].Name = "10.97.0.10"
			},
			kind: NumberOutOfRange, want: []string{"warning NumberOutOfRange 10.97.0.10: Service a/web"}, says: "not in 10.96.0.0/24",
		},
		"a port of a pool for others": {
			damage: func(i *inventory.Inventory) { i.PortPools[0].Spec.Ranges = []v1alpha1.PortRange{"30012-30020"} },
			kind:   NumberInForeignPool, want: nil, // it is reserved for b/web, which is a pass
		},
		"a port of a pool for others, not reserved": {
			damage: func(i *inventory.Inventory) {
				i.PortPools[0].Spec.Ranges = []v1alpha1.PortRange{"30012-30020"}
				i.PortReservations = i.PortReservations[:1]
			},
			kind: NumberInForeignPool, want: []string{"warning NumberInForeignPool 30012: Service b/web and PortPool team-a"},
		},
		"an external IP of a pool for others": {
			damage: func(i *inventory.Inventory) {
				i.AddressPools = append(i.AddressPools, addressPool("edge", v1alpha1.UseExternalIP, "b", "192.0.2.0/24"))
			},
			kind: NumberInForeignPool, want: []string{"warning NumberInForeignPool 192.0.2.1: Service a/shared and AddressPool edge"},
		},
		"a ClusterIP without its IPAddress": {
			damage: func(i *inventory.Inventory) { i.IPAddresses = slices.Delete(i.IPAddresses, 1, 2) },
			kind:   IPAddressMissing, want: []string{"error IPAddressMissing 10.96.0.10: Service a/web"},
		},
		"an IPAddress that names another": {
			damage: func(i *inventory.Inventory) { i.IPAddresses[1].Spec.ParentRef.Name = "web2" },
			kind:   IPAddressWrongReference, want: []string{"error IPAddressWrongReference 10.96.0.10: IPAddress 10.96.0.10 and Service a/web"},
		},
		"an IPAddress of ours that a Service has": {
			damage: func(i *inventory.Inventory) { i.IPAddresses[1] = heldAddress("10.96.0.10") },
			kind:   IPAddressWrongReference, want: []string{"error IPAddressWrongReference 10.96.0.10: IPAddress 10.96.0.10 and Service a/web"},
			says: "belongs to addressreservations.switchyard.dev 10.96.0.10",
		},
		"an IPAddress of no Service": {
			damage: func(i *inventory.Inventory) {
				i.IPAddresses = append(i.IPAddresses, ipAddressOf("10.96.0.50", "a", "gone"))
			},
			kind: IPAddressOrphan, want: []string{"warning IPAddressOrphan 10.96.0.50: IPAddress 10.96.0.50"},
		},
		"a placeholder's port for nothing": {
			damage: func(i *inventory.Inventory) { i.PortReservations = i.PortReservations[1:] },
			kind:   PlaceholderForNothing,
			want:   []string{"warning PlaceholderForNothing 30070: Service switchyard-system/reserved-nodeport-30070"},
		},
		"a placeholder's port that a Service has": {
			damage: func(i *inventory.Inventory) {
				i.PortReservations[0].Spec.ServiceRef = ref("a", "web")
				i.Services[1].Spec.Ports[0].NodePort = 30070
			},
			kind: PlaceholderForNothing,
			want: []string{"warning PlaceholderForNothing 30070: Service switchyard-system/reserved-nodeport-30070"},
			says: "is held by a Service",
		},
		"an IPAddress of ours for nothing": {
			damage: func(i *inventory.Inventory) { i.AddressReservations = i.AddressReservations[1:] },
			kind:   PlaceholderForNothing, want: []string{"warning PlaceholderForNothing 10.96.0.7: IPAddress 10.96.0.7"},
		},
		"a claim that nobody collects": {
			damage: func(i *inventory.Inventory) { i.Claims[0] = claim(allocator.PortNumber(30013), time.Hour) },
			kind:   ClaimForNothing, want: []string{"warning ClaimForNothing 30013: Lease switchyard-system/nodeport-30013"},
		},
		"a reserved port that nothing holds": {
			damage: func(i *inventory.Inventory) {
				i.PortReservations = append(i.PortReservations, portReservation(30050, ref("a", "x")))
			},
			kind: ReservationNotHeld, want: []string{"warning ReservationNotHeld 30050: PortReservation 30050"},
		},
		"a reserved ClusterIP that nothing holds": {
			damage: func(i *inventory.Inventory) {
				i.AddressReservations = append(i.AddressReservations, addressReservation("10.96.0.8", nil))
			},
			kind: ReservationNotHeld, want: []string{"warning ReservationNotHeld 10.96.0.8: AddressReservation 10.96.0.8"},
		},
		"a reserved port that is being handed over": {
			damage: func(i *inventory.Inventory) {
				i.PortReservations = append(i.PortReservations, portReservation(30013, ref("a", "x")))
			},
		},
		"a reserved port that is in no range": {
			damage: func(i *inventory.Inventory) {
				i.PortReservations = append(i.PortReservations, portReservation(8080, nil))
			},
			kind: ReservationOutOfRange, want: []string{"warning ReservationOutOfRange 8080: PortReservation 8080"},
		},
		"a range of ports that is full": {
			damage: func(i *inventory.Inventory) {
				i.NodePorts.Span = allocator.PortSpan{First: 30010, Last: 30013}
				i.PortPools, i.PortReservations = nil, i.PortReservations[1:]
				i.Services[3].Spec.Ports = nil
				i.Services = i.Services[:6]
				i.IPAddresses[6].Name = "10.96.0.99"
				i.Services[2].Spec.Ports = append(i.Services[2].Spec.Ports, corev1.ServicePort{Name: "p1", Port: 81, NodePort: 30013})
			},
			kind: RangeFull, want: []string{"error RangeFull 30010-30013:"},
		},
		"a range of ports whose last one is claimed": {
			damage: func(i *inventory.Inventory) {
				i.NodePorts.Span = allocator.PortSpan{First: 30010, Last: 30013}
				i.PortPools, i.PortReservations = nil, i.PortReservations[1:]
				i.Services[3].Spec.Ports = nil
				i.Services = i.Services[:6]
				i.IPAddresses[6].Name = "10.96.0.99"
			},
			kind: RangeFull, want: nil, // the claim is over within a minute
		},
		"an external IP of a headless Service and of an alias": {
			damage: func(i *inventory.Inventory) {
				i.Services[5].Spec.Ports[0].Protocol = corev1.ProtocolUDP
				i.Services[5].Spec.ClusterIP, i.Services[5].Spec.ClusterIPs = "None", []string{"None"}
				alias := service("b", "alias", 5, "")
				alias.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalIPs: []string{"192.0.2.1"}, Ports: i.Services[5].Spec.Ports}
				i.Services = append(i.Services, alias)
				i.IPAddresses = slices.Delete(i.IPAddresses, 5, 6)
			},
			kind: FrontendHeldTwice, want: nil, // no node answers at it for them
		},
		"a ServiceCIDR that is full": {
			damage: func(i *inventory.Inventory) {
				i.ServiceCIDRs = append(i.ServiceCIDRs, networkingv1.ServiceCIDR{
					ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.99.0.0/30"}},
				})
				i.AddressReservations = append(i.AddressReservations, addressReservation("10.99.0.1", nil), addressReservation("10.99.0.2", nil))
				i.IPAddresses = append(i.IPAddresses, heldAddress("10.99.0.1"), heldAddress("10.99.0.2"))
			},
			kind: RangeFull, want: []string{"error RangeFull 10.99.0.0/30: ServiceCIDR small"},
		},
		"a pool that is full": {
			damage: func(i *inventory.Inventory) { i.PortPools[0].Spec.Ranges = []v1alpha1.PortRange{"30080"} },
			kind:   PoolFull, want: []string{"warning PoolFull: PortPool team-a"},
		},
		"a pool of addresses that is full": {
			damage: func(i *inventory.Inventory) { i.AddressPools[0].Spec.AutoAssign = nil },
			kind:   PoolFull, want: []string{"warning PoolFull IPv4: AddressPool team-b"},
		},
		"pools that overlap": {
			damage: func(i *inventory.Inventory) {
				i.PortPools = append(i.PortPools, portPool("young", 1, "a", "30085-30095"))
			},
			kind: PoolConflict, want: []string{"warning PoolConflict 30085-30089: PortPool young and PortPool team-a"},
			says: "belongs to team-a, which has precedence",
		},
		"a pool with ports of no range": {
			damage: func(i *inventory.Inventory) {
				i.PortPools[0].Spec.Ranges = []v1alpha1.PortRange{"30080-30089", "31000"}
			},
			kind: PoolOutOfRange, want: []string{"warning PoolOutOfRange 31000: PortPool team-a"},
		},
		"a pool with addresses of no range": {
			damage: func(i *inventory.Inventory) {
				i.AddressPools[0].Spec.Addresses = append(i.AddressPools[0].Spec.Addresses, "10.97.0.0/30")
			},
			kind: PoolOutOfRange, want: []string{"warning PoolOutOfRange 10.97.0.0-10.97.0.3: AddressPool team-b"},
		},
		"a pool that makes no sense": {
			damage: func(i *inventory.Inventory) { i.PortPools[0].Spec.Ranges = []v1alpha1.PortRange{"x"} },
			kind:   ObjectUnreadable, want: []string{"warning ObjectUnreadable: PortPool team-a"}, says: "spec.ranges[0]",
		},
		"a claim that makes no sense": {
			damage: func(i *inventory.Inventory) { i.Claims[0].Name = "web" },
			kind:   ObjectUnreadable, want: []string{"warning ObjectUnreadable: Lease switchyard-system/web"},
		},
	}
	seen := map[Kind]bool{}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inv := clean()
			no := false
			inv.AddressPools[0].Spec.AutoAssign = &no // its one address is taken
			tc.damage(inv)
			report := Run(inv.Index(), now)
			want := tc.want
			if want == nil {
				want = []string{}
			}
			if diff := cmp.Diff(want, told(report)); diff != "" {
				t.Fatalf("findings (-want +got):\n%s", diff)
			}
			for _, f := range report.Findings {
				seen[f.Kind] = true
				if f.Kind == tc.kind && !strings.Contains(f.Message+" | "+f.Remedy, tc.says) || f.Remedy == "" || f.Message == "" {
					t.Errorf("it says %q, and to do %q; want %q", f.Message, f.Remedy, tc.says)
				}
			}
		})
	}
	for _, kind := range Kinds() {
		if !seen[kind] {
			t.Errorf("no test finds %s", kind)
		}
	}
}

func TestTheOrderOfObjectsDoesNotMatter(t *testing.T) {
	inv := clean()
	inv.Services[2].Spec.Ports[0].NodePort, inv.Services[3].Spec.Ports[0].NodePort = 30010, 30010
	inv.IPAddresses = append(inv.IPAddresses[2:], ipAddressOf("10.96.0.50", "a", "gone"), ipAddressOf("10.96.0.51", "a", "gone"))
	inv.PortPools = append(inv.PortPools, portPool("young", 1, "a", "30085-30095"), portPool("twin", 1, "a", "30085-30095"))
	want := Run(inv.Index(), now)
	if len(want.Findings) < 7 {
		t.Fatalf("only %d findings: %v", len(want.Findings), told(want))
	}
	slices.Reverse(inv.Services)
	slices.Reverse(inv.IPAddresses)
	slices.Reverse(inv.PortPools)
	for range 5 { // maps have another order each time
		if diff := cmp.Diff(want, Run(inv.Index(), now), cmp.AllowUnexported(Finding{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Fatalf("another report (-want +got):\n%s", diff)
		}
	}
}

func TestADisabledPoolIsNotFull(t *testing.T) {
	inv := clean() // its one address is taken
	inv.AddressPools[0].Spec.Disabled = true
	if diff := cmp.Diff([]string{}, told(Run(inv.Index(), now))); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestAnAssumedRangeAccusesNobody(t *testing.T) {
	inv := clean()
	no := false
	inv.AddressPools[0].Spec.AutoAssign = &no
	inv.Services[1].Spec.Ports[0].NodePort = 31000
	inv.PortPools[0].Spec.Ranges = append(inv.PortPools[0].Spec.Ranges, "31001")
	inv.PortReservations = append(inv.PortReservations, portReservation(8080, nil))
	inv.NodePorts.From = inventory.Assumed
	if diff := cmp.Diff([]string{}, told(Run(inv.Index(), now))); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestOnlyWhatIsSeenTwiceIsReported(t *testing.T) {
	inv := clean()
	inv.IPAddresses = slices.Delete(inv.IPAddresses, 1, 3)
	first := Run(inv.Index(), now)
	again := clean()
	again.IPAddresses = slices.Delete(again.IPAddresses, 2, 3)
	report := first.Confirm(Run(again.Index(), now))
	want := []string{"error IPAddressMissing 10.96.0.11: Service b/web", "warning PoolFull IPv4: AddressPool team-b"}
	if diff := cmp.Diff(want, told(report)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestAnotherProblemOfTheSameObjectConfirmsNothing(t *testing.T) {
	inv := clean()
	inv.IPAddresses = slices.Delete(inv.IPAddresses, 1, 2)
	moved := clean()
	moved.ServiceCIDRs[0].Spec.CIDRs = []string{"10.97.0.0/24"} // what lacked its IPAddress is out of range now
	first := Run(inv.Index(), now)
	if report := first.Confirm(Run(moved.Index(), now)); slices.ContainsFunc(report.Findings, func(f Finding) bool { return f.Kind == IPAddressMissing }) {
		t.Errorf("findings %v", told(report))
	}
}

func TestPrintedForPeople(t *testing.T) {
	inv := clean()
	inv.IPAddresses = slices.Delete(inv.IPAddresses, 1, 2)
	inv.Unread = []inventory.Unread{{Kind: inventory.Claims, Message: "you may not list claims"}}
	report := Run(inv.Index(), now)
	for wide, want := range map[bool]string{
		false: `SEVERITY  FINDING           NUMBER      OBJECTS
error     IPAddressMissing  10.96.0.10  Service a/web
          ClusterIP 10.96.0.10 has no IPAddress: the API server may give it to another Service
          -> the API server's repair makes one; if this stays, its log says why it can not
warning   PoolFull          IPv4        AddressPool team-b
          the pool has no free IPv4 address: Services that it is for get one of another pool, or are refused
          -> delete Services or reservations, or give the pool more
not checked: you may not list claims
1 error, 1 warning.
`,
		true: `SEVERITY  FINDING           NUMBER      OBJECTS             WHAT                                                                                                 REMEDY
error     IPAddressMissing  10.96.0.10  Service a/web       ClusterIP 10.96.0.10 has no IPAddress: the API server may give it to another Service                 the API server's repair makes one; if this stays, its log says why it can not
warning   PoolFull          IPv4        AddressPool team-b  the pool has no free IPv4 address: Services that it is for get one of another pool, or are refused  delete Services or reservations, or give the pool more
not checked: you may not list claims
1 error, 1 warning.
`,
	} {
		var out strings.Builder
		if err := report.Print(&out, wide); err != nil {
			t.Fatal(err)
		}
		got := strings.Split(out.String(), "\n")
		if wide { // the widths are not the point
			want, got = strings.Join(collapse(want), "\n"), collapse(out.String())
		}
		if diff := cmp.Diff(strings.Split(want, "\n"), got); diff != "" {
			t.Errorf("wide %v (-want +got):\n%s", wide, diff)
		}
	}
}

// collapse leaves the width of columns open.
func collapse(text string) []string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
	}
	return lines
}

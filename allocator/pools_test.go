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
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/api/v1alpha1"
)

var sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// portPool is a pool that is given automatically, for namespaces of the team.
func portPool(name, team string, priority int32, created int64, ranges ...PortSpan) PortPool {
	pool := PortPool{Name: name, Priority: priority, Created: time.Unix(created, 0), Ranges: ranges, AutoAssign: true}
	if team != "" {
		pool.Namespaces = labels.SelectorFromSet(teamLabels(team))
	}
	return pool
}

func teamLabels(team string) labels.Set { return labels.Set{"team": team} }

func addrPool(name, team string, use v1alpha1.AddressUse, ranges ...string) AddrPool {
	pool := AddrPool{Name: name, Use: use, AutoAssign: true, Created: time.Unix(1, 0)}
	for _, text := range ranges {
		s, err := parseAddrRange(text)
		if err != nil {
			panic(err)
		}
		pool.Ranges = append(pool.Ranges, s)
	}
	if team != "" {
		pool.Namespaces = labels.SelectorFromSet(teamLabels(team))
	}
	return pool
}

func TestAPortIsOfThePoolWithPrecedence(t *testing.T) {
	cases := map[string]struct {
		pools         []PortPool
		wantOwner     string // of port 30150, which all of them have
		wantConflicts map[string][]string
		wantEffective map[string]string
	}{
		"the higher priority": {
			pools:         []PortPool{portPool("a", "", 1, 1, PortSpan{30100, 30199}), portPool("b", "", 2, 9, PortSpan{30150, 30160})},
			wantOwner:     "b",
			wantConflicts: map[string][]string{"a": {"b 30150-30160"}},
			wantEffective: map[string]string{"a": "[30100-30149 30161-30199]", "b": "[30150-30160]"},
		},
		"then the older": {
			pools:         []PortPool{portPool("a", "", 1, 9, PortSpan{30100, 30150}), portPool("b", "", 1, 1, PortSpan{30150, 30199})},
			wantOwner:     "b",
			wantConflicts: map[string][]string{"a": {"b 30150-30150"}},
			wantEffective: map[string]string{"a": "[30100-30149]", "b": "[30150-30199]"},
		},
		"then the first by name, and all before it are named": {
			pools: []PortPool{
				portPool("c", "", 1, 1, PortSpan{30140, 30180}), portPool("b", "", 1, 1, PortSpan{30150, 30160}), portPool("a", "", 1, 1, PortSpan{30100, 30155}),
			},
			wantOwner:     "a",
			wantConflicts: map[string][]string{"b": {"a 30150-30155"}, "c": {"a 30140-30155", "b 30150-30160"}},
			wantEffective: map[string]string{"a": "[30100-30155]", "b": "[30156-30160]", "c": "[30161-30180]"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			index := newIndex(t)
			index.SetPools(tc.pools, nil)
			if owner, ok := index.PortPoolOf(30150); !ok || owner.Name != tc.wantOwner {
				t.Errorf("port 30150 is of %q, want %q", owner.Name, tc.wantOwner)
			}
			conflicts, effective := map[string][]string{}, map[string]string{}
			for _, view := range index.PortPools() {
				effective[view.Name] = fmt.Sprint(view.Effective)
				for _, c := range view.Conflicts {
					conflicts[view.Name] = append(conflicts[view.Name], fmt.Sprintf("%s %s", c.With, c.Span))
				}
			}
			if diff := cmp.Diff(tc.wantConflicts, conflicts); diff != "" {
				t.Errorf("conflicts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantEffective, effective); diff != "" {
				t.Errorf("effective ports (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAPortPoolCountsWhatTheServerCanGive(t *testing.T) {
	index := newIndex(t)
	index.SetPools([]PortPool{portPool("edge", "", 0, 1, PortSpan{29990, 30009})}, nil)
	index.Observe(stored(nodePortService("web", 30001, 29999, 30500), "u1", 1))
	index.Reserve(Reservation{Number: PortNumber(30001), Object: "30001", Service: types.NamespacedName{Namespace: "default", Name: "web"}})
	index.Reserve(Reservation{Number: PortNumber(30002), Object: "30002"})
	index.Claim(Claim{Number: PortNumber(30003)})

	view := index.PortPools()[0]
	if want := (PoolCount{Capacity: 10, Allocated: 1, Reserved: 1, Free: 8}); view.Count != want {
		t.Errorf("counted %+v, want %+v", view.Count, want)
	}
	if got := fmt.Sprint(view.Outside); got != "[29990-29999]" {
		t.Errorf("outside of the server's range: %s", got)
	}
}

func TestAddressPoolsOfDifferentUsesDoNotConflict(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24", "fd00::/112")
	cluster := addrPool("cluster", "", v1alpha1.UseClusterIP, "10.0.0.250-10.0.1.9", "fd00::10-fd00::1f")
	balancer := addrPool("balancer", "", v1alpha1.UseLoadBalancer, "192.0.2.0/29", "2001:db8::/32")
	external := addrPool("external", "", v1alpha1.UseExternalIP, "192.0.2.0/30")
	index.SetPools(nil, []AddrPool{cluster, external, balancer})

	web := nodePortService("web")
	web.Spec.ClusterIP, web.Spec.ClusterIPs = "10.0.0.251", []string{"10.0.0.251", "fd00::11"}
	web.Spec.ExternalIPs = []string{"192.0.2.1", "198.51.100.1"}
	web.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}, {IP: "2001:db8::1"}, {Hostname: "example.com"}}
	index.Observe(stored(web, "u1", 1))
	for _, text := range []string{"10.0.0.252", "192.0.2.2"} {
		addr := netip.MustParseAddr(text)
		index.Reserve(Reservation{Number: AddrNumber(addr), Object: text})
	}

	type counts struct {
		IPv4, IPv6 PoolCount
		Outside    string
	}
	got := map[string]counts{}
	for _, view := range index.AddrPools() {
		if len(view.Conflicts) > 0 {
			t.Errorf("%s conflicts: %v", view.Name, view.Conflicts)
		}
		got[view.Name] = counts{view.IPv4, view.IPv6, fmt.Sprint(view.Outside)}
	}
	all := ^uint64(0)
	want := map[string]counts{
		"cluster": {PoolCount{5, 1, 1, 3}, PoolCount{16, 1, 0, 15}, "[10.0.0.255-10.0.1.9]"},
		// An address of a load balancer may as well be an external IP: it counts in both.
		"balancer": {PoolCount{8, 1, 1, 6}, PoolCount{all, 1, 0, all - 1}, "[]"},
		"external": {PoolCount{4, 1, 1, 2}, PoolCount{}, "[]"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	var names []string
	for _, pool := range index.AddrPoolsOf(netip.MustParseAddr("192.0.2.1")) {
		names = append(names, pool.Name)
	}
	if diff := cmp.Diff([]string{"balancer", "external"}, names); diff != "" {
		t.Errorf("pools of 192.0.2.1 (-want +got):\n%s", diff)
	}
	name := keyOf(web)
	users := []AddressUser{{v1alpha1.UseLoadBalancer, name}, {v1alpha1.UseExternalIP, name}}
	if diff := cmp.Diff(users, index.AddressUsers(netip.MustParseAddr("192.0.2.1"))); diff != "" {
		t.Errorf("users of 192.0.2.1 (-want +got):\n%s", diff)
	}
	index.Forget(name, "u1")
	if got := index.AddressUsers(netip.MustParseAddr("192.0.2.1")); got != nil {
		t.Errorf("the Service is gone and still uses it: %v", got)
	}
}

func TestPoolsOfANamespaceComeByPriorityThenName(t *testing.T) {
	index := newIndex(t)
	index.SetPools([]PortPool{
		portPool("c", "red", 5, 1, PortSpan{30100, 30109}), portPool("b", "red", 5, 2, PortSpan{30110, 30119}),
		portPool("a", "", 1, 3, PortSpan{30120, 30129}), portPool("d", "blue", 9, 4, PortSpan{30130, 30139}),
	}, nil)
	var names []string
	for _, pool := range index.PortPoolsFor(teamLabels("red")) {
		names = append(names, pool.Name)
	}
	if diff := cmp.Diff([]string{"b", "c", "a"}, names); diff != "" {
		t.Errorf("pools of the namespace (-want +got):\n%s", diff)
	}
}

func TestAReservedNumberIsUsedWhateverHappensToItsService(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24")
	web := nodePortService("web", 30080)
	number := PortNumber(30080)
	used := func(want bool, after string) {
		t.Helper()
		if got := index.ranges.ports.Has(30080); got != want {
			t.Errorf("after %s the port is used: %v, want %v", after, got, want)
		}
	}
	index.Reserve(Reservation{Number: number, Object: "30080", Service: keyOf(web), PortNames: []string{"p0"}})
	used(true, "the reservation")
	index.Observe(stored(web, "u1", 1))
	index.Claim(Claim{Number: number, Service: keyOf(web)})
	index.Forget(keyOf(web), "u1")
	used(true, "the end of the Service")
	index.Unclaim(Claim{Number: number, Service: keyOf(web)})
	used(true, "the end of the claim")
	if err := index.SetServiceCIDRs(nil, []ServiceCIDR{{Prefix: netip.MustParsePrefix("10.1.0.0/24"), Ready: true}}); err != nil {
		t.Fatal(err)
	}
	used(true, "another ServiceCIDR")
	index.Reserve(Reservation{Number: number, Object: "30080"}) // for nobody now
	if got := index.reservedNumbers(keyOf(web)); got != nil {
		t.Errorf("reserved for web: %v, but the reservation is for nobody now", got)
	}
	if r, ok := index.ReservationOf(number); !ok || r.For(types.NamespacedName{}) {
		t.Errorf("reservation %+v %v: want one that is for nobody", r, ok)
	}
	index.Unreserve(number)
	used(false, "the reservation was deleted")
	if len(index.reservations)+len(index.reservedFor) != 0 {
		t.Errorf("left behind: %v %v", index.reservations, index.reservedFor)
	}
}

func TestAReservedAddressIsUsedInEachServiceCIDRThatHasIt(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24")
	addr := netip.MustParseAddr("10.0.0.7")
	index.Reserve(Reservation{Number: AddrNumber(addr), Object: "10.0.0.7"})
	cidrs := []ServiceCIDR{{Prefix: netip.MustParsePrefix("10.0.0.0/16"), Ready: true}, {Prefix: netip.MustParsePrefix("10.0.0.0/24"), Ready: true}}
	if err := index.SetServiceCIDRs(nil, cidrs); err != nil {
		t.Fatal(err)
	}
	for _, a := range index.ranges.addrs {
		if !a.Has(addr) {
			t.Errorf("%s does not know that %s is reserved", a, addr)
		}
	}
}

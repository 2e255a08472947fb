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

package balancer

import (
	"net/netip"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// TestPlan has a case for each rule that a world at rest shows. The rows are
// those of the acceptance table of load balancers.
func TestPlan(t *testing.T) {
	const v4, v6 = "192.0.2.1-192.0.2.3", "2001:db8::1-2001:db8::2"
	node := Source{"Node", types.NamespacedName{Name: "node-1"}}
	a, b := svc("a"), svc("b")
	shared := svc("a", sharing("k", 80))
	for name, tc := range map[string]struct {
		world World
		want  string
		lost  string
	}{
		"L1: the lowest free one, the oldest Service first": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{svc("first"), svc("second")}},
			want:  "first=192.0.2.1 second=192.0.2.2"},
		"L1: pools by priority, then name": {
			world: World{
				Pools:    []allocator.AddrPool{pool("b", "198.51.100.1"), pool("a", "198.51.100.2"), pool("low", v4), pool("high", "203.0.113.1", priority(9))},
				Services: []Service{svc("s1"), svc("s2"), svc("s3"), svc("s4")}},
			want: "s1=203.0.113.1 s2=198.51.100.2 s3=198.51.100.1 s4=192.0.2.1"},
		"L1: a pool for other namespaces or Services gives nothing": {
			world: World{
				Pools:    []allocator.AddrPool{pool("red", v4, forNamespace("red")), pool("web", "198.51.100.1", forServices("app", "web"))},
				Services: []Service{svc("red/s"), svc("s"), svc("w", labelled("app", "web"))}},
			want: "red/s=192.0.2.1 s=NoPool w=198.51.100.1"},
		"L1: the pool asked for by name, if it is for the Service": {
			world: World{
				Pools:    []allocator.AddrPool{pool("a", v4), pool("b", "198.51.100.1"), pool("red", "203.0.113.1", forNamespace("red"))},
				Services: []Service{svc("s", from("b")), svc("next", from("b")), svc("strange", from("red")), svc("none", from("x"))}},
			want: "next=PoolExhausted none=NoPool s=198.51.100.1 strange=NoPool"},
		"overlapping pools: the address is the one's that has precedence": {
			world: World{Pools: []allocator.AddrPool{pool("a", v4), pool("red", "192.0.2.1-192.0.2.2", priority(1), forNamespace("red"))}, Services: []Service{svc("s")}},
			want:  "s=192.0.2.3"},
		"a pool for another use gives nothing": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4, func(o *v1alpha1.AddressPool) { o.Spec.Use = v1alpha1.UseExternalIP })}, Services: []Service{svc("s")}},
			want:  "s=NoPool"},
		"what can not be reached from outside is given to nobody": {
			world: World{Pools: []allocator.AddrPool{pool("p", "127.0.0.0/8 169.254.0.0/16 224.0.0.1 0.0.0.1 198.51.100.9 fe80::/10")}, Services: []Service{svc("s", prefer), svc("t")}},
			want:  "s=198.51.100.9 t=PoolExhausted"},

		"L2: SingleStack is the first family": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4+" "+v6)}, Services: []Service{svc("s"), svc("six", ipv6)}},
			want:  "s=192.0.2.1 six=2001:db8::1"},
		"L2: both families, in the Service's order": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4+" "+v6)}, Services: []Service{svc("s", require), svc("t", prefer)}},
			want:  "s=192.0.2.1+2001:db8::1 t=192.0.2.2+2001:db8::2"},
		"L2: PreferDualStack takes what there is": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4), pool("six", v6, forNamespace("red"))}, Services: []Service{svc("s", prefer), svc("t", prefer)}},
			want:  "s=192.0.2.1 t=192.0.2.2"},
		"L2: RequireDualStack gets both or none": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4+" 2001:db8::1")}, Services: []Service{svc("s", require), svc("t", require), svc("u")}},
			want:  "s=192.0.2.1+2001:db8::1 t=PoolExhausted u=192.0.2.2"},
		"L2: a pool of one family says nothing about the other": {
			world: World{Pools: []allocator.AddrPool{pool("four", v4, priority(9)), pool("six", v6)}, Services: []Service{svc("s", require)}},
			want:  "s=192.0.2.1+2001:db8::1"},

		"L4: who has an address is known before who waits, however old": {
			world: World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a, b}, Claims: []Claim{claim("192.0.2.1", b)}},
			want:  "a=PoolExhausted b=192.0.2.1"},
		"L4: the status is enough where the claim is lost": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{a, with(b, status("192.0.2.1"))}},
			want:  "a=192.0.2.2 b=192.0.2.1"},
		"L4: a claim goes before a status": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{with(a, status("192.0.2.1")), b}, Claims: []Claim{claim("192.0.2.1", b)}},
			want:  "a=192.0.2.2 b=192.0.2.1"},
		"a claim of a Service that was deleted and created again is void": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{a, b},
				Claims: []Claim{claim("192.0.2.3", with(b, func(s *Service) { s.UID = "before" }))}},
			want: "a=192.0.2.1 b=192.0.2.2"},
		"of two claims of one family the one that is asked for stays, else that of the status": {
			world: World{Pools: []allocator.AddrPool{pool("p", "192.0.2.0/28")}, Services: []Service{with(a, wish("192.0.2.2")), with(b, status("192.0.2.6"))},
				Claims: []Claim{claim("192.0.2.1", a), claim("192.0.2.2", a), claim("192.0.2.5", b), claim("192.0.2.6", b)}},
			want: "a=192.0.2.2 b=192.0.2.6", lost: "a-192.0.2.1:AddressMoved b-192.0.2.5:AddressMoved"},

		"of two claims the one that is asked for stays, whoever waits for an address": {
			world: World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1-192.0.2.2")}, Services: []Service{with(b, wish("192.0.2.2")), a},
				Claims: []Claim{claim("192.0.2.1", b), claim("192.0.2.2", b)}},
			want: "a=192.0.2.1 b=192.0.2.2", lost: "b-192.0.2.1:AddressMoved"},

		"L3: what is no longer in a pool for the Service is given up": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4, forNamespace("red")), pool("q", "198.51.100.1")}, Services: []Service{a}, Claims: []Claim{claim("192.0.2.1", a)}},
			want:  "a=198.51.100.1", lost: "a-192.0.2.1:AddressNotInPool"},
		"L3: an address that another pool has now is kept": {
			world: World{Pools: []allocator.AddrPool{pool("q", v4), pool("better", "198.51.100.1", priority(9))}, Services: []Service{a}, Claims: []Claim{claim("192.0.2.1", a)}},
			want:  "a=192.0.2.1"},
		"L3: neither a reservation nor a node nor a ServiceCIDR takes it away": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{a, b, svc("c")},
				Claims:       []Claim{claim("192.0.2.1", a), claim("192.0.2.2", b)},
				Reservations: []allocator.Reservation{reserved("192.0.2.1", "default/c")},
				Uses:         map[Source][]netip.Addr{node: addrsOf([]string{"192.0.2.2"})},
				Never:        []allocator.AddrSpan{spanOf("192.0.2.2", "192.0.2.3")}},
			want: "a=192.0.2.1 b=192.0.2.2 c=PoolExhausted"},
		"L3: RequireDualStack keeps what it has while the other family is away": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{with(a, require)}, Claims: []Claim{claim("192.0.2.1", a), claim("2001:db8::1", a)}},
			want:  "a=192.0.2.1+NoPool", lost: "a-2001:db8::1:AddressNotInPool"},
		"L3: the second family goes when it is not wanted": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4+" "+v6)}, Services: []Service{a}, Claims: []Claim{claim("192.0.2.3", a), claim("2001:db8::1", a)}},
			want:  "a=192.0.2.3", lost: "a-2001:db8::1:AddressFamilyUnwanted"},
		"draining: a pool that gives nothing by itself leaves what is given": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4, byValue)}, Services: []Service{a, b, svc("c", wish("192.0.2.3"))}, Claims: []Claim{claim("192.0.2.1", a)}},
			want:  "a=192.0.2.1 b=PoolsNotAutomatic c=192.0.2.3"},
		"draining: a pool that is disabled leaves what is given, and gives nothing new, also not by value": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4, disabled)}, Services: []Service{a, b, svc("c", wish("192.0.2.3")), svc("d", from("p")), svc("e")},
				Reservations: []allocator.Reservation{reserved("192.0.2.2", "default/e")}, Claims: []Claim{claim("192.0.2.1", a)}},
			want: "a=192.0.2.1 b=PoolDisabled c=PoolDisabled d=PoolDisabled e=PoolDisabled"},
		"draining: there is another pool": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4, disabled, priority(9)), pool("q", "198.51.100.1")}, Services: []Service{a, b}, Claims: []Claim{claim("192.0.2.1", a)}},
			want:  "a=192.0.2.1 b=198.51.100.1"},

		"L7: what is of another class or type loses its address": {
			world: World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{with(a, unserved, status("192.0.2.1")), b}, Claims: []Claim{claim("192.0.2.1", a)}},
			want:  "b=192.0.2.1", lost: "a-192.0.2.1:AddressReleased"},
		"L7: what another controller serves is left alone": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{svc("theirs", unserved, status("192.0.2.1"))}}},

		"a Service that is being deleted keeps what it has and gets nothing": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{with(a, deleting), with(b, deleting), svc("c", deleting, require)},
				Claims: []Claim{claim("192.0.2.1", a)}},
			want: "a=192.0.2.1 b=BeingDeleted c=BeingDeleted"},

		"avoided: .0 and .255, unless asked for": {
			world: World{Pools: []allocator.AddrPool{pool("p", "192.0.2.255-192.0.3.1", avoiding)}, Services: []Service{svc("s"), svc("t"), svc("u", wish("192.0.3.0"))}},
			want:  "s=192.0.3.1 t=PoolExhausted u=192.0.3.0"},
		"not avoided: .0 and .255 of a pool that does not say so": {
			world: World{Pools: []allocator.AddrPool{pool("p", "192.0.2.255-192.0.3.0")}, Services: []Service{svc("s"), svc("t")}},
			want:  "s=192.0.2.255 t=192.0.3.0"},
		"the pool's own reserved addresses are for who asks": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4, keeping("192.0.2.1-192.0.2.2"))}, Services: []Service{svc("s"), svc("t"), svc("u", wish("192.0.2.2"))}},
			want:  "s=192.0.2.3 t=PoolExhausted u=192.0.2.2"},
		"what others use is given to nobody": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{svc("s"), svc("t", wish("192.0.2.1")), svc("u")},
				Uses: map[Source][]netip.Addr{node: addrsOf([]string{"192.0.2.1"}), {"Service", types.NamespacedName{Namespace: "x", Name: "y"}}: addrsOf([]string{"192.0.2.2"})}},
			want: "s=192.0.2.3 t=RequestedAddressInUse u=PoolExhausted"},
		"a Service may have its own external IP": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{svc("s", wish("192.0.2.1"))},
				Uses: map[Source][]netip.Addr{{"Service", types.NamespacedName{Namespace: "default", Name: "s"}}: addrsOf([]string{"192.0.2.1"})}},
			want: "s=192.0.2.1"},
		"addresses of a ServiceCIDR are given to nobody": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{svc("s"), svc("t", wish("192.0.2.1"))}, Never: []allocator.AddrSpan{spanOf("192.0.2.0", "192.0.2.1")}},
			want:  "s=192.0.2.2 t=RequestedAddressInUse"},

		"reserved: for its Service, the oldest reservation first, and nobody else": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{svc("s"), svc("t"), svc("u")},
				Reservations: []allocator.Reservation{reserved("192.0.2.1", "default/t"), reserved("192.0.2.2", "")}},
			want: "s=192.0.2.3 t=192.0.2.1 u=PoolExhausted"},
		"reserved: it opens no pool, and one that gives nothing by itself": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4, forNamespace("red")), pool("q", "198.51.100.1", byValue)}, Services: []Service{svc("s"), svc("t")},
				Reservations: []allocator.Reservation{reserved("192.0.2.1", "default/s"), reserved("198.51.100.1", "default/t")}},
			want: "s=PoolsNotAutomatic t=198.51.100.1"},
		"reserved: asking for it does not help others": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{svc("s", wish("192.0.2.1")), svc("t", wish("192.0.2.1"))},
				Reservations: []allocator.Reservation{reserved("192.0.2.1", "default/t")}},
			want: "s=RequestedAddressReserved t=192.0.2.1"},
		"reserved: its Service's sharing key lets nobody else in": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{svc("s", sharing("k", 80)), svc("t", sharing("k", 81))},
				Reservations: []allocator.Reservation{reserved("192.0.2.1", "default/s")}},
			want: "s=192.0.2.1 t=192.0.2.2"},

		"asked for: one family, the other is chosen": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4+" "+v6)}, Services: []Service{svc("s", require, wish("2001:db8::2")), svc("t", prefer, wish("192.0.2.3", "2001:db8::1"))}},
			want:  "s=192.0.2.1+2001:db8::2 t=192.0.2.3+2001:db8::1"},
		"asked for: no other is given instead": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4), pool("red", "198.51.100.1", forNamespace("red"))},
				Services: []Service{svc("s", wish("192.0.2.1")), svc("t", wish("192.0.2.1")), svc("u", wish("198.51.100.1")), svc("v", wish("203.0.113.1"))}},
			want: "s=192.0.2.1 t=RequestedAddressInUse u=RequestedAddressNotInPool v=RequestedAddressNotInPool"},
		"asked for: both families are all or nothing where they are required, and the other family comes alone where not": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4+" "+v6)}, Services: []Service{svc("r", require, wish("203.0.113.1")), svc("s", prefer, wish("203.0.113.1"))}},
			want:  "r=RequestedAddressNotInPool s=2001:db8::1+RequestedAddressNotInPool"},
		"asked for: a family that the Service does not have, nonsense, the wrong pool": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4), pool("q", "198.51.100.1")}, Services: []Service{
				svc("s", wish("2001:db8::1")), svc("t", func(s *Service) { s.Wish.Invalid = "nonsense" }), svc("u", wish("192.0.2.1"), from("q")), svc("v", wish("192.0.2.1"), from("p"))}},
			want: "s=FamilyUnavailable t=RequestInvalid u=RequestedAddressNotInPool v=192.0.2.1"},
		"asked for: what it has is kept until it can have the other": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{with(a, wish("192.0.2.2")), b}, Claims: []Claim{claim("192.0.2.1", a), claim("192.0.2.2", b)}},
			want:  "a=192.0.2.1+RequestedAddressInUse b=192.0.2.2"},
		"asked for: what is refused of one family is no reason to withhold the other": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4+" "+v6)}, Services: []Service{with(a, require, wish("203.0.113.1"))}, Claims: []Claim{claim("192.0.2.1", a)}},
			want:  "a=192.0.2.1+2001:db8::1+RequestedAddressNotInPool"},
		"asked for: a Service moves to the address, and the next gets the one that it had": {
			world: World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1-192.0.2.2")}, Services: []Service{with(a, wish("192.0.2.2")), b, svc("c")}, Claims: []Claim{claim("192.0.2.1", a)}},
			want:  "a=192.0.2.2 b=192.0.2.1 c=PoolExhausted", lost: "a-192.0.2.1:AddressMoved"},
		"asked for: a Service moves to the pool": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4), pool("q", "198.51.100.1")}, Services: []Service{with(a, from("q")), with(b, from("q"))},
				Claims: []Claim{claim("192.0.2.1", a), claim("192.0.2.2", b)}},
			want: "a=198.51.100.1 b=192.0.2.2+PoolExhausted", lost: "a-192.0.2.1:AddressMoved"},
		"a Service without ClusterIPs waits": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{svc("s", func(s *Service) { s.Families = nil }), svc("r", require, ipv6)}},
			want:  "r=FamilyUnavailable s=FamilyUnavailable"},

		"shared: two keys that are the same by chance are no sharing": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4, letting(v1alpha1.SharingCluster))}, Services: []Service{svc("s", sharing("k", 80)), svc("red/s", sharing("k", 81))}},
			want:  "red/s=192.0.2.2 s=192.0.2.1"},
		"shared: what a draining pool has given is shared with nobody new": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4, byValue)}, Services: []Service{shared, with(b, sharing("k", 81)), svc("c", sharing("k", 82), wish("192.0.2.3"))},
				Claims: []Claim{claim("192.0.2.3", shared)}},
			want: "a=192.0.2.3 b=PoolsNotAutomatic c=192.0.2.3"},
		"shared: an address that the pool avoids is for who asks": {
			world: World{Pools: []allocator.AddrPool{pool("p", "192.0.2.0-192.0.2.1", avoiding)}, Services: []Service{shared, with(b, sharing("k", 81))},
				Claims: []Claim{claim("192.0.2.0", shared)}},
			want: "a=192.0.2.0 b=192.0.2.1"},
		"shared: the claim goes on": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{shared, with(b, sharing("k", 81))},
				Claims: []Claim{claim("192.0.2.3", shared, with(b, sharing("k", 81)))}},
			want: "a=192.0.2.3 b=192.0.2.3"},
		"shared: who has taken the other's port since goes, though it came first": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4)}, Services: []Service{with(shared, sharing("k", 81)), with(b, sharing("k", 81))},
				Claims: []Claim{claim("192.0.2.3", shared, with(b, sharing("k", 81)))}},
			want: "a=192.0.2.1 b=192.0.2.3", lost: "a-192.0.2.3:AddressSharingEnded"},
		"shared: a pool that forbids it leaves the address to who came first": {
			world: World{Pools: []allocator.AddrPool{pool("p", v4, letting(v1alpha1.SharingNever))}, Services: []Service{shared, with(b, sharing("k", 81))},
				Claims: []Claim{claim("192.0.2.3", with(b, sharing("k", 81)), shared)}},
			want: "a=192.0.2.1 b=192.0.2.3", lost: "a-192.0.2.3:AddressSharingEnded"},
	} {
		t.Run(name, func(t *testing.T) {
			book := Open(tc.world)
			outcome := book.Settle()
			expect(t, "Services have", has(book), tc.want)
			expect(t, "lost", losses(outcome), tc.lost)
			again(t, tc.world, book)
		})
	}
}

// again expects that the next process, which has the claims alone, changes nothing.
func again(t *testing.T, world World, book *Book) {
	t.Helper()
	world.Claims = book.Claims()
	for i := range world.Services {
		world.Services[i].Status = nil
	}
	next := Open(world)
	outcome := next.Settle()
	expect(t, "after a restart Services have", has(next), has(book))
	if len(outcome.Claims) > 0 || losses(outcome) != "" {
		t.Errorf("a restart changes claims %v and loses %q", outcome.Claims, losses(outcome))
	}
}

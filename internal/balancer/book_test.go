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
	"fmt"
	"net/netip"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
)

// TestChanges has a world at rest, one thing that changes, and what follows.
func TestChanges(t *testing.T) {
	const two = "192.0.2.1-192.0.2.2"
	a, b, c := svc("a"), svc("b"), svc("c")
	node := Source{"Node", types.NamespacedName{Name: "node-1"}}
	shares := func(port int32) edit { return sharing("k", port) }
	for name, tc := range map[string]struct {
		world  World
		before string
		change func(*Book)
		want   string
		lost   string
		claims string
	}{
		"L5: the oldest of those who wait gets what a deleted Service had": {
			world:  World{Pools: []allocator.AddrPool{pool("p", two)}, Services: []Service{a, b, svc("w2"), with(c, older)}, Claims: []Claim{claim("192.0.2.1", a), claim("192.0.2.2", b)}},
			before: "a=192.0.2.1 b=192.0.2.2 c=PoolExhausted w2=PoolExhausted",
			change: func(book *Book) { book.Forget(b.Key) },
			want:   "a=192.0.2.1 c=192.0.2.2 w2=PoolExhausted", claims: "192.0.2.2:c"},
		"L5: a Service of another type frees its address": {
			world:  World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a, b}},
			before: "a=192.0.2.1 b=PoolExhausted",
			change: func(book *Book) { book.Observe(with(a, unserved)) },
			want:   "b=192.0.2.1", lost: "a-192.0.2.1:AddressReleased", claims: "192.0.2.1:b"},
		"L5: a pool that grows": {
			world:  World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a, b}},
			before: "a=192.0.2.1 b=PoolExhausted",
			change: func(book *Book) { book.SetPools([]allocator.AddrPool{pool("p", two)}) },
			want:   "a=192.0.2.1 b=192.0.2.2", claims: "192.0.2.2:b"},
		"L5: a reservation that goes": {
			world:  World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a}, Reservations: []allocator.Reservation{reserved("192.0.2.1", "")}},
			before: "a=PoolExhausted",
			change: func(book *Book) { book.Unreserve(netip.MustParseAddr("192.0.2.1")) },
			want:   "a=192.0.2.1", claims: "192.0.2.1:a"},
		"L5: a reservation that is given to who waits": {
			world:  World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a, b}, Reservations: []allocator.Reservation{reserved("192.0.2.1", "")}},
			before: "a=PoolExhausted b=PoolExhausted",
			change: func(book *Book) { book.Reserve(reserved("192.0.2.1", "default/b")) },
			want:   "a=PoolExhausted b=192.0.2.1", claims: "192.0.2.1:b"},
		"L5: a node that goes": {
			world: World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a},
				Uses: map[Source][]netip.Addr{node: addrsOf([]string{"192.0.2.1"})}},
			before: "a=PoolExhausted",
			change: func(book *Book) { book.SetUses(node, nil) },
			want:   "a=192.0.2.1", claims: "192.0.2.1:a"},
		"L5: a ServiceCIDR that goes": {
			world:  World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a}, Never: []allocator.AddrSpan{spanOf("192.0.2.0", "192.0.2.255")}},
			before: "a=PoolExhausted",
			change: func(book *Book) { book.SetNever(nil) },
			want:   "a=192.0.2.1", claims: "192.0.2.1:a"},
		"L5: PreferDualStack gets the other family when it can": {
			world:  World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{with(a, prefer)}},
			before: "a=192.0.2.1",
			change: func(book *Book) { book.SetPools([]allocator.AddrPool{pool("p", "192.0.2.1 2001:db8::1")}) },
			want:   "a=192.0.2.1+2001:db8::1", claims: "2001:db8::1:a"},
		"L5: a key that who waits has as well": {
			world:  World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a, with(b, shares(81))}},
			before: "a=192.0.2.1 b=PoolExhausted",
			change: func(book *Book) { book.Observe(with(a, shares(80))) },
			want:   "a=192.0.2.1 b=192.0.2.1", claims: "192.0.2.1:a,b"},

		"L3: a pool that is deleted": {
			world:  World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1"), pool("q", "198.51.100.1")}, Services: []Service{a, b}},
			before: "a=192.0.2.1 b=198.51.100.1",
			change: func(book *Book) { book.SetPools([]allocator.AddrPool{pool("q", "198.51.100.1")}) },
			want:   "a=PoolExhausted b=198.51.100.1", lost: "a-192.0.2.1:AddressNotInPool", claims: "192.0.2.1:"},
		"L3: a pool of a higher priority moves nobody": {
			world:  World{Pools: []allocator.AddrPool{pool("p", two)}, Services: []Service{a}},
			before: "a=192.0.2.1",
			change: func(book *Book) {
				book.SetPools([]allocator.AddrPool{pool("p", two), pool("q", "198.51.100.1", priority(9)), pool("over", "192.0.2.1", priority(5))})
			},
			want: "a=192.0.2.1"},
		"L3: labels that a pool does not select": {
			world:  World{Pools: []allocator.AddrPool{pool("q", "198.51.100.1")}, Services: []Service{a, b}},
			before: "a=198.51.100.1 b=PoolExhausted",
			change: func(book *Book) {
				book.SetPools([]allocator.AddrPool{pool("p", "192.0.2.1", forServices("name", "a")), pool("q", "198.51.100.1", forServices("name", "b"))})
			},
			want: "a=192.0.2.1 b=198.51.100.1", lost: "a-198.51.100.1:AddressNotInPool", claims: "192.0.2.1:a 198.51.100.1:b"},
		"L3: a Service that changes its labels": {
			world:  World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1", forServices("name", "a")), pool("q", "198.51.100.1", forServices("name", "z"))}, Services: []Service{a}},
			before: "a=192.0.2.1",
			change: func(book *Book) { book.Observe(with(a, labelled("name", "z"))) },
			want:   "a=198.51.100.1", lost: "a-192.0.2.1:AddressNotInPool", claims: "192.0.2.1: 198.51.100.1:a"},
		"L2: a Service that requires the other family as well keeps what it has until then": {
			world:  World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a}},
			before: "a=192.0.2.1",
			change: func(book *Book) { book.Observe(with(a, require)) },
			want:   "a=192.0.2.1+NoPool"},
		"L2: a Service that goes back to one family": {
			world:  World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1 2001:db8::1")}, Services: []Service{with(a, require), with(b, require)}},
			before: "a=192.0.2.1+2001:db8::1 b=PoolExhausted",
			change: func(book *Book) { book.Observe(a) },
			want:   "a=192.0.2.1 b=PoolExhausted", lost: "a-2001:db8::1:AddressFamilyUnwanted", claims: "2001:db8::1:"},
		"shared: who changes to a port of the other goes": {
			world:  World{Pools: []allocator.AddrPool{pool("p", two)}, Services: []Service{with(a, shares(80)), with(b, shares(81))}},
			before: "a=192.0.2.1 b=192.0.2.1",
			change: func(book *Book) { book.Observe(with(a, shares(81))) },
			want:   "a=192.0.2.2 b=192.0.2.1", lost: "a-192.0.2.1:AddressSharingEnded", claims: "192.0.2.1:b 192.0.2.2:a"},
		"shared: a port that changes is recorded": {
			world:  World{Pools: []allocator.AddrPool{pool("p", two)}, Services: []Service{with(a, shares(80)), with(b, shares(81))}},
			before: "a=192.0.2.1 b=192.0.2.1",
			change: func(book *Book) { book.Observe(with(a, shares(82))) },
			want:   "a=192.0.2.1 b=192.0.2.1", claims: "192.0.2.1:a,b"},
		"shared: who gives up the key leaves": {
			world:  World{Pools: []allocator.AddrPool{pool("p", two)}, Services: []Service{with(a, shares(80)), with(b, shares(81)), with(c, shares(82))}},
			before: "a=192.0.2.1 b=192.0.2.1 c=192.0.2.1",
			change: func(book *Book) { book.Observe(with(a, sharing("", 80))) },
			want:   "a=192.0.2.2 b=192.0.2.1 c=192.0.2.1", lost: "a-192.0.2.1:AddressSharingEnded", claims: "192.0.2.1:b,c 192.0.2.2:a"},
		"shared: an address that all have left is one of the free ones": {
			world:  World{Pools: []allocator.AddrPool{pool("p", two)}, Services: []Service{with(a, sharing("k", 80), wish("192.0.2.2"))}},
			before: "a=192.0.2.2",
			change: func(book *Book) { book.Forget(a.Key); book.Observe(with(b, shares(81))) },
			want:   "b=192.0.2.1", claims: "192.0.2.1:b 192.0.2.2:"},
		"created again: another Service of the name is another Service": {
			world:  World{Pools: []allocator.AddrPool{pool("p", two)}, Services: []Service{a, b}},
			before: "a=192.0.2.1 b=192.0.2.2",
			change: func(book *Book) { book.Observe(with(b, func(s *Service) { s.UID = "next" })) },
			want:   "a=192.0.2.1 b=192.0.2.2", claims: "192.0.2.2:b"},
		"created again: the reserved address comes back": {
			world: World{Pools: []allocator.AddrPool{pool("p", two)}, Services: []Service{a, b}, Claims: []Claim{claim("192.0.2.2", b)},
				Reservations: []allocator.Reservation{reserved("192.0.2.2", "default/b")}},
			before: "a=192.0.2.1 b=192.0.2.2",
			change: func(book *Book) {
				book.Forget(a.Key)
				book.Forget(b.Key)
				book.Observe(c)
				book.Observe(with(b, func(s *Service) { s.UID = "next" }))
			},
			want: "b=192.0.2.2 c=192.0.2.1", claims: "192.0.2.1:c 192.0.2.2:b"},
		"of another class before: its status is kept": {
			world:  World{Pools: []allocator.AddrPool{pool("p", two)}, Services: []Service{with(a, unserved, status("192.0.2.2"))}},
			change: func(book *Book) { book.Observe(with(a, status("192.0.2.2"))) },
			want:   "a=192.0.2.2", claims: "192.0.2.2:a"},
		"a status that somebody else has is not": {
			world:  World{Pools: []allocator.AddrPool{pool("p", two)}, Services: []Service{b}},
			before: "b=192.0.2.1",
			change: func(book *Book) { book.Observe(with(a, status("192.0.2.1"))) },
			want:   "a=192.0.2.2 b=192.0.2.1", claims: "192.0.2.2:a"},
		"nothing follows from nothing": {
			world:  World{Pools: []allocator.AddrPool{pool("p", two)}, Services: []Service{a, b, c}},
			before: "a=192.0.2.1 b=192.0.2.2 c=PoolExhausted",
			change: func(book *Book) { book.Observe(a); book.Observe(c); book.Forget(types.NamespacedName{Name: "x"}) },
			want:   "a=192.0.2.1 b=192.0.2.2 c=PoolExhausted"},
	} {
		t.Run(name, func(t *testing.T) {
			book := Open(tc.world)
			book.Settle()
			expect(t, "before, Services have", has(book), tc.before)
			tc.change(book)
			outcome := book.Settle()
			expect(t, "Services have", has(book), tc.want)
			expect(t, "lost", losses(outcome), tc.lost)
			expect(t, "claims", claims(outcome), tc.claims)
			if idle := book.Settle(); len(idle.Decisions)+len(idle.Claims) > 0 {
				t.Errorf("nothing changed, and yet %+v", idle)
			}
		})
	}
}

// claims are ADDR:NAME,NAME of those that change.
func claims(o Outcome) (text string) {
	for i, claim := range o.Claims {
		if i > 0 {
			text += " "
		}
		text += claim.Addr.String() + ":"
		for j, holder := range claim.Holders {
			if j > 0 {
				text += ","
			}
			text += holder.Service.Name
		}
	}
	return text
}

func TestDecisionsThatLoseComeFirst(t *testing.T) {
	a, b := svc("a"), svc("b")
	book := Open(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1", forServices("name", "b"))}, Services: []Service{a, b}})
	book.Settle()
	book.Observe(with(b, labelled("name", "z")))
	book.Observe(with(a, labelled("name", "b")))
	got := book.Settle().Decisions
	if len(got) != 2 || got[0].Service != b.Key || len(got[0].Addrs) > 0 || fmt.Sprint(got[1].Addrs) != "[192.0.2.1]" {
		t.Errorf("decided %+v", got)
	}
}

func TestManyServicesOfOneKeyAndPort(t *testing.T) {
	world := World{Pools: []allocator.AddrPool{pool("p", "10.0.0.0/16")}}
	for i := range 2 * maxShared {
		world.Services = append(world.Services, svc(fmt.Sprint("s", i), sharing("k", 80)))
	}
	last := svc("last", sharing("k", 81))
	world.Services = append(world.Services, last)
	book := Open(world)
	book.Settle()
	if d, _ := book.Decision(last.Key); fmt.Sprint(d.Addrs) != "[10.0.0.0]" {
		t.Errorf("the one with another port has %v", d.Addrs)
	}
	if claims := book.Claims(); len(claims) != 2*maxShared || len(claims[0].Holders) != 2 || claims[0].Holders[0].Terms == "" || claims[1].Holders[0].Terms != "" {
		t.Errorf("%d claims, the first %+v", len(claims), claims[0])
	}
}

func TestAsManyAsCanShare(t *testing.T) {
	world := World{Pools: []allocator.AddrPool{pool("p", "10.0.0.1-10.0.0.9")}}
	for i := range maxHolders + 1 {
		world.Services = append(world.Services, svc(fmt.Sprint("s", i), sharing("k", int32(i+1))))
	}
	world.Services = append(world.Services, svc("asks", sharing("k", 1000), wish("10.0.0.1")))
	book := Open(world)
	book.Settle()
	claims := book.Claims()
	if len(claims) != 2 || len(claims[0].Holders) != maxHolders || len(claims[1].Holders) != 1 {
		t.Errorf("%d claims, the first of %d Services", len(claims), len(claims[0].Holders))
	}
	if d, _ := book.Decision(types.NamespacedName{Namespace: "default", Name: "asks"}); d.Reason != ReasonSharing {
		t.Errorf("who asks for it: %+v", d)
	}
	again(t, world, book)
}

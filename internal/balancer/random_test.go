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
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// history is a world that changes at random, and what a book makes of it.
type history struct {
	*rand.Rand
	t        *testing.T
	pools    []allocator.AddrPool
	kept     map[netip.Addr]allocator.Reservation
	uses     map[Source][]netip.Addr
	services map[types.NamespacedName]Service
	book     *Book
	record   map[netip.Addr][]Holder // as a controller would have written it
	births   int
}

// TestRandomHistory holds what doc.go promises against thousands of changes.
func TestRandomHistory(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			h := &history{
				Rand: rand.New(rand.NewPCG(seed, 6)), t: t, book: NewBook(), kept: map[netip.Addr]allocator.Reservation{},
				uses: map[Source][]netip.Addr{}, services: map[types.NamespacedName]Service{}, record: map[netip.Addr][]Holder{},
			}
			for step := 0; step < 400 && !t.Failed(); step++ {
				before := maps.Clone(h.record)
				what, changed, poolsChanged := h.change()
				outcome := h.book.Settle()
				for _, claim := range outcome.Claims {
					if h.record[claim.Addr] = claim.Holders; len(claim.Holders) == 0 {
						delete(h.record, claim.Addr)
					}
				}
				h.recordIsTheBooks()
				h.nobodyIsRobbed(before, changed, poolsChanged)
				h.everybodyHasARight()
				h.requiredInPairs(before)
				h.nobodyWaitsForNothing()
				if !poolsChanged && len(outcome.Decisions) > 0 && losses(outcome) == "" {
					h.lowestFirst(before)
				}
				h.restart()
				if t.Failed() {
					t.Errorf("step %d: %s", step, what)
				}
			}
		})
	}
}

var namespaces = []string{"default", "red", "blue"}

// change says what it did, to which Service, and whether pools have changed.
func (h *history) change() (what string, changed types.NamespacedName, poolsChanged bool) {
	key := types.NamespacedName{Namespace: namespaces[h.IntN(3)], Name: string(rune('a' + h.IntN(6)))}
	service, exists := h.services[key]
	switch n := h.IntN(20); {
	case n == 0:
		h.pools = h.somePools()
		h.book.SetPools(h.pools)
		return "other pools", key, true
	case n == 1:
		addr := h.anAddr()
		if _, known := h.kept[addr]; known {
			delete(h.kept, addr)
			h.book.Unreserve(addr)
			return "unreserve " + addr.String(), types.NamespacedName{}, false
		}
		h.kept[addr] = allocator.Reservation{Number: allocator.AddrNumber(addr), Service: key}
		h.book.Reserve(h.kept[addr])
		return "reserve " + addr.String(), types.NamespacedName{}, false
	case n == 2:
		source := Source{"Node", types.NamespacedName{Name: fmt.Sprint(h.IntN(3))}}
		h.uses[source] = nil
		for range h.IntN(3) {
			h.uses[source] = append(h.uses[source], h.anAddr())
		}
		h.book.SetUses(source, h.uses[source])
		return "a node", types.NamespacedName{}, false
	case exists && n < 7:
		delete(h.services, key)
		h.book.Forget(key)
		return "delete " + key.String(), key, false
	case !exists:
		h.births++
		service = svc(key.String())
		service.UID, service.Status = types.UID(fmt.Sprint(h.births)), nil
	}
	service = with(service, h.someEdits()...)
	h.services[key] = service
	h.book.Observe(service)
	return fmt.Sprintf("%+v", service), key, false
}

func (h *history) anAddr() netip.Addr {
	if h.IntN(3) == 0 {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", h.IntN(8)))
	}
	return netip.AddrFrom4([4]byte{192, 0, 2, byte(h.IntN(12))})
}

func (h *history) somePools() (pools []allocator.AddrPool) {
	for i := range 1 + h.IntN(4) {
		first, last := h.anAddr(), h.anAddr()
		if first.BitLen() != last.BitLen() || last.Less(first) {
			last = first
		}
		p := pool(fmt.Sprint("p", i), first.String()+"-"+last.String()+" "+h.anAddr().String(), priority(int32(h.IntN(2))),
			letting([]v1alpha1.AddressSharing{v1alpha1.SharingNever, v1alpha1.SharingNamespace, v1alpha1.SharingCluster}[h.IntN(3)]))
		p.AutoAssign, p.AvoidBuggyIPs, p.Disabled = h.IntN(6) > 0, h.IntN(4) == 0, h.IntN(8) == 0
		if h.IntN(3) == 0 {
			forOne := pool("", "192.0.2.1", forNamespace(namespaces[h.IntN(3)]))
			p.Namespaces = forOne.Namespaces
		}
		pools = append(pools, p)
	}
	return pools
}

func (h *history) someEdits() []edit {
	edits := []edit{
		func(s *Service) {
			s.Families, s.Policy = []corev1.IPFamily{corev1.IPv4Protocol}, corev1.IPFamilyPolicySingleStack
		}, ipv6, prefer, require,
		sharing("k", int32(80+h.IntN(3)), namespaces...), sharing("", 80), sharing("l", int32(80+h.IntN(3))),
		wish(), wish(), wish(h.anAddr().String()), from(""), from(""), from("p1"), func(s *Service) { s.Local = !s.Local },
		func(s *Service) { s.Served = h.IntN(6) > 0 }, func(s *Service) { s.Served = true }, func(s *Service) { s.Deleting = s.Deleting || h.IntN(8) == 0 },
	}
	h.Shuffle(len(edits), func(i, j int) { edits[i], edits[j] = edits[j], edits[i] })
	return edits[:1+h.IntN(3)]
}

func (h *history) recordIsTheBooks() {
	claims := h.book.Claims()
	for _, claim := range claims {
		if !slices.Equal(claim.Holders, h.record[claim.Addr]) {
			h.t.Errorf("%s is recorded as %v and has %v", claim.Addr, h.record[claim.Addr], claim.Holders)
		}
	}
	if len(claims) != len(h.record) {
		h.t.Errorf("%d claims, %d recorded", len(claims), len(h.record))
	}
}

// mayHave says whether pools let a Service have the address.
func (h *history) mayHave(service Service, addr netip.Addr) bool {
	set := allocator.NewAddrPoolSet(v1alpha1.UseLoadBalancer, h.pools)
	i, ok := set.OwnerOf(addr)
	return ok && service.Served && slices.Contains(service.wanted(), familyOf(addr)) && set.Pool(i).Selects(service.NamespaceLabels, service.Labels)
}

// nobodyIsRobbed: who had an address and may have it has it, unless it has what it
// asks for instead, or has itself put an end to sharing.
func (h *history) nobodyIsRobbed(before map[netip.Addr][]Holder, changed types.NamespacedName, poolsChanged bool) {
	for addr, holders := range before {
		for _, holder := range holders {
			service, exists := h.services[holder.Service]
			if !exists || service.UID != holder.UID || !h.mayHave(service, addr) || holdsIn(h.record[addr], holder) {
				continue
			}
			moved := service.wishOf(familyOf(addr)).IsValid() || service.Wish.Pool != ""
			stoppedSharing := len(holders) > 1 && (holder.Service == changed || poolsChanged)
			if !moved && !stoppedSharing {
				h.t.Errorf("%s has lost %s, which now has %v", holder.Service, addr, h.record[addr])
			}
		}
	}
}

func holdsIn(holders []Holder, who Holder) bool {
	return slices.ContainsFunc(holders, func(h Holder) bool { return h.Service == who.Service && h.UID == who.UID })
}

func (h *history) everybodyHasARight() {
	for addr, holders := range h.record {
		for i, holder := range holders {
			service := h.services[holder.Service]
			if service.UID != holder.UID || !h.mayHave(service, addr) {
				h.t.Errorf("%s has %s, and no pool lets it", holder.Service, addr)
			}
			for _, other := range holders[:i] {
				with := h.services[other.Service]
				if with.SharingKey == "" || with.SharingKey != service.SharingKey || with.Ports[0] == service.Ports[0] {
					h.t.Errorf("%s has %s together with %s", holder.Service, addr, other.Service)
				}
			}
		}
	}
}

// requiredInPairs: where both families are required, nobody gains one alone.
func (h *history) requiredInPairs(before map[netip.Addr][]Holder) {
	count := map[types.NamespacedName]int{}
	for _, holders := range h.record {
		for _, holder := range holders {
			count[holder.Service]++
		}
	}
	for addr, holders := range h.record {
		for _, holder := range holders {
			if s := h.services[holder.Service]; s.requiresBoth() && count[s.Key] < 2 && !holdsIn(before[addr], holder) {
				h.t.Errorf("%s has gained %s alone", s.Key, addr)
			}
		}
	}
}

func (h *history) isFree(addr netip.Addr) bool {
	_, kept := h.kept[addr]
	used := false
	for _, addrs := range h.uses {
		used = used || slices.Contains(addrs, addr)
	}
	return len(h.record[addr]) == 0 && !kept && !used
}

// freeFor are the addresses that pools may give a Service, in order.
func (h *history) freeFor(service Service, family corev1.IPFamily) (all []netip.Addr) {
	set := allocator.NewAddrPoolSet(v1alpha1.UseLoadBalancer, h.pools)
	for _, i := range set.For(service.NamespaceLabels, service.Labels) {
		if set.Pool(i).Disabled {
			continue
		}
		for _, span := range set.Automatic(i, nil) {
			for addr := span.First; addr.Compare(span.Last) <= 0; addr = addr.Next() {
				buggy := set.Pool(i).AvoidBuggyIPs && allocator.IsBuggy(addr)
				if familyOf(addr) == family && h.isFree(addr) && !buggy && (service.Wish.Pool == "" || service.Wish.Pool == set.Pool(i).Name) {
					all = append(all, addr)
				}
			}
		}
	}
	return all
}

func (h *history) nobodyWaitsForNothing() {
	for key, service := range h.services {
		d, known := h.book.Decision(key)
		if known != service.Served {
			h.t.Errorf("%s is decided upon: %t", key, known)
		}
		if !service.Served || service.Deleting || len(service.Wish.Addrs) > 0 || service.requiresBoth() {
			continue
		}
		for _, family := range service.wanted() {
			none := !slices.ContainsFunc(d.Addrs, func(addr netip.Addr) bool { return familyOf(addr) == family })
			if free := h.freeFor(service, family); none && len(free) > 0 {
				h.t.Errorf("%s waits for one of %v: %s", key, free, d.Message)
			}
		}
	}
}

// lowestFirst: whoever was given an address by a pool alone, no lower one is free.
func (h *history) lowestFirst(before map[netip.Addr][]Holder) {
	for addr, holders := range h.record {
		service := h.services[holders[0].Service]
		_, kept := h.kept[addr]
		if holdsIn(before[addr], holders[0]) || kept || len(holders) > 1 || len(service.Wish.Addrs) > 0 {
			continue
		}
		set := allocator.NewAddrPoolSet(v1alpha1.UseLoadBalancer, h.pools)
		order := set.For(service.NamespaceLabels, service.Labels)
		owner, _ := set.OwnerOf(addr)
		for _, free := range h.freeFor(service, familyOf(addr)) {
			at, _ := set.OwnerOf(free)
			if slices.Index(order, at) < slices.Index(order, owner) || at == owner && free.Less(addr) {
				h.t.Errorf("%s was given %s while %s is free", service.Key, addr, free)
			}
		}
	}
}

// restart: the next process, which has the claims alone and reads everything in
// another order, changes nothing.
func (h *history) restart() {
	world := World{Pools: slices.Clone(h.pools), Uses: h.uses, Services: slices.Collect(maps.Values(h.services)), Claims: h.book.Claims()}
	for _, r := range h.kept {
		world.Reservations = append(world.Reservations, r)
	}
	h.Shuffle(len(world.Services), func(i, j int) { world.Services[i], world.Services[j] = world.Services[j], world.Services[i] })
	h.Shuffle(len(world.Claims), func(i, j int) { world.Claims[i], world.Claims[j] = world.Claims[j], world.Claims[i] })
	h.Shuffle(len(world.Pools), func(i, j int) { world.Pools[i], world.Pools[j] = world.Pools[j], world.Pools[i] })
	next := Open(world)
	outcome := next.Settle()
	if len(outcome.Claims) > 0 || losses(outcome) != "" {
		h.t.Errorf("a restart changes claims %+v and loses %q", outcome.Claims, losses(outcome))
	}
	// The reason for which a Service waits is that of the last look at it.
	for key := range h.services {
		was, _ := h.book.Decision(key)
		is, _ := next.Decision(key)
		if !slices.Equal(was.Addrs, is.Addrs) || was.Satisfied != is.Satisfied {
			h.t.Errorf("after a restart %s has %v (%s), and had %v (%s)", key, is.Addrs, is.Reason, was.Addrs, was.Reason)
		}
	}
}

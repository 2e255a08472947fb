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
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// Book knows who has each address, and who waits for one. It is not safe for
// concurrent use.
type Book struct {
	pools    *allocator.AddrPoolSet
	rooms    [][2]room // of each pool and family
	never    []allocator.AddrSpan
	services map[types.NamespacedName]*entry
	holders  map[netip.Addr][]*entry // in the order in which they came
	byKey    map[string]*keyed
	kept     reservations
	used     uses
	// shown reports whether others may have an address in their status that they
	// have no longer. It is nil where nobody knows.
	shown func(addr netip.Addr, to types.NamespacedName) bool

	waiting  map[*entry]bool // for something that they want
	dirty    map[*entry]bool // changed since the last Settle
	touched  map[netip.Addr]bool
	recorded map[netip.Addr][]Holder // as the claims are known to be
	freed    gains                   // what those who wait may gain from
}

// entry is a Service and what it has.
type entry struct {
	Service
	addrs   map[corev1.IPFamily]netip.Addr
	lost    []Loss // since the last Settle
	verdict Decision
	told    *Decision
	onTerms string // what terms says, once somebody has asked
}

// shareTerms are those of the Service as it is, which are worked out once.
func (e *entry) shareTerms() string {
	if e.onTerms == "" {
		e.onTerms = e.terms()
	}
	return e.onTerms
}

// sameButStatus reports whether all is as it was that decides what a known Service has.
func (e *entry) sameButStatus(now Service) bool {
	was := e.Service
	was.Status, now.Status = nil, nil
	return reflect.DeepEqual(was, now)
}

// NewBook is one without pools and Services.
func NewBook() *Book {
	return &Book{
		pools:    allocator.NewAddrPoolSet(v1alpha1.UseLoadBalancer, nil),
		services: map[types.NamespacedName]*entry{},
		holders:  map[netip.Addr][]*entry{},
		byKey:    map[string]*keyed{},
		kept:     newReservations(),
		used:     newUses(),
		waiting:  map[*entry]bool{},
		dirty:    map[*entry]bool{},
		touched:  map[netip.Addr]bool{},
		recorded: map[netip.Addr][]Holder{},
		freed:    gains{pools: map[int]bool{}},
	}
}

// Observe takes in a Service as it is now. One that is not known yet may go on
// with what its status says, as far as nobody has it.
func (b *Book) Observe(service Service) {
	e := b.services[service.Key]
	if e != nil && e.UID != service.UID {
		b.Forget(service.Key)
		e = nil
	}
	if e == nil {
		if !service.Served {
			return
		}
		e = b.enter(service)
		b.adopt(e)
		return
	}
	service = service.sorted()
	if e.sameButStatus(service) {
		e.Status = service.Status
		return // as after each write of ours
	}
	b.unindex(e)
	e.Service, e.onTerms = service, ""
	b.index(e)
	b.dirty[e] = true
	for _, family := range families {
		addr, ok := e.addrs[family]
		if !ok {
			continue
		}
		if e.SharingKey != "" {
			b.gain(addr) // others may share it
		}
		why := b.mustLeave(e, addr)
		if why == nil {
			why = b.sharingEnded(e, addr)
		}
		if why != nil {
			b.lose(e, addr, why)
		}
		b.touched[addr] = true // its terms may be others
	}
}

// Forget takes out a Service that is gone. What it had is free.
func (b *Book) Forget(service types.NamespacedName) {
	e := b.services[service]
	if e == nil {
		return
	}
	for _, family := range families {
		if addr, ok := e.addrs[family]; ok {
			b.release(e, addr)
		}
	}
	b.drop(e)
}

func (b *Book) enter(service Service) *entry {
	e := &entry{Service: service.sorted(), addrs: map[corev1.IPFamily]netip.Addr{}}
	b.services[service.Key] = e
	b.dirty[e] = true
	return e
}

func (b *Book) drop(e *entry) {
	delete(b.services, e.Key)
	delete(b.waiting, e)
	delete(b.dirty, e)
}

// SetPools replaces the pools. Who has an address keeps it as far as they allow.
func (b *Book) SetPools(pools []allocator.AddrPool) {
	b.pools = allocator.NewAddrPoolSet(v1alpha1.UseLoadBalancer, pools)
	b.bindAll(b.Claims(), false)
}

// SetNever replaces the spans that are given to nobody, such as ServiceCIDRs.
// Who has an address there keeps it.
func (b *Book) SetNever(spans []allocator.AddrSpan) {
	b.never = spans
	b.measure()
	b.freed.all = true
}

// Reserve keeps an address for a Service, or from everybody, in place of what was
// known of its reservation. Who has the address keeps it.
func (b *Book) Reserve(r allocator.Reservation) {
	if r.Number.IsPort() || r.Number.IsZero() {
		return
	}
	b.kept.set(r)
	b.unmark(r.Number.Addr)
}

// Unreserve takes back the reservation of an address.
func (b *Book) Unreserve(addr netip.Addr) {
	b.kept.remove(addr)
	b.unmark(addr)
}

// SetUses replaces the addresses that a source uses, which are given to nobody: a
// node, or a Service by its external IPs or the status that another controller
// writes. Who has one of them as its load balancer's keeps it.
func (b *Book) SetUses(by Source, addrs []netip.Addr) {
	for _, addr := range b.used.replace(by, addrs) {
		b.unmark(addr)
	}
}

// Claims are all there are, by address.
func (b *Book) Claims() []Claim {
	var claims []Claim
	for addr := range b.holders {
		claims = append(claims, Claim{Addr: addr, Holders: b.holdersOf(addr)})
	}
	slices.SortFunc(claims, func(a, b Claim) int { return a.Addr.Compare(b.Addr) })
	return claims
}

// Decision is what was last decided for a Service.
func (b *Book) Decision(service types.NamespacedName) (Decision, bool) {
	e := b.services[service]
	if e == nil || e.told == nil {
		return Decision{}, false
	}
	return *e.told, true
}

func (b *Book) holdersOf(addr netip.Addr) []Holder {
	var holders []Holder
	for _, e := range b.holders[addr] {
		holder := Holder{Service: e.Key, UID: e.UID}
		if len(b.holders[addr]) > 1 {
			holder.Terms = e.shareTerms()
		}
		holders = append(holders, holder)
	}
	return holders
}

var families = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}

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
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Load takes in the Services and claims as they are at the start: whoever has an
// address is known before anybody who waits is served. Services that are not
// ours and have a claim belong to them. Pools and the rest come before.
func (b *Book) Load(services []Service, claims []Claim) {
	claimed := map[Holder]bool{}
	for _, claim := range claims {
		b.recorded[claim.Addr] = claim.Holders
		for _, holder := range claim.Holders {
			claimed[Holder{Service: holder.Service, UID: holder.UID}] = true
		}
	}
	for _, service := range services {
		if service.Served || claimed[Holder{Service: service.Key, UID: service.UID}] {
			b.enter(service)
		}
	}
	b.bindAll(claims, true)
}

// tenure is what a claim says of one Service and one address.
type tenure struct {
	entry *entry
	addr  netip.Addr
	place int  // among the holders
	moved bool // the terms of sharing have changed since
}

// bindAll gives each Service what the claims say and the pools allow, and if it
// is to adopt, those without what their status says.
func (b *Book) bindAll(claims []Claim, adopt bool) {
	clear(b.holders)
	clear(b.byKey)
	for _, e := range b.services {
		clear(e.addrs)
		b.dirty[e] = true
	}
	b.measure()
	b.freed = gains{all: true, pools: map[int]bool{}}
	byAddr := map[netip.Addr][]tenure{}
	for e, had := range b.tenures(claims) {
		for _, t := range b.oneOfEach(e, had) {
			byAddr[t.addr] = append(byAddr[t.addr], t)
		}
	}
	for _, had := range byAddr {
		// Who has not changed goes before who has: nobody takes an address by a change.
		slices.SortFunc(had, func(a, b tenure) int {
			return cmp.Or(compareBool(a.moved, b.moved), cmp.Compare(a.place, b.place))
		})
		for _, t := range had {
			if why := b.sharingEnded(t.entry, t.addr); why != nil {
				t.entry.lost = append(t.entry.lost, Loss{t.addr, why.reason, why.message})
				continue
			}
			b.bind(t.entry, t.addr)
		}
	}
	if adopt {
		for _, e := range slices.SortedFunc(maps.Values(b.services), byAge) {
			b.adopt(e)
		}
	}
}

func byAge(a, b *entry) int { return a.precedes(&b.Service) }

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// tenures are what the claims say of each Service that may keep it.
func (b *Book) tenures(claims []Claim) map[*entry][]tenure {
	all := map[*entry][]tenure{}
	for _, claim := range claims {
		b.touched[claim.Addr] = true
		for place, holder := range claim.Holders {
			e := b.services[holder.Service]
			if e == nil || e.UID != holder.UID {
				continue
			}
			if why := b.mustLeave(e, claim.Addr); why != nil {
				e.lost = append(e.lost, Loss{claim.Addr, why.reason, why.message})
				continue
			}
			moved := holder.Terms != "" && holder.Terms != e.shareTerms()
			all[e] = append(all[e], tenure{e, claim.Addr, place, moved})
		}
	}
	return all
}

// oneOfEach leaves one address of each family: a process that ended while it gave
// a Service another address leaves two claims.
func (b *Book) oneOfEach(e *entry, had []tenure) []tenure {
	slices.SortFunc(had, func(x, y tenure) int {
		return cmp.Or(compareBool(!b.asWished(e, x.addr), !b.asWished(e, y.addr)),
			compareBool(!slices.Contains(e.Status, x.addr), !slices.Contains(e.Status, y.addr)), x.addr.Compare(y.addr))
	})
	var left []tenure
	for _, t := range had {
		if i := slices.IndexFunc(left, func(l tenure) bool { return familyOf(l.addr) == familyOf(t.addr) }); i >= 0 {
			e.lost = append(e.lost, Loss{t.addr, LossMoved, fmt.Sprintf("%s is released: the Service has %s", t.addr, left[i].addr)})
			continue
		}
		left = append(left, t)
	}
	return left
}

// adopt lets a Service that has no claim go on with what its status says.
func (b *Book) adopt(e *entry) {
	for _, addr := range e.Status {
		if _, has := e.addrs[familyOf(addr)]; !has && b.mustLeave(e, addr) == nil && b.refuseHolders(e, addr) == nil {
			b.bind(e, addr)
		}
	}
}

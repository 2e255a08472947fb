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
	"slices"
)

// bind gives an address to a Service that has none of the family.
func (b *Book) bind(e *entry, addr netip.Addr) {
	e.addrs[familyOf(addr)] = addr
	b.holders[addr] = append(b.holders[addr], e)
	b.touched[addr] = true
	b.dirty[e] = true
	if e.SharingKey != "" {
		b.keyed(e.SharingKey).add(addr)
	}
}

// release takes an address from a Service.
func (b *Book) release(e *entry, addr netip.Addr) {
	delete(e.addrs, familyOf(addr))
	left := slices.DeleteFunc(b.holders[addr], func(other *entry) bool { return other == e })
	if b.holders[addr] = left; len(left) == 0 {
		delete(b.holders, addr)
	}
	if e.SharingKey != "" {
		b.unkey(e.SharingKey, addr)
	}
	b.touched[addr] = true
	b.dirty[e] = true
	b.unmark(addr)
}

// lose is a release that the Service is told of.
func (b *Book) lose(e *entry, addr netip.Addr, why *refusal) {
	b.release(e, addr)
	e.lost = append(e.lost, Loss{addr, why.reason, why.message})
}

// unmark says that an address may be free now.
func (b *Book) unmark(addr netip.Addr) {
	b.gain(addr)
	if i, ok := b.pools.OwnerOf(addr); ok {
		b.rooms[i][roomOf(familyOf(addr))].lower(addr)
	}
}

// gains say which pools may have something now for those who wait.
type gains struct {
	all   bool
	pools map[int]bool
}

func (b *Book) gain(addr netip.Addr) {
	if i, ok := b.pools.OwnerOf(addr); ok {
		b.freed.pools[i] = true
	}
}

// mayGain reports whether one of those pools is for the Service.
func (b *Book) mayGain(e *entry) bool {
	if b.freed.all {
		return true
	}
	for pool := range b.freed.pools {
		if b.selects(pool, e) {
			return true
		}
	}
	return false
}

// index and unindex note the sharing key of a Service with its addresses.
func (b *Book) index(e *entry) {
	for _, addr := range e.addrs {
		if e.SharingKey != "" {
			b.keyed(e.SharingKey).add(addr)
		}
	}
}

func (b *Book) unindex(e *entry) {
	for _, addr := range e.addrs {
		if e.SharingKey != "" {
			b.unkey(e.SharingKey, addr)
		}
	}
}

func (b *Book) keyed(key string) *keyed {
	if b.byKey[key] == nil {
		b.byKey[key] = &keyed{count: map[netip.Addr]int{}}
	}
	return b.byKey[key]
}

func (b *Book) unkey(key string, addr netip.Addr) {
	if k := b.byKey[key]; k.remove(addr) == 0 {
		delete(b.byKey, key)
	}
}

// keyed are the addresses that Services with one sharing key have.
type keyed struct {
	addrs []netip.Addr // ascending
	count map[netip.Addr]int
}

func (k *keyed) add(addr netip.Addr) {
	k.count[addr]++
	if i, found := slices.BinarySearchFunc(k.addrs, addr, netip.Addr.Compare); !found {
		k.addrs = slices.Insert(k.addrs, i, addr)
	}
}

// remove says how many are left.
func (k *keyed) remove(addr netip.Addr) int {
	if k.count[addr]--; k.count[addr] == 0 {
		delete(k.count, addr)
		if i, found := slices.BinarySearchFunc(k.addrs, addr, netip.Addr.Compare); found {
			k.addrs = slices.Delete(k.addrs, i, i+1)
		}
	}
	return len(k.addrs)
}

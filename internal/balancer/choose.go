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

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/allocator"
)

// maxShared is how many addresses of a sharing key are looked at, so that many
// Services with one key and the same port cost no more than others.
const maxShared = 64

// choose is what a Service gets that asks for no address.
func (b *Book) choose(e *entry, family corev1.IPFamily) (netip.Addr, *refusal) {
	pools, why := b.poolsFor(e, family)
	if why != nil {
		return netip.Addr{}, why
	}
	for _, addr := range b.kept.mine[e.Key] {
		if familyOf(addr) == family && b.refuseWish(e, addr) == nil {
			return addr, nil
		}
	}
	if addr, ok := b.shared(e, family, pools); ok {
		return addr, nil
	}
	automatic, open := false, false
	for _, pool := range pools {
		if b.pools.Pool(pool).Disabled {
			continue
		}
		open = true
		r := &b.rooms[pool][roomOf(family)]
		if addr, ok := r.lowest(func(addr netip.Addr) bool { return b.isFree(addr, e) }); ok {
			return addr, nil
		}
		automatic = automatic || b.pools.Pool(pool).AutoAssign
	}
	switch {
	case !open:
		return netip.Addr{}, refuse(ReasonDisabled, "the AddressPools for this Service are disabled: they give nothing new")
	case !automatic:
		return netip.Addr{}, refuse(ReasonNotAutomatic, "the AddressPools for this Service give no address of %s by themselves: ask for one by value", family)
	}
	return netip.Addr{}, refuse(ReasonExhausted, "no address of %s is free in the AddressPools for this Service", family)
}

// shared is the lowest address of others that the Service may have with them.
func (b *Book) shared(e *entry, family corev1.IPFamily, pools []int) (netip.Addr, bool) {
	k := b.byKey[e.SharingKey]
	if k == nil {
		return netip.Addr{}, false
	}
	tried := 0
	for _, addr := range k.addrs {
		if familyOf(addr) != family || !b.givesItself(pools, addr) {
			continue
		}
		if tried++; tried > maxShared {
			break
		}
		if b.refuseWish(e, addr) == nil && !b.isShown(addr, e) {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// givesItself reports whether one of the pools would give the address to who does
// not ask for it.
func (b *Book) givesItself(pools []int, addr netip.Addr) bool {
	owner, owned := b.pools.OwnerOf(addr)
	return owned && slices.Contains(pools, owner) && b.pools.IsAutomatic(addr) && !(b.pools.Pool(owner).AvoidBuggyIPs && allocator.IsBuggy(addr))
}

func (b *Book) isFree(addr netip.Addr, e *entry) bool {
	_, reserved := b.kept.of[addr]
	return len(b.holders[addr]) == 0 && !reserved && len(b.used.by[addr]) == 0 && !b.isShown(addr, e)
}

// isShown reports whether a Service would have to wait for an address until others
// have let go of it, which may take long.
func (b *Book) isShown(addr netip.Addr, e *entry) bool {
	return b.shown != nil && b.shown(addr, e.Key)
}

// poolsFor are the pools that may give a Service an address of a family, in order.
func (b *Book) poolsFor(e *entry, family corev1.IPFamily) ([]int, *refusal) {
	var pools []int
	for _, pool := range b.pools.For(e.NamespaceLabels, e.Labels) {
		named := e.Wish.Pool == "" || e.Wish.Pool == b.pools.Pool(pool).Name
		ofFamily := slices.ContainsFunc(b.pools.Effective(pool), spanOfFamily(family))
		if named && ofFamily {
			pools = append(pools, pool)
		}
	}
	switch {
	case len(pools) > 0:
		return pools, nil
	case e.Wish.Pool != "":
		return nil, refuse(ReasonNoPool, "AddressPool %.253q has no addresses of %s for this Service", e.Wish.Pool, family)
	}
	return nil, refuse(ReasonNoPool, "no AddressPool has addresses of %s for this Service: ask an administrator for one", family)
}

func spanOfFamily(family corev1.IPFamily) func(allocator.AddrSpan) bool {
	return func(s allocator.AddrSpan) bool { return familyOf(s.First) == family }
}

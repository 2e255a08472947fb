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
	"cmp"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// AddrPoolSet is the address pools of one use, resolved: each address belongs to
// one of them. It does not change and may be shared.
type AddrPoolSet struct {
	set   poolSet[AddrPool, netip.Addr]
	order []int // by priority, then name
}

// NewAddrPoolSet resolves the pools that are for the use; others are left out.
func NewAddrPoolSet(use v1alpha1.AddressUse, pools []AddrPool) *AddrPoolSet {
	ofUse := slices.DeleteFunc(slices.Clone(pools), func(p AddrPool) bool { return p.Use != use })
	set := &AddrPoolSet{set: resolveAddrPools(ofUse)}
	for i := range set.set.pools { // by name
		set.order = append(set.order, i)
	}
	slices.SortStableFunc(set.order, func(a, b int) int { return cmp.Compare(set.Pool(b).Priority, set.Pool(a).Priority) })
	return set
}

// Len is how many pools there are.
func (s *AddrPoolSet) Len() int { return len(s.set.pools) }

// Pool is the one with this index, from 0 to Len()-1, by name.
func (s *AddrPoolSet) Pool(index int) AddrPool { return s.set.pools[index].pool }

// OwnerOf is the index of the pool that the address belongs to.
func (s *AddrPoolSet) OwnerOf(addr netip.Addr) (int, bool) { return s.set.ownerOf(addr.Unmap()) }

// For are the indexes of the pools for a Service with these labels in a namespace
// with those, in the order in which they give addresses: by priority, then name.
func (s *AddrPoolSet) For(namespace, service labels.Set) []int {
	var found []int
	for _, i := range s.order {
		if s.Pool(i).Selects(namespace, service) {
			found = append(found, i)
		}
	}
	return found
}

// Effective are the addresses that are the pool's own, ascending.
func (s *AddrPoolSet) Effective(index int) []AddrSpan {
	return publicAddrs(s.set.pools[index].effective)
}

// Automatic are those of them that it gives by itself, ascending and without the
// spans that are never to be given. AvoidBuggyIPs is left to the caller.
func (s *AddrPoolSet) Automatic(index int, never []AddrSpan) []AddrSpan {
	return publicAddrs(s.set.pools[index].automatic.without(addrSpans(never)))
}

// IsAutomatic reports whether the address is one that its pool gives by itself.
func (s *AddrPoolSet) IsAutomatic(addr netip.Addr) bool {
	i, ok := s.OwnerOf(addr)
	return ok && s.set.pools[i].automatic.contains(addr.Unmap())
}

// IsBuggy tells IPv4 addresses that end in .0 or .255.
func IsBuggy(addr netip.Addr) bool {
	if !addr.Is4() {
		return false
	}
	last := addr.As4()[3]
	return last == 0 || last == 255
}

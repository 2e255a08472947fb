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

// room is what a pool gives by itself of one family. All below next is known to
// be taken, so that finding the lowest free one does not begin anew each time.
type room struct {
	spans []allocator.AddrSpan // ascending
	next  netip.Addr           // not valid where nothing is left
	avoid bool                 // leave out addresses that end in .0 or .255
}

func roomOf(family corev1.IPFamily) int {
	if family == corev1.IPv6Protocol {
		return 1
	}
	return 0
}

// measure works out the rooms anew.
func (b *Book) measure() {
	b.rooms = make([][2]room, b.pools.Len())
	never := slices.Concat(b.never, unusable)
	for i := range b.rooms {
		for _, span := range b.pools.Automatic(i, never) {
			r := &b.rooms[i][roomOf(familyOf(span.First))]
			r.spans = append(r.spans, span)
		}
		for family := range b.rooms[i] {
			r := &b.rooms[i][family]
			if r.avoid = b.pools.Pool(i).AvoidBuggyIPs; len(r.spans) > 0 {
				r.next = r.spans[0].First
			}
		}
	}
}

// lowest is the lowest address that is free.
func (r *room) lowest(free func(netip.Addr) bool) (netip.Addr, bool) {
	for r.next.IsValid() {
		if free(r.next) && !(r.avoid && allocator.IsBuggy(r.next)) {
			return r.next, true
		}
		r.next = r.after(r.next)
	}
	return netip.Addr{}, false
}

// after is the address behind one of the room.
func (r *room) after(addr netip.Addr) netip.Addr {
	i := r.spanOf(addr)
	if addr != r.spans[i].Last {
		return addr.Next()
	}
	if i+1 < len(r.spans) {
		return r.spans[i+1].First
	}
	return netip.Addr{}
}

// spanOf is the index of the first span that ends at the address or behind it.
func (r *room) spanOf(addr netip.Addr) int {
	i, _ := slices.BinarySearchFunc(r.spans, addr, func(s allocator.AddrSpan, addr netip.Addr) int { return s.Last.Compare(addr) })
	return i
}

// lower says that the address may be free again.
func (r *room) lower(addr netip.Addr) {
	i := r.spanOf(addr)
	inside := i < len(r.spans) && r.spans[i].First.Compare(addr) <= 0
	if inside && (!r.next.IsValid() || addr.Less(r.next)) {
		r.next = addr
	}
}

// unusable are addresses that can not be reached from outside, whatever a pool says.
var unusable = []allocator.AddrSpan{
	spanOf("0.0.0.0", "0.255.255.255"),
	spanOf("127.0.0.0", "127.255.255.255"),
	spanOf("169.254.0.0", "169.254.255.255"),
	spanOf("224.0.0.0", "239.255.255.255"),
	spanOf("255.255.255.255", "255.255.255.255"),
	spanOf("::", "::1"),
	spanOf("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
	spanOf("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
}

func spanOf(first, last string) allocator.AddrSpan {
	return allocator.AddrSpan{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)}
}

func within(spans []allocator.AddrSpan, addr netip.Addr) bool {
	return slices.ContainsFunc(spans, func(s allocator.AddrSpan) bool { return s.First.Compare(addr) <= 0 && addr.Compare(s.Last) <= 0 })
}

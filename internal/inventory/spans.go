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

package inventory

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"switchyard.dev/switchyard/allocator"
)

// Span is numbers in a row, both ends included and of one kind.
type Span struct{ First, Last allocator.Number }

// String is FIRST-LAST, or the number if there is one.
func (s Span) String() string {
	if s.First == s.Last {
		return s.First.String()
	}
	return s.First.String() + "-" + s.Last.String()
}

// Count is how many there are, up to 2^64-1.
func (s Span) Count() uint64 {
	if s.First.IsPort() {
		return uint64(s.Last.Port-s.First.Port) + 1
	}
	firstHigh, firstLow := halves(s.First.Addr)
	lastHigh, lastLow := halves(s.Last.Addr)
	if high := lastHigh - firstHigh; high > 1 || high == 1 && lastLow >= firstLow || lastLow-firstLow == ^uint64(0) {
		return ^uint64(0)
	}
	return lastLow - firstLow + 1
}

func halves(addr netip.Addr) (high, low uint64) {
	bytes := addr.As16()
	return binary.BigEndian.Uint64(bytes[:8]), binary.BigEndian.Uint64(bytes[8:])
}

// Contains reports whether the number is one of them.
func (s Span) Contains(n allocator.Number) bool {
	return s.First.Compare(n) <= 0 && n.Compare(s.Last) <= 0
}

// Contain reports whether the number is in one of the spans.
func Contain(spans []Span, n allocator.Number) bool {
	return slices.ContainsFunc(spans, func(s Span) bool { return s.Contains(n) })
}

// Without is what of the spans is in none of the others. Both are in ascending
// order, and the result is.
func Without(spans, taken []Span) []Span {
	var left []Span
	for _, s := range spans {
		whole := true
		for _, t := range taken[firstEndingAt(taken, s.First):] {
			if t.First.Compare(s.Last) > 0 {
				break
			}
			if s.First.Compare(t.First) < 0 {
				left = append(left, Span{s.First, before(t.First)})
			}
			if whole = t.Last.Compare(s.Last) < 0; !whole {
				break
			}
			s.First = after(t.Last)
		}
		if whole {
			left = append(left, s)
		}
	}
	return left
}

// firstEndingAt is the index of the first span that ends at the number or after.
func firstEndingAt(spans []Span, n allocator.Number) int {
	i, _ := slices.BinarySearchFunc(spans, n, func(s Span, n allocator.Number) int { return s.Last.Compare(n) })
	return i
}

// Points are spans of one number each, in ascending order.
func Points(numbers []allocator.Number) []Span {
	sorted := slices.SortedFunc(slices.Values(numbers), allocator.Number.Compare)
	spans := make([]Span, 0, len(sorted))
	for _, n := range slices.Compact(sorted) {
		spans = append(spans, Span{n, n})
	}
	return spans
}

// Largest is the span with the most numbers, the first among equals.
func Largest(spans []Span) (largest Span, found bool) {
	var most uint64
	for _, s := range spans {
		if count := s.Count(); count > most {
			largest, most, found = s, count, true
		}
	}
	return largest, found
}

func before(n allocator.Number) allocator.Number {
	if n.IsPort() {
		return allocator.PortNumber(n.Port - 1)
	}
	return allocator.Number{Addr: n.Addr.Prev()}
}

func after(n allocator.Number) allocator.Number {
	if n.IsPort() {
		return allocator.PortNumber(n.Port + 1)
	}
	return allocator.Number{Addr: n.Addr.Next()}
}

// PortSpans are spans of ports.
func PortSpans(spans ...allocator.PortSpan) []Span {
	all := make([]Span, 0, len(spans))
	for _, s := range spans {
		all = append(all, Span{allocator.PortNumber(s.First), allocator.PortNumber(s.Last)})
	}
	return all
}

// AddrSpans are spans of addresses.
func AddrSpans(spans []allocator.AddrSpan) []Span {
	all := make([]Span, 0, len(spans))
	for _, s := range spans {
		all = append(all, Span{allocator.AddrNumber(s.First), allocator.AddrNumber(s.Last)})
	}
	return all
}

// Usable are the addresses of a ServiceCIDR that the API server gives out: all
// but the network address, and in IPv4 the broadcast address.
func Usable(prefix netip.Prefix) Span {
	prefix = prefix.Masked()
	bytes := prefix.Addr().AsSlice()
	for bit := prefix.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	if last.Is4() {
		last = last.Prev()
	}
	return Span{allocator.AddrNumber(prefix.Addr().Next()), allocator.AddrNumber(last)}
}

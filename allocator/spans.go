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
)

// AddrSpan is the first and the last address of a range, both included and of
// one family.
type AddrSpan struct{ First, Last netip.Addr }

// String is FIRST-LAST, or the address if there is one.
func (s AddrSpan) String() string {
	if s.First == s.Last {
		return s.First.String()
	}
	return s.First.String() + "-" + s.Last.String()
}

// ordered are numbers in a row. netip.Addr is one by its own methods: all of
// IPv4 come before all of IPv6, and no span has both.
type ordered[N any] interface {
	comparable
	Compare(N) int
	Next() N
	Prev() N
}

// orderedPort is a port of the node as one of ordered.
type orderedPort int32

func (p orderedPort) Compare(other orderedPort) int { return cmp.Compare(p, other) }
func (p orderedPort) Next() orderedPort             { return p + 1 }
func (p orderedPort) Prev() orderedPort             { return p - 1 }

// span is a run of numbers, both ends included.
type span[N ordered[N]] struct{ first, last N }

func (s span[N]) overlap(other span[N]) (span[N], bool) {
	both := span[N]{first: s.first, last: s.last}
	if other.first.Compare(both.first) > 0 {
		both.first = other.first
	}
	if other.last.Compare(both.last) < 0 {
		both.last = other.last
	}
	return both, both.first.Compare(both.last) <= 0
}

// spanSet is spans in ascending order, none of which touches the next.
type spanSet[N ordered[N]] []span[N]

func newSpanSet[N ordered[N]](spans []span[N]) spanSet[N] {
	sorted := slices.SortedFunc(slices.Values(spans), func(a, b span[N]) int { return a.first.Compare(b.first) })
	var set spanSet[N]
	for _, s := range sorted {
		set = set.with(s)
	}
	return set
}

// with adds a span that begins nowhere before the last one.
func (set spanSet[N]) with(s span[N]) spanSet[N] {
	last := len(set) - 1
	switch {
	case last < 0 || set[last].last.Next() != s.first && set[last].last.Compare(s.first) < 0:
		return append(set, s)
	case s.last.Compare(set[last].last) > 0:
		set[last].last = s.last
	}
	return set
}

// find is the index of the span that holds the number.
func (set spanSet[N]) find(n N) (int, bool) {
	i, exact := slices.BinarySearchFunc(set, n, func(s span[N], n N) int { return s.first.Compare(n) })
	if exact {
		return i, true
	}
	return i - 1, i > 0 && n.Compare(set[i-1].last) <= 0
}

func (set spanSet[N]) contains(n N) bool {
	_, ok := set.find(n)
	return ok
}

// and is what both have.
func (set spanSet[N]) and(other spanSet[N]) spanSet[N] {
	var both spanSet[N]
	for i, j := 0, 0; i < len(set) && j < len(other); {
		if s, ok := set[i].overlap(other[j]); ok {
			both = append(both, s)
		}
		if set[i].last.Compare(other[j].last) < 0 {
			i++
		} else {
			j++
		}
	}
	return both
}

// without is what only the first has.
func (set spanSet[N]) without(other spanSet[N]) spanSet[N] {
	var left spanSet[N]
	for _, s := range set {
		rest := true
		for _, taken := range other[other.from(s.first):] {
			both, ok := s.overlap(taken)
			if !ok {
				break
			}
			if s.first.Compare(both.first) < 0 {
				left = append(left, span[N]{s.first, both.first.Prev()})
			}
			if rest = both.last.Compare(s.last) < 0; !rest {
				break
			}
			s.first = both.last.Next()
		}
		if rest {
			left = append(left, s)
		}
	}
	return left
}

// from is the index of the first span that ends at the number or after it.
func (set spanSet[N]) from(n N) int {
	i, _ := slices.BinarySearchFunc(set, n, func(s span[N], n N) int { return s.last.Compare(n) })
	return i
}

func portSpans(spans []PortSpan) spanSet[orderedPort] {
	var all []span[orderedPort]
	for _, s := range spans {
		all = append(all, span[orderedPort]{orderedPort(s.First), orderedPort(s.Last)})
	}
	return newSpanSet(all)
}

func addrSpans(spans []AddrSpan) spanSet[netip.Addr] {
	var all []span[netip.Addr]
	for _, s := range spans {
		all = append(all, span[netip.Addr]{s.First, s.Last})
	}
	return newSpanSet(all)
}

func publicPorts(set spanSet[orderedPort]) []PortSpan {
	var spans []PortSpan
	for _, s := range set {
		spans = append(spans, PortSpan{First: int32(s.first), Last: int32(s.last)})
	}
	return spans
}

func publicAddrs(set spanSet[netip.Addr]) []AddrSpan {
	var spans []AddrSpan
	for _, s := range set {
		spans = append(spans, AddrSpan{First: s.first, Last: s.last})
	}
	return spans
}

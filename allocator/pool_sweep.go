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
	"container/heap"
	"slices"
)

// rankedSpan is a span of the pool with this rank: 0 has precedence over all.
type rankedSpan[N ordered[N]] struct {
	span[N]
	rank int
}

// rankedSpans are the spans of all pools, by where they begin.
func rankedSpans[N ordered[N]](pools []spanSet[N]) []rankedSpan[N] {
	var all []rankedSpan[N]
	for rank, spans := range pools {
		for _, s := range spans {
			all = append(all, rankedSpan[N]{s, rank})
		}
	}
	slices.SortFunc(all, func(a, b rankedSpan[N]) int { return cmp.Or(a.first.Compare(b.first), cmp.Compare(a.rank, b.rank)) })
	return all
}

// ownedSpans give each number to the pool of the lowest rank that has it, in
// ascending order, those of one pool with something between them.
//
//	rank 0         |-----|
//	rank 1   |--------|      |---|
//	rank 2      |----------------|
//	owned    111111000000022211111
//
// Another pool can come to own the next number only where a span begins or where
// the owner's ends, so that n spans take n log n, however they overlap.
func ownedSpans[N ordered[N]](spans []rankedSpan[N], pools int) []rankedSpan[N] {
	var owned []rankedSpan[N]
	var open ranks           // of the pools with a span that has begun
	ends := make([]N, pools) // where that span ends
	var from N               // the first number that is still to be given
	for next := 0; next < len(spans) || len(open) > 0; {
		if len(open) == 0 {
			from = spans[next].first
		}
		for ; next < len(spans) && spans[next].first.Compare(from) <= 0; next++ {
			ends[spans[next].rank] = spans[next].last
			heap.Push(&open, spans[next].rank)
		}
		owner := open[0]
		upto := ends[owner]
		if next < len(spans) && spans[next].first.Compare(upto) <= 0 {
			upto = spans[next].first.Prev()
		}
		owned = appendOwned(owned, rankedSpan[N]{span[N]{from, upto}, owner})
		for len(open) > 0 && ends[open[0]].Compare(upto) <= 0 {
			heap.Pop(&open)
		}
		from = upto.Next() // it exists where a span is open
	}
	return owned
}

func appendOwned[N ordered[N]](owned []rankedSpan[N], s rankedSpan[N]) []rankedSpan[N] {
	if last := len(owned) - 1; last >= 0 && owned[last].rank == s.rank && owned[last].last.Next() == s.first {
		owned[last].last = s.last
		return owned
	}
	return append(owned, s)
}

// ranks is a heap for container/heap, the lowest first.
type ranks []int

func (r ranks) Len() int           { return len(r) }
func (r ranks) Less(i, j int) bool { return r[i] < r[j] }
func (r ranks) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *ranks) Push(rank any)     { *r = append(*r, rank.(int)) }
func (r *ranks) Pop() any {
	last := len(*r) - 1
	rank := (*r)[last]
	*r = (*r)[:last]
	return rank
}

// overlaps visits what two pools both have, for each two of them. It takes time
// in proportion to what it visits, which may be every pool with every other.
func overlaps[N ordered[N]](spans []rankedSpan[N], visit func(rank, with int, both span[N])) {
	var open []rankedSpan[N]
	for _, s := range spans {
		open = slices.DeleteFunc(open, func(o rankedSpan[N]) bool { return o.last.Compare(s.first) < 0 })
		for _, o := range open {
			if both, ok := s.overlap(o.span); ok {
				visit(max(s.rank, o.rank), min(s.rank, o.rank), both)
			}
		}
		open = append(open, s)
	}
}

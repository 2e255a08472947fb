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

import "slices"

// window is the part of a range that automatic choices come from: a band, what
// pools leave of it, or what of a pool lies in the range.
//
//	offset  0                                                size
//	range   |--------------------------------------------------|
//	window       |-- span --|         |- span -|   |- span -|
//
// It is worked out when ranges or pools change, so that a choice allocates
// nothing and looks at few spans.
type window struct {
	spans []offsets         // ascending, with something between them
	upto  []uint64          // how many offsets all spans up to each have
	skip  func(uint64) bool // offsets that are never chosen; nil: none
}

// offsets is a run of them; high is not part of it.
type offsets struct{ low, high uint64 }

func newWindow(spans ...offsets) window {
	var w window
	var total uint64
	for _, s := range spans {
		if s.low < s.high {
			total += s.high - s.low
			w.spans, w.upto = append(w.spans, s), append(w.upto, total)
		}
	}
	return w
}

// without leaves out what the others, which are ascending, have.
func (w window) without(others []offsets) window {
	var left []offsets
	for _, s := range w.spans {
		for _, other := range others {
			if other.high <= s.low || other.low >= s.high {
				continue
			}
			left = append(left, offsets{s.low, max(s.low, other.low)})
			s.low = min(s.high, other.high)
		}
		left = append(left, s)
	}
	return newWindow(left...)
}

func (w *window) size() uint64 {
	if len(w.upto) == 0 {
		return 0
	}
	return w.upto[len(w.upto)-1]
}

// at is the n-th offset of the window, and the span that it is in.
func (w *window) at(n uint64) (span int, offset uint64) {
	span, exact := slices.BinarySearch(w.upto, n)
	if exact { // upto counts: the n-th comes after n others
		span++
	}
	return span, w.spans[span].high - (w.upto[span] - n)
}

func (w *window) has(offset uint64) bool {
	i := w.endingAfter(offset)
	return i < len(w.spans) && w.spans[i].low <= offset && (w.skip == nil || !w.skip(offset))
}

// endingAfter is the first span that has the offset or lies after it.
func (w *window) endingAfter(offset uint64) int {
	i, _ := slices.BinarySearchFunc(w.spans, offset, func(s offsets, offset uint64) int {
		if s.high <= offset {
			return -1
		}
		return 1
	})
	return i
}

// allocateIn takes a free number of the window: the first one from a random
// place on, wrapping once.
func (r *Range[N]) allocateIn(w *window) (N, bool) {
	var none N
	if w.size() == 0 {
		return none, false
	}
	i, start := w.at(r.random(w.size()))
	offset, ok := r.bits.freeIn(w, i, start, r.bits.size)
	if !ok {
		if offset, ok = r.bits.freeIn(w, 0, w.spans[0].low, start); !ok {
			return none, false
		}
	}
	r.bits.set(offset)
	return r.space.number(offset), true
}

// freeIn is the first free offset of the window at or after from, which lies in
// span i, and below limit. Spans that are full cost nothing each: the bitmap
// says where the next free offset is, and the search goes on from there.
func (b *bitmap) freeIn(w *window, i int, from, limit uint64) (uint64, bool) {
	for {
		offset, ok := b.nextFree(from)
		if !ok || offset >= limit {
			return 0, false
		}
		if offset >= w.spans[i].high {
			if i = w.endingAfter(offset); i == len(w.spans) {
				return 0, false
			}
		}
		from = max(offset, w.spans[i].low)
		if from > offset {
			continue // in the gap before the span
		}
		if w.skip == nil || !w.skip(offset) {
			return offset, true
		}
		from++
	}
}

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
	"math/rand/v2"
	"slices"
	"testing"
)

// A window is its offsets, one by one: each can be drawn, all are given before it
// is full, and none beside them.
func TestAWindowGivesItsOffsetsAndNoOthers(t *testing.T) {
	const size = 3 * pageSize / 2 // so that there is a level above
	random := rand.New(rand.NewPCG(7, 8))
	for round := range 60 {
		var inside [size]bool
		w := newWindow(offsets{0, size})
		var holes []offsets
		for low := uint64(0); low < size; {
			from := low + random.Uint64N(400)
			hole := offsets{min(from, size), min(from+random.Uint64N(300), size)}
			holes = append(holes, hole)
			low = hole.high + 1
		}
		w = w.without(holes)
		for offset := range inside {
			inside[offset] = !slices.ContainsFunc(holes, func(h offsets) bool { return h.low <= uint64(offset) && uint64(offset) < h.high })
			if w.has(uint64(offset)) != inside[offset] {
				t.Fatalf("round %d: has %d: %v, want %v", round, offset, w.has(uint64(offset)), inside[offset])
			}
		}
		var drawn uint64
		for offset := range inside {
			if !inside[offset] {
				continue
			}
			if i, got := w.at(drawn); got != uint64(offset) || got < w.spans[i].low || got >= w.spans[i].high {
				t.Fatalf("round %d: number %d is %d of span %v, want %d", round, drawn, got, w.spans[i], offset)
			}
			drawn++
		}
		if w.size() != drawn {
			t.Fatalf("round %d: size is %d, want %d", round, w.size(), drawn)
		}
		r := newRange[uint64](plain{}, size, 0)
		r.random = random.Uint64N
		left := drawn
		for offset := range inside {
			if random.IntN(3) == 0 {
				r.bits.set(uint64(offset))
				if inside[offset] {
					left--
				}
			}
		}
		for ; left > 0; left-- {
			if got, ok := r.allocateIn(&w); !ok || !inside[got] {
				t.Fatalf("round %d: gave %d (%v) with %d left", round, got, ok, left)
			}
		}
		if got, ok := r.allocateIn(&w); ok {
			t.Fatalf("round %d: gave %d of a window that is full", round, got)
		}
	}
}

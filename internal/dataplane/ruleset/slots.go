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

package ruleset

import "slices"

// arrange gives each entry of want a slot, as often as it is in there. Slots are
// always filled from 0 without holes, so that the draws of a pick chain find
// one; an entry keeps the slot it holds unless that lies beyond the last,
// which is then the one that fills a hole. So replacing one entry changes one
// slot, and removing one changes at most two. A zero in held is a hole. The
// result may be want itself.
func arrange[T comparable](held, want []T) []T {
	if len(held) == 0 || slices.Equal(held, want) {
		return want
	}
	var none T
	slots := make([]T, len(want))
	waiting := make(map[T]int, len(want))
	for _, entry := range want {
		waiting[entry]++
	}
	for i, entry := range held[:min(len(held), len(slots))] {
		if waiting[entry] > 0 {
			slots[i] = entry
			waiting[entry]--
		}
	}
	hole := 0
	for _, entry := range want {
		if waiting[entry] == 0 {
			continue
		}
		for slots[hole] != none {
			hole++
		}
		slots[hole] = entry
		waiting[entry]--
	}
	return slots
}

// nextClass is the number of slots to draw from for n endpoints, given that of
// now (0 for none): a power of two, at least n. It shrinks only when no more
// than 3/8 are filled, so that a Service that wavers around a power of two
// does not change its class every time; and never are 1/4 or fewer filled.
func nextClass(now uint32, n int) uint32 {
	if now >= uint32(n) && uint64(n)*8 > uint64(now)*3 {
		return now
	}
	class := uint32(1)
	for class < uint32(n) {
		class *= 2
	}
	return class
}

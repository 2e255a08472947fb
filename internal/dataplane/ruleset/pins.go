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

import "net/netip"

// maxPinned is how many endpoints of one list clients can be pinned to; those
// beyond it get no traffic while the Service has affinity.
const maxPinned = 1 << (32 - idBits)

// idBits is the size of an id; a pin has the remaining bits of a number.
const idBits = 20

// keepNumbers gives each endpoint of want a number that it keeps as long as it
// is in the list, because clients are pinned to it: those of held, which
// have the numbers heldNumbers, keep theirs, and new ones take the lowest that
// are free. So one that replaces another takes over its clients, and the
// clients of one that goes for good are free to choose again. held and want
// are sorted.
func keepNumbers(held []netip.AddrPort, heldNumbers []uint32, want []netip.AddrPort) []uint32 {
	numbers := make([]uint32, len(want))
	taken := make([]bool, len(want)+1)
	var waiting []int
	at := 0
	for i, endpoint := range want {
		for at < len(held) && held[at].Compare(endpoint) < 0 {
			at++
		}
		if at == len(held) || held[at] != endpoint || heldNumbers[at] >= maxPinned {
			waiting = append(waiting, i)
			continue
		}
		numbers[i] = heldNumbers[at]
		if int(numbers[i]) < len(taken) {
			taken[numbers[i]] = true
		}
	}
	// The lowest free numbers are below len(want): no more than that are kept.
	free := uint32(0)
	for _, i := range waiting {
		for taken[free] {
			free++
		}
		numbers[i], taken[free] = free, true
	}
	return numbers
}

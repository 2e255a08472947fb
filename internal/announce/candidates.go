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

package announce

import (
	"cmp"
	"net/netip"
	"slices"
)

// Node is a node by name, and how much it is wanted.
type Node struct {
	Name     string
	Standing Standing
}

// Candidates are the nodes that may announce an address at a place, the one that
// should do so first: the Fit ones, or those of LastResort if there is no other.
func Candidates(addr netip.Addr, place Place, nodes []Node) []string {
	best := Unfit
	for _, n := range nodes {
		if place.Has(n.Name) {
			best = max(best, n.Standing)
		}
	}
	if best == Unfit {
		return nil
	}
	var names []string
	for _, n := range nodes {
		if n.Standing == best && place.Has(n.Name) {
			names = append(names, n.Name)
		}
	}
	Rank(addr, names)
	return names
}

// Rank orders nodes for an address by rendezvous hashing: each has a weight of
// its own there, so that to take one away leaves the others in their order. The
// zero Addr gives an order that is no address's.
func Rank(addr netip.Addr, nodes []string) {
	slices.SortFunc(nodes, func(a, b string) int { return Compare(addr, a, b) })
}

// Compare is the order of Rank.
func Compare(addr netip.Addr, a, b string) int {
	return cmp.Or(cmp.Compare(weight(addr, b), weight(addr, a)), cmp.Compare(a, b))
}

// weight is FNV-1a, whose last bytes hardly reach the upper bits, followed by
// the mixing steps of SplitMix64. All nodes have to agree on it, those of other
// versions as well: it never changes.
func weight(addr netip.Addr, node string) uint64 {
	h := uint64(14695981039346656037)
	add := func(b byte) { h = (h ^ uint64(b)) * 1099511628211 }
	for _, b := range addr.AsSlice() {
		add(b)
	}
	for i := range len(node) {
		add(node[i])
	}
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

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
	"net/netip"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// windows are where automatic choices in one range come from.
type windows struct {
	bands [2]window // what is in no pool: the dynamic band, then the static one
	pools []window  // what each pool gives by itself, by its index in the poolSet
	// rest and owned are what may be asked for by number: what is in no pool, both
	// bands of it, and all that is each pool's own.
	rest  window
	owned []window
	// restricted says that a pool has numbers of this range, so that whoever knows
	// of no pools may choose a wrong one.
	restricted bool
}

// stage names one of the windows of every range: a pool, by its index, or a band.
type stage int

const (
	dynamicBand stage = -1 - iota
	staticBand
)

// outsidePools is where numbers come from that are of no pool.
var outsidePools = []stage{dynamicBand, staticBand}

func (w *windows) at(s stage) *window {
	switch s {
	case dynamicBand:
		return &w.bands[0]
	case staticBand:
		return &w.bands[1]
	}
	return &w.pools[s]
}

// windowsOf works out the windows of a range. Whole is all of it, toRange reads
// a number as the range's own kind, skip says what a pool never gives by itself.
func windowsOf[P any, N ordered[N], M any](
	r *Range[M], set poolSet[P, N], whole span[N], toRange func(N) M, skip func(P) func(uint64) bool,
) *windows {
	in := func(numbers spanSet[N]) []offsets {
		var spans []offsets
		for _, s := range numbers.and(spanSet[N]{whole}) {
			low, _ := r.space.offset(toRange(s.first))
			high, _ := r.space.offset(toRange(s.last))
			spans = append(spans, offsets{low, high + 1})
		}
		return spans
	}
	pooled := in(set.all)
	w := &windows{restricted: len(pooled) > 0, rest: newWindow(offsets{0, r.bits.size}).without(pooled)}
	for i, band := range r.bands {
		w.bands[i] = band.without(pooled)
	}
	for _, pool := range set.pools {
		automatic := newWindow(in(pool.automatic)...)
		automatic.skip = skip(pool.pool)
		w.pools = append(w.pools, automatic)
		w.owned = append(w.owned, newWindow(in(pool.effective)...))
	}
	return w
}

// usePools works out the windows of all ranges.
func (r *ranges) usePools(p pools) {
	never := func(PortPool) func(uint64) bool { return nil }
	r.portWindows = windowsOf(r.ports, p.ports, r.portSpan()[0], func(n orderedPort) int32 { return int32(n) }, never)
	for i := range r.addrs {
		a := &r.addrs[i]
		a.windows = windowsOf(a.Addrs, p.addrs[v1alpha1.UseClusterIP], a.whole(), func(n netip.Addr) netip.Addr { return n },
			func(pool AddrPool) func(uint64) bool {
				if !pool.AvoidBuggyIPs || a.cidr.Prefix.Addr().Is6() {
					return nil
				}
				return a.isBuggy
			})
	}
}

// whole is from the first to the last usable address.
func (a addrRange) whole() span[netip.Addr] {
	return span[netip.Addr]{a.space.number(0), a.space.number(a.bits.size - 1)}
}

// isBuggy tells addresses that end in .0 or .255.
func (a addrRange) isBuggy(offset uint64) bool {
	return IsBuggy(a.space.number(offset))
}

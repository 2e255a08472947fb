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
	"math"
	"strings"
)

const (
	freeRuns  = 3       // runs named in a message
	freeReach = 1 << 18 // how far a run is followed before it is cut
)

// freeFor names free numbers in words: "free: 30086-30100, 30102-30110, ...", of
// those that a Service is told of. The list starts after the number and continues
// from the start of the range.
func (r *ranges) freeFor(n Number, from source) string {
	if n.IsPort() {
		return freeText(r.ports.freeFrom(nil, n.Port, from.windows(r.portWindows)))
	}
	var runs []string
	for _, around := range []bool{true, false} { // the range of the number first
		for _, a := range r.open(familyOf(n.Addr)) {
			if a.Contains(n.Addr) == around {
				runs = a.freeFrom(runs, n.Addr, from.windows(a.windows))
			}
		}
	}
	return freeText(runs)
}

// windows are those that explicit numbers may come from: all that its pools
// have, also what they do not give by themselves.
func (from source) windows(w *windows) []*window {
	if len(from.pools) == 0 {
		return []*window{&w.rest}
	}
	var own []*window
	for _, i := range from.pools {
		own = append(own, &w.owned[i])
	}
	return own
}

func freeText(runs []string) string {
	if len(runs) == 0 {
		return "none is free"
	}
	text := "free: " + strings.Join(runs[:min(len(runs), freeRuns)], ", ")
	if len(runs) > freeRuns {
		text += ", ..."
	}
	return text
}

// freeFrom adds free runs of the windows from the number on, wrapping once, or
// from the start for a number that lies outside; one more than are named says
// that there are others.
func (r *Range[N]) freeFrom(runs []string, number N, within []*window) []string {
	start, ok := r.space.offset(number)
	if !ok {
		start = 0
	}
	for _, part := range []offsets{{start, r.bits.size}, {0, start}} {
		for _, w := range within {
			for _, s := range w.spans {
				runs = r.freeBetween(runs, max(s.low, part.low), min(s.high, part.high))
			}
		}
	}
	return runs
}

func (r *Range[N]) freeBetween(runs []string, low, high uint64) []string {
	for low < high && len(runs) <= freeRuns {
		first, ok := r.bits.nextFree(low)
		if !ok || first >= high {
			break
		}
		reach := high
		if first < math.MaxUint64-freeReach {
			reach = min(high, first+freeReach)
		}
		low = r.bits.nextUsed(first, reach)
		runs = append(runs, r.runText(first, low-1))
	}
	return runs
}

func (r *Range[N]) runText(first, last uint64) string {
	text := r.space.text(r.space.number(first))
	if last > first {
		text += "-" + r.space.text(r.space.number(last))
	}
	return text
}

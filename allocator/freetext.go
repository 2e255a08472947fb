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

// freeNear names free numbers in words: "free: 30086-30100, 30102-30110, ...".
// The list starts after the number and continues from the start of the range.
func (r ranges) freeNear(n Number) string {
	if n.IsPort() {
		return freeText(r.ports.freeFrom(n.Port))
	}
	for _, a := range r.addrs {
		if a.Contains(n.Addr) {
			return freeText(a.freeFrom(n.Addr))
		}
	}
	return freeText(nil, false)
}

func freeText(runs []string, more bool) string {
	if len(runs) == 0 {
		return "none is free"
	}
	text := "free: " + strings.Join(runs, ", ")
	if more {
		text += ", ..."
	}
	return text
}

// freeFrom lists free runs from the number on, wrapping once, or from the start
// for a number that lies outside; more says that there are others.
func (r *Range[N]) freeFrom(number N) (runs []string, more bool) {
	start, ok := r.space.offset(number)
	if !ok {
		start = 0
	}
	runs, named := r.freeBetween(nil, start, r.bits.size)
	if len(runs) < freeRuns {
		var before uint64
		runs, before = r.freeBetween(runs, 0, start)
		named += before
	}
	return runs, named < r.Free()
}

func (r *Range[N]) freeBetween(runs []string, low, high uint64) (_ []string, named uint64) {
	for len(runs) < freeRuns {
		first, ok := r.bits.nextFree(low)
		if !ok || first >= high {
			break
		}
		reach := high
		if first < math.MaxUint64-freeReach {
			reach = min(high, first+freeReach)
		}
		low = r.bits.nextUsed(first, reach)
		named += low - first
		runs = append(runs, r.runText(first, low-1))
	}
	return runs, named
}

func (r *Range[N]) runText(first, last uint64) string {
	text := r.space.text(r.space.number(first))
	if last > first {
		text += "-" + r.space.text(r.space.number(last))
	}
	return text
}

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

package model

import (
	"net/netip"
	"slices"
)

// merger joins the endpoints that a Service's slices list for one of its ports.
// Each slice is sorted already, so that runs need only be merged; the order of
// slices decides between sightings of one address that are equally good.
type merger struct {
	list  []Endpoint
	start int
	// ends are where runs end in list, spare is room to merge into; both are
	// kept for the next time.
	ends  []int
	spare []Endpoint
	// used is how much of spare holds something.
	used int
}

// maxSpare is the largest room that is kept, in endpoints.
const maxSpare = 16384

func (m *merger) begin(list []Endpoint) {
	m.list, m.start, m.ends = list, len(list), m.ends[:0]
}

// add appends a run, each endpoint with the port number, without what is in
// one of the forbidden ranges.
func (m *merger) add(run []Endpoint, number uint16, forbidden []netip.Prefix) {
	before := len(m.list)
	m.list = slices.Grow(m.list, len(run))
	for i := range run {
		addr := run[i].Addr.Addr()
		if anyContains(forbidden, addr) {
			continue
		}
		m.list = append(m.list, run[i])
		m.list[len(m.list)-1].Addr = netip.AddrPortFrom(addr, number)
	}
	if len(m.list) > before {
		m.ends = append(m.ends, len(m.list))
	}
}

// finish is what begin was given, and behind it all endpoints added since.
func (m *merger) finish() []Endpoint {
	for len(m.ends) > 1 {
		m.pass()
	}
	list, start := m.list, m.start
	m.list = nil
	if clear(m.spare[:m.used]); cap(m.spare) > maxSpare { // or it would hold on to names
		m.spare = nil
	}
	m.used = 0
	unique := slices.CompactFunc(list[start:], func(a, b Endpoint) bool { return a.Addr == b.Addr })
	return list[:start+len(unique)]
}

// pass merges each two neighbouring runs into one.
func (m *merger) pass() {
	from := m.start
	kept := m.ends[:0]
	for i := 0; i < len(m.ends); i += 2 {
		if i+1 == len(m.ends) {
			kept = append(kept, m.ends[i])
			break
		}
		m.merge(from, m.ends[i], m.ends[i+1])
		from = m.ends[i+1]
		kept = append(kept, from)
	}
	m.ends = kept
}

// merge brings list[from:to], sorted up to middle and from there, in order.
func (m *merger) merge(from, middle, to int) {
	if m.list[middle-1].compare(&m.list[middle]) <= 0 {
		return // slices that follow each other, as when a Service grows
	}
	m.spare = append(m.spare[:0], m.list[from:middle]...)
	m.used = max(m.used, len(m.spare))
	left, right, out := m.spare, m.list[middle:to], m.list[from:to]
	for at := 0; len(left) > 0; at++ {
		if len(right) > 0 && right[0].compare(&left[0]) < 0 {
			out[at], right = right[0], right[1:]
		} else {
			out[at], left = left[0], left[1:]
		}
	}
}

func anyContains(ranges []netip.Prefix, addr netip.Addr) bool {
	for _, r := range ranges {
		if r.Contains(addr) {
			return true
		}
	}
	return false
}

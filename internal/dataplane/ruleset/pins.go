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

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// maxPinned is how many endpoints of one list clients can be pinned to; those
// beyond it get no traffic while the Service has affinity.
const maxPinned = 1 << (32 - idBits)

// pins are how clients of a list with affinity find their endpoints. The zero
// value is that of a list without.
type pins struct {
	// timeout is the one whose chain is used, 0 without affinity.
	timeout time.Duration
	// endpoints are sorted; each has a number, which makes its pin.
	endpoints []netip.AddrPort
	numbers   []uint32
	// byNumber are the endpoints that the numbers stand for.
	byNumber []netip.AddrPort
	// draws are pins in slots without holes, from size of which is drawn.
	draws []uint32
	size  Class
}

// noPins are those of a list without affinity.
var noPins pins

// pin is the number above the id: what a client's element of Affinity holds.
func pin(id, number uint32) uint32 { return number<<idBits | id }

// nextPins is old brought to endpoints, which are sorted and at least one.
func (p *Planner) nextPins(old *pins, id uint32, d *policy.Decision, endpoints []netip.AddrPort) *pins {
	endpoints = endpoints[:min(len(endpoints), maxPinned)]
	next := &pins{timeout: p.timeouts.take(d.Affinity), endpoints: endpoints}
	next.numbers = keepNumbers(old.endpoints, old.numbers, endpoints)
	next.byNumber = byNumber(endpoints, next.numbers)
	next.draws = arrange(old.draws, next.wanted(id, d))
	next.size = pickClass(nextClass(old.size.slots(), len(next.draws)))
	return next
}

// byNumber puts each endpoint, of which there is at least one, at its number.
func byNumber(endpoints []netip.AddrPort, numbers []uint32) []netip.AddrPort {
	list := make([]netip.AddrPort, slices.Max(numbers)+1)
	for i, n := range numbers {
		list[n] = endpoints[i]
	}
	return list
}

// wanted are the pins to draw from, each as often as its endpoint weighs.
func (s *pins) wanted(id uint32, d *policy.Decision) []uint32 {
	shares := s.endpoints
	if d.Scheduler == model.Weighted {
		shares = weighted(shares, d.Weights)
	}
	list := make([]uint32, 0, len(shares))
	for i, at := 0, 0; i < len(shares); i++ {
		for s.endpoints[at] != shares[i] {
			at++
		}
		list = append(list, pin(id, s.numbers[at]))
	}
	return list
}

// prolonged is the name of sp if a client stays longer than asked.
func (sp *servicePort) prolonged() []model.ServicePortName {
	for _, l := range sp.lists() {
		if actual := l.pins().timeout; actual != 0 && actual != sp.decision.Affinity {
			return []model.ServicePortName{sp.decision.Name}
		}
	}
	return nil
}

// spread is the route that Spreads has for the list, 0 without affinity.
func (s *pins) spread(id uint32) uint32 {
	if s.timeout == 0 {
		return 0
	}
	return route(id, s.size)
}

// keepNumbers gives each endpoint of want a number that it keeps as long as it
// is in the list, because clients are pinned to it: those of held, which
// have the numbers heldNumbers, keep theirs, and new ones take the lowest that
// are free. So one that replaces another takes over its clients, and the
// clients of one that goes for good are free to choose again. held and want
// are sorted, and no longer than maxPinned.
func keepNumbers(held []netip.AddrPort, heldNumbers []uint32, want []netip.AddrPort) []uint32 {
	numbers := make([]uint32, len(want))
	var taken [maxPinned]bool
	var waiting []int
	at := 0
	for i, endpoint := range want {
		for at < len(held) && held[at].Compare(endpoint) < 0 {
			at++
		}
		if at == len(held) || held[at] != endpoint || heldNumbers[at] >= maxPinned || taken[heldNumbers[at]] {
			waiting = append(waiting, i)
			continue
		}
		numbers[i] = heldNumbers[at]
		taken[numbers[i]] = true
	}
	free := uint32(0)
	for _, i := range waiting {
		for taken[free] {
			free++
		}
		numbers[i], taken[free] = free, true
	}
	return numbers
}

// readPins lists what the kernel holds for affinity under each id.
func readPins(held Elements, get func(id uint32) *found) {
	for k, data := range held[Spreads] {
		get(readNumber(k)).size = routeClass(readNumber(data))
	}
	for k, data := range held[Draws] {
		if id, slot, ok := readDrawKey(k); ok && slot < maxClass {
			f := get(id)
			f.draws = put(f.draws, slot, readNumber(data))
		}
	}
	for k, data := range held[Sticky] {
		protocol, _, pin, ok := readStickyKey(k)
		endpoint, valid := readEndpointData(data)
		if !ok || !valid {
			continue
		}
		f := get(pin & IDMask)
		if f.numbers[protocol] == nil {
			f.numbers[protocol] = map[netip.AddrPort]uint32{}
		}
		n, known := f.numbers[protocol][endpoint]
		if number := pin >> idBits; !known || number < n {
			f.numbers[protocol][endpoint] = number
		}
	}
}

// pins are what was found for a list of that protocol, nil for nothing.
func (f *found) pins(protocol model.Protocol) *pins {
	if len(f.numbers[protocol])+len(f.draws) == 0 && f.size == 0 {
		return nil
	}
	s := &pins{draws: f.draws, size: f.size}
	s.endpoints = slices.SortedFunc(maps.Keys(f.numbers[protocol]), netip.AddrPort.Compare)
	for _, endpoint := range s.endpoints {
		s.numbers = append(s.numbers, f.numbers[protocol][endpoint])
	}
	return s
}

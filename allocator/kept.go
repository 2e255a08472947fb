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

// KeptFor is a number that is reserved for the Service and that this request is to
// get, by number or without asking for it; false if there is none.
func (s *Services) KeptFor(r PlanRequest) (Number, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.newPlanner(r)
	defer p.giveBackKept()
	p.explicit()
	p.reserve()
	var kept []Number
	for i, d := range p.demands {
		if n, reserved := p.reserved[i]; reserved {
			kept = append(kept, n)
		} else if reservation, reserved := s.reservations[d.number]; reserved && !d.automatic() && reservation.For(p.self) {
			kept = append(kept, d.number)
		}
	}
	if len(kept) == 0 {
		return Number{}, false
	}
	return slices.MinFunc(kept, Number.Compare), true
}

// isGuarded tells that the API server could draw a number which is reserved and
// which nothing holds against it just now: a port between its Service and the
// placeholder, a number that is being handed over. Then automatic numbers of the
// kind are not left to the server.
func (p *planner) isGuarded(d demand) bool {
	s := p.index
	for n, reservation := range s.reservations {
		if !d.fits(n) || reservation.For(p.self) || len(s.holders[n]) > 0 || !s.ranges.contains(n) {
			continue
		}
		if _, claimed := s.claims[n]; claimed || n.IsPort() && !p.isPlaced(n) {
			return true
		}
	}
	return false
}

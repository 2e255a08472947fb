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
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Spare is a claim that keeps a number from a request which finds no other, and
// when its own request has had its time: then the number is as good as free.
type Spare struct {
	Claim Claim
	Due   time.Time
}

const (
	// RequestsEnd is when a request that has claimed a number has become a Service,
	// if it ever does: the API server writes a few milliseconds after it has asked
	// its webhooks. If it does later, the server gives the number to one of two.
	RequestsEnd = 3 * time.Second

	// crowdedEnd is the same where a namespace has more claims in the way than the
	// one that asks: what is left of a shared pool goes to who has asked for less.
	crowdedEnd = 500 * time.Millisecond
)

// isFor says that the Service may be the one that the claim was made for.
func (c Claim) isFor(service types.NamespacedName) bool {
	return c.Service == service || c.Service.Name == "" && c.Service.Namespace != "" && c.Service.Namespace == service.Namespace
}

// bind notes that the Service of a claim has come to hold its number.
func (s *Services) bind(n Number, service types.NamespacedName) {
	if c, claimed := s.claims[n]; claimed && c.isFor(service) {
		c.bound = true
		s.claims[n] = c
	}
}

// ended says that the Service of a claim has held the number and is gone, or has
// given it up.
func (s *Services) ended(c Claim) bool { return c.bound && len(s.holders[c.Number]) == 0 }

// Ended reports whether the claim that the object with this UID is has done its work.
func (s *Services) Ended(n Number, uid types.UID) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, claimed := s.claims[n]
	return claimed && c.UID == uid && s.ended(c)
}

// spares lists the claims in the way of a demand, those first that are due first.
func (p *planner) spares(d demand, from source) []Spare {
	var spares []Spare
	of := map[string]int{}
	for n, c := range p.index.claims {
		if d.fits(n) && p.isSpare(n) && p.index.allows(from, n) {
			spares = append(spares, Spare{Claim: c})
			if c.UID != "" {
				of[c.Service.Namespace]++
			}
		}
	}
	for i := range spares {
		c := spares[i].Claim
		switch {
		case c.UID == "": // just being made, by this replica: to be waited for
			spares[i].Due = p.request.Now.Add(RequestsEnd)
		case p.index.ended(c):
		case of[c.Service.Namespace] > of[p.self.Namespace]:
			spares[i].Due = c.Created.Add(crowdedEnd)
		default:
			spares[i].Due = c.Created.Add(RequestsEnd)
		}
	}
	slices.SortFunc(spares, func(a, b Spare) int {
		return cmp.Or(a.Due.Compare(b.Due), a.Claim.Number.Compare(b.Claim.Number))
	})
	return spares
}

// isSpare tells numbers that nothing but a claim keeps.
func (p *planner) isSpare(n Number) bool {
	_, reserved := p.index.reservations[n]
	return !reserved && !p.isPlaced(n) && len(p.index.holders[n]) == 0 && !slices.Contains(p.kept, n) && !p.assigned(n)
}

// crowded notes a demand that only claims are in the way of. A dry-run is told
// what it would get.
func (p *planner) crowded(d demand, from source) bool {
	if p.request.Crowded {
		return false
	}
	spares := p.spares(d, from)
	if p.request.DryRun {
		if len(spares) == 0 || spares[0].Due.After(p.request.Now) {
			return false
		}
		p.plan.Assignments = append(p.plan.Assignments, Assignment{Field: d.field, Number: spares[0].Claim.Number})
		return true
	}
	if len(spares) > 0 {
		p.plan.Spares = append(p.plan.Spares, spares)
	}
	return len(spares) > 0
}

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

// planner works on one plan while the index is locked.
type planner struct {
	index   *Services
	request PlanRequest
	tx      Transaction
	plan    Plan
	kept    []Number // kept away from automatic choices while planning
}

// explicit checks the numbers asked for, and keeps them and those the old object
// holds away from the automatic choices of the same Service.
func (p *planner) explicit(demands []demand) {
	for _, d := range demands {
		if d.automatic() {
			continue
		}
		if refusal, refused := p.index.refuse(d, p.request); refused {
			p.plan.Refusals = append(p.plan.Refusals, refusal)
		}
		p.keep(d.number)
	}
	if p.request.Old != nil {
		for _, holding := range HoldingsOf(p.request.Old) {
			p.keep(holding.Number)
		}
	}
}

func (p *planner) keep(n Number) {
	p.index.ranges.mark(n, true)
	p.kept = append(p.kept, n)
}

// giveBackKept lets go of the numbers that were only kept: the Service gets its
// explicit numbers from the server, and is observed when it has them.
func (p *planner) giveBackKept() {
	for _, n := range p.kept {
		p.index.unmarkUnused(n)
	}
}

func (s *Services) refuse(d demand, r PlanRequest) (Refusal, bool) {
	refusal := Refusal{Field: d.field, Number: d.number}
	// Of the server's port range we know only a flag, which may be wrong: where
	// the server decides, it also says what lies outside.
	judgesRange := r.Mode == Authoritative || !d.number.IsPort()
	if judgesRange && !s.ranges.contains(d.number) {
		refusal.Range = s.ranges.describe(d.number)
		return refusal, true
	}
	self := keyOf(r.New)
	refusal.Holders = slices.DeleteFunc(s.sortedHolders(d.number), func(h Holder) bool { return h.Service == self })
	if len(refusal.Holders) == 0 {
		return Refusal{}, false
	}
	refusal.Free = s.ranges.freeNear(d.number)
	return refusal, true
}

// automatic chooses the other numbers.
func (p *planner) automatic(demands []demand) {
	for _, d := range demands {
		if !d.automatic() || p.request.Mode == Advisory && !p.request.DryRun && d.field.Kind == ClusterIP {
			continue
		}
		if a, ok := p.reuse(d); ok {
			p.plan.Assignments = append(p.plan.Assignments, a)
			continue
		}
		n, err := p.choose(d)
		if err == nil {
			p.plan.Assignments = append(p.plan.Assignments, Assignment{Field: d.field, Number: n})
		} else if !p.index.claimsOnly(d) {
			p.plan.Refusals = append(p.plan.Refusals, Refusal{Field: d.field, Full: p.index.rangesFor(d)})
		}
	}
}

func (p *planner) choose(d demand) (Number, error) {
	if d.field.Kind == ClusterIP {
		addr, err := p.index.ranges.nextIn(&p.tx, d.family)
		return AddrNumber(addr), err
	}
	port, err := p.index.ranges.ports.AllocateNextIn(&p.tx)
	return PortNumber(port), err
}

func (p *planner) reuse(d demand) (Assignment, bool) {
	fits := func(n Number) bool {
		return d.fits(n) && !slices.Contains(p.kept, n) &&
			!slices.ContainsFunc(p.plan.Assignments, func(a Assignment) bool { return a.Number == n })
	}
	n, ok := p.index.reusable(keyOf(p.request.New), fits, p.request.Old != nil, p.request.Now)
	return Assignment{Field: d.field, Number: n, Reused: true}, ok
}

func (d demand) fits(n Number) bool {
	if d.field.Kind == ClusterIP {
		return !n.IsPort() && familyOf(n.Addr) == d.family
	}
	return n.IsPort()
}

// claimsOnly says whether a full range is full only because of claims: then the
// server, which knows of none, may still find a number.
func (s *Services) claimsOnly(d demand) bool {
	for n := range s.claims {
		if d.fits(n) && len(s.holders[n]) == 0 && s.ranges.contains(n) {
			return true
		}
	}
	return false
}

func (s *Services) rangesFor(d demand) string {
	if d.field.Kind == ClusterIP {
		return s.ranges.describeFamily(d.family)
	}
	return s.ranges.ports.String()
}

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
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// planner works on one plan while the index is locked.
type planner struct {
	index    *Services
	request  PlanRequest
	self     types.NamespacedName
	demands  []demand
	reserved map[int]Number // of demands, by index
	sources  map[corev1.IPFamily]source
	tx       Transaction
	plan     Plan
	kept     []Number // kept away from automatic choices while planning
}

// sourceOf is where a demand is met from. Ports have no family.
func (p *planner) sourceOf(d demand) source {
	if from, known := p.sources[d.family]; known {
		return from
	}
	var from source
	if d.field.Kind == ClusterIP {
		from = p.index.addrSource(d.family, p.request.NamespaceLabels, labels.Set(p.request.New.Labels))
	} else {
		from = p.index.portSource(p.request.NamespaceLabels)
	}
	from.guarded = !from.restricted && p.isGuarded(d)
	p.sources[d.family] = from
	return from
}

// explicit checks the numbers asked for, and keeps them and those the old object
// holds away from the automatic choices of the same Service. Of those that pass,
// the ones that are claimed like our own choices are reserved ones, so that they
// are not held again before the Service has them, and in authoritative mode all.
func (p *planner) explicit() {
	for _, d := range p.demands {
		if d.automatic() {
			continue
		}
		if refusal, refused := p.refuse(d); refused {
			p.plan.Refusals = append(p.plan.Refusals, refusal)
		}
		_, reserved := p.index.reservations[d.number]
		if reserved || p.request.Mode == Authoritative {
			p.plan.Assignments = append(p.plan.Assignments, Assignment{
				Field: d.field, Number: d.number, Explicit: true, Reserved: reserved, Placed: p.isPlaced(d.number), Reused: p.hasClaimed(d.number),
			})
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

func (p *planner) refuse(d demand) (Refusal, bool) {
	s := p.index
	refusal := Refusal{Field: d.field, Number: d.number}
	// Of the server's port range we know only a flag, which may be wrong: where
	// the server decides, it also says what lies outside.
	judgesRange := p.request.Mode == Authoritative || !d.number.IsPort()
	if judgesRange && !s.ranges.contains(d.number) {
		refusal.Range = s.ranges.describe(d.number)
		return refusal, true
	}
	refusal.Holders = slices.DeleteFunc(s.sortedHolders(d.number), func(h Holder) bool { return h.Service == p.self })
	if len(refusal.Holders) == 0 {
		reservation, reserved := s.reservations[d.number]
		if !reserved || reservation.For(p.self) {
			return Refusal{}, false
		}
		refusal.Reserved = &reservation
	}
	refusal.Free = s.ranges.freeFor(d.number, p.sourceOf(d))
	return refusal, true
}

// decides says which automatic numbers are chosen here: in authoritative mode and
// for dry-run all, else those that the server would get wrong. Those are numbers
// reserved for the Service; numbers that may not be just any of the range, or not
// while somebody's reserved one is open to the server; and
// ports that the server would draw before it looks at an explicit one of the same
// Service. If one of a kind is ours then all are, or the server might draw ours.
func (p *planner) decides() (addrs, ports bool) {
	if p.request.Mode == Authoritative || p.request.DryRun {
		return true, true
	}
	drawn := false
	for i, d := range p.demands {
		_, reserved := p.reserved[i]
		from := p.sourceOf(d)
		ours := d.automatic() && (reserved || from.restricted || from.guarded)
		if d.field.Kind == ClusterIP {
			addrs = addrs || ours
			continue
		}
		ports = ports || ours || drawn && !d.automatic()
		drawn = drawn || d.automatic()
	}
	return addrs, ports
}

// automatic chooses the other numbers.
func (p *planner) automatic() {
	addrs, ports := p.decides()
	if !addrs {
		p.refuseHalf()
	}
	for i, d := range p.demands {
		ours := ports
		if d.field.Kind == ClusterIP {
			ours = addrs
		}
		if d.automatic() && ours {
			p.meet(i, d)
		}
	}
}

func (p *planner) meet(i int, d demand) {
	if n, ok := p.reserved[i]; ok {
		p.plan.Assignments = append(p.plan.Assignments, Assignment{
			Field: d.field, Number: n, Reserved: true, Placed: p.isPlaced(n), Reused: p.hasClaimed(n),
		})
		return
	}
	from := p.sourceOf(d)
	if from.manual {
		p.plan.Refusals = append(p.plan.Refusals, Refusal{Field: d.field, Manual: from.describe, Pools: from.names})
		return
	}
	if n, ok := p.reuse(d, from); ok {
		p.plan.Assignments = append(p.plan.Assignments, Assignment{Field: d.field, Number: n, Reused: true})
		return
	}
	if n, ok := p.choose(d, from); ok {
		p.plan.Assignments = append(p.plan.Assignments, Assignment{Field: d.field, Number: n})
		return
	}
	if p.crowded(d, from) {
		return
	}
	if p.request.Mode == Authoritative || from.restricted || from.guarded || !p.index.claimsOnly(d) {
		p.plan.Refusals = append(p.plan.Refusals, Refusal{Field: d.field, Full: p.index.describeSource(d, from), Pools: from.names})
	}
}

// refuseHalf refuses two addresses of which the server could give only one: it may
// not take that back, and then nobody has it for a minute (U1). One address that
// can not be given does no harm, and the server says so.
func (p *planner) refuseHalf() {
	addrs := 0
	for _, d := range p.demands {
		if d.field.Kind == ClusterIP {
			addrs++
		}
	}
	for _, d := range p.demands {
		if addrs > 1 && d.field.Kind == ClusterIP && d.automatic() && p.isFull(d) {
			p.plan.Refusals = append(p.plan.Refusals, Refusal{Field: d.field, Full: p.index.describeSource(d, p.sourceOf(d))})
		}
	}
}

// isFull reports whether the ranges of a family have no address left.
func (p *planner) isFull(d demand) bool {
	var tried Transaction
	_, ok := p.index.ranges.nextAddr(&tried, d.family, p.sourceOf(d).stages)
	tried.Revert()
	return !ok && len(p.index.ranges.open(d.family)) > 0 && !p.index.claimsOnly(d)
}

func (p *planner) choose(d demand, from source) (Number, bool) {
	if d.field.Kind == ClusterIP {
		addr, ok := p.index.ranges.nextAddr(&p.tx, d.family, from.stages)
		return AddrNumber(addr), ok
	}
	port, ok := p.index.ranges.nextPort(&p.tx, from.stages)
	return PortNumber(port), ok
}

func (p *planner) reuse(d demand, from source) (Number, bool) {
	return p.index.reusable(p.self, func(n Number) bool {
		_, reserved := p.index.reservations[n]
		return d.fits(n) && !reserved && p.index.allows(from, n) && !slices.Contains(p.kept, n) && !p.assigned(n)
	}, p.request.Old != nil, p.request.Now)
}

func (p *planner) assigned(n Number) bool {
	return slices.ContainsFunc(p.plan.Assignments, func(a Assignment) bool { return a.Number == n })
}

func (p *planner) isPlaced(n Number) bool {
	_, placed := p.index.placeholders[n]
	return placed
}

// hasClaimed tells a number that an earlier attempt of the Service has claimed,
// not so long ago that the claim could be collected meanwhile.
func (p *planner) hasClaimed(n Number) bool {
	claim, claimed := p.index.claims[n]
	return claimed && p.self.Name != "" && claim.Service == p.self && !claim.bound && p.request.Now.Sub(claim.Created) < reuseBefore
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
		_, reserved := s.reservations[n]
		if d.fits(n) && !reserved && len(s.holders[n]) == 0 && s.ranges.contains(n) {
			return true
		}
	}
	return false
}

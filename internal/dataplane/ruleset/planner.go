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
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// Planner remembers what the kernel holds of every ServicePort of one family
// and plans how it gets from there to what is wanted. It assumes that every
// plan is carried out; if one was not, Sync starts again from the kernel.
type Planner struct {
	// Features are those of the schema.
	Features policy.Features

	node     policy.Node
	ports    map[model.ServicePortName]*servicePort
	ids      idPool
	claims   claims
	timeouts timeouts
	// sharing are the ports of each Service that want one affinity, sorted.
	sharing map[service][]model.ServicePortName
	// starved are the ports with a list that got no id.
	starved map[model.ServicePortName]struct{}
}

func (p *Planner) host() host { return host{p.node, p.Features} }

// Sync forgets all, takes held for what the kernel holds, and plans the way
// from there to desired. Ids, slots and classes are kept as they are found
// wherever they still serve. The Decisions are kept, as those of Apply are: they
// must not change any more.
func (p *Planner) Sync(node policy.Node, desired []policy.Decision, held Elements) Plan {
	p.node = node
	p.claims = claims{}
	p.timeouts = timeouts{}
	p.sharing = map[service][]model.ServicePortName{}
	p.starved = map[model.ServicePortName]struct{}{}
	p.timeouts.adopt(held)
	p.adopt(desired, held)
	p.timeouts.settle()
	plan := newPlan(p.fromHeld(held))
	plan.Appeared = append(plan.Appeared, restored(plan.Edits)...)
	plan.Disappeared = disappeared(plan.Edits)
	plan.Starved = p.starving()
	for _, sp := range p.ports {
		plan.Prolonged = append(plan.Prolonged, sp.prolonged()...)
	}
	return plan
}

// Apply plans the change of the named ServicePorts only. A name in removed
// that is not held is no error; one that is also in changed is changed.
func (p *Planner) Apply(changed []policy.Decision, removed []model.ServicePortName) Plan {
	changed = p.withSiblings(p.withStarved(changed, removed), removed)
	c := change{
		Planner: p, before: make(map[claimKey]held, 4*len(changed)), released: map[uint32]model.ServicePortName{},
		edits: make([]Edit, 0, 8*len(changed)),
	}
	for _, name := range removed {
		if old := p.ports[name]; old != nil {
			c.replace(old, nil)
			p.keep(name, nil)
		}
	}
	for i := range changed {
		d := &changed[i]
		old := p.ports[d.Name]
		next := p.next(old, d)
		c.replace(old, next)
		p.keep(d.Name, next)
		c.prolonged = append(c.prolonged, next.prolonged()...)
	}
	// Ids go back last: in the same change none of them gets another meaning.
	for id, by := range c.released {
		if !p.inUse(by, id) {
			p.ids.giveBack(id)
		}
	}
	return c.plan()
}

// next is the ServicePort of old, or none, brought to d.
func (p *Planner) next(old *servicePort, d *policy.Decision) *servicePort {
	sp := &servicePort{decision: d}
	if leader := p.leader(d); leader != nil {
		sp.cluster = p.following(leader.cluster, d.Cluster)
		sp.local = p.following(leader.local, d.Local)
		return sp
	}
	cluster, local := p.history(old, d)
	if usesCluster(d) {
		sp.cluster = p.nextList(cluster, d, d.Cluster)
	}
	if usesLocal(d) {
		sp.local = p.nextList(local, d, d.Local)
	}
	return sp
}

// Elements are all elements that the plans so far lead to.
func (p *Planner) Elements() Elements {
	es := Elements{}
	p.each(es.Add)
	return es
}

// each visits every element that the plans so far lead to once.
func (p *Planner) each(visit func(Element)) {
	fixed := slices.Concat(p.host().elements(), p.timeouts.elements())
	slices.SortFunc(fixed, Element.Compare)
	for _, e := range slices.Compact(fixed) {
		visit(e)
	}
	for k := range p.claims {
		data, _ := p.claims.holder(k)
		k.visit(data, visit)
	}
	for _, sp := range p.ports {
		sp.private(visit)
	}
}

// size is about how many elements each visits.
func (p *Planner) size() int {
	size := len(p.claims)
	for _, sp := range p.ports {
		size += len(sp.cluster.slots) + len(sp.local.slots)
	}
	return size
}

// fromHeld are the edits that turn held into what the plans so far lead to.
// Most of the time nothing is held, or nothing has to go.
func (p *Planner) fromHeld(held Elements) []Edit {
	var edits []Edit
	if len(held) == 0 {
		edits = make([]Edit, 0, p.size())
	}
	kept := 0
	p.each(func(e Element) {
		old, isHeld := held[e.Set][e.Key]
		if isHeld {
			kept++
		}
		if e, changes := edit(e.Set, e.Key, old, isHeld, e.Data, true); changes {
			edits = appendEdit(edits, e)
		}
	})
	if kept == held.count() {
		return edits
	}
	return append(edits, deletions(held, p.Elements())...)
}

func difference(held, wanted Elements) []Edit {
	edits := deletions(held, wanted)
	for set, elements := range wanted {
		for k, data := range elements {
			old, isHeld := held[set][k]
			if e, changes := edit(set, k, old, isHeld, data, true); changes {
				edits = appendEdit(edits, e)
			}
		}
	}
	return edits
}

func deletions(held, wanted Elements) []Edit {
	var edits []Edit
	for set, elements := range held {
		for k, data := range elements {
			if _, isWanted := wanted[set][k]; !isWanted {
				e, _ := edit(set, k, data, true, "", false)
				edits = append(edits, e)
			}
		}
	}
	return edits
}

// appendEdit makes removal and addition of the replacement of a range, which the
// kernel keeps as two elements.
func appendEdit(edits []Edit, e Edit) []Edit {
	if !rangeSets[e.Set] && !IsSourceRanges(e.Set) || e.Operation != Replace {
		return append(edits, e)
	}
	old := Edit{Operation: Delete, Element: Element{e.Set, e.Key, e.Old}}
	return append(edits, old, Edit{Operation: Add, Element: e.Element})
}

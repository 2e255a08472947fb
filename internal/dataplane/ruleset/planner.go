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
}

func (p *Planner) host() host { return host{p.node, p.Features} }

// Sync forgets all, takes held for what the kernel holds, and plans the way
// from there to desired. Ids, slots and classes are kept as they are found
// wherever they still serve.
func (p *Planner) Sync(node policy.Node, desired []policy.Decision, held Elements) Plan {
	p.node = node
	p.claims = claims{}
	p.timeouts = timeouts{}
	p.sharing = map[service][]model.ServicePortName{}
	p.timeouts.adopt(held)
	p.adopt(desired, held)
	p.timeouts.settle()
	plan := newPlan(difference(held, p.Elements()))
	plan.Appeared = append(plan.Appeared, restored(plan.Edits, plan.Appeared)...)
	plan.Disappeared = disappeared(plan.Edits)
	for _, sp := range p.ports {
		plan.Prolonged = append(plan.Prolonged, sp.prolonged()...)
	}
	return plan
}

// Apply plans the change of the named ServicePorts only. A name in removed
// that is not held is no error; one that is also in changed is changed.
func (p *Planner) Apply(changed []policy.Decision, removed []model.ServicePortName) Plan {
	changed = p.withSiblings(changed, removed)
	c := change{Planner: p, before: map[claimKey]held{}, released: map[uint32]model.ServicePortName{}}
	for _, name := range removed {
		if old := p.ports[name]; old != nil {
			c.replace(old, nil)
			p.keep(name, nil)
		}
	}
	for _, d := range changed {
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
func (p *Planner) next(old *servicePort, d policy.Decision) *servicePort {
	sp := &servicePort{decision: remembered(d)}
	if leader := p.leader(&sp.decision); leader != nil {
		sp.cluster = p.following(leader.cluster, sp.decision.Cluster)
		sp.local = p.following(leader.local, sp.decision.Local)
		return sp
	}
	cluster, local := p.history(old, &sp.decision)
	if usesCluster(&d) {
		sp.cluster = p.nextList(cluster, &sp.decision, sp.decision.Cluster)
	}
	if usesLocal(&d) {
		sp.local = p.nextList(local, &sp.decision, sp.decision.Local)
	}
	return sp
}

// remembered is d without what the ruleset has no use for.
func remembered(d policy.Decision) policy.Decision {
	d.Known = nil
	d.Cluster = d.Cluster[:min(len(d.Cluster), maxClass)]
	d.Local = d.Local[:min(len(d.Local), maxClass)]
	return d
}

// Elements are all elements that the plans so far lead to.
func (p *Planner) Elements() Elements {
	es := Elements{}
	for _, e := range p.host().elements() {
		es.Add(e)
	}
	for _, e := range p.timeouts.elements() {
		es.Add(e)
	}
	for k := range p.claims {
		data, _ := p.claims.holder(k)
		for _, e := range expand(k, data) {
			es.Add(e)
		}
	}
	for _, sp := range p.ports {
		for _, e := range sp.private() {
			es.Add(e)
		}
	}
	return es
}

// expand are the elements that a shared one stands for.
func expand(k claimKey, data string) []Element {
	if k.set == SourceRanges {
		return expandRanges(k.key, data)
	}
	return []Element{{k.set, k.key, data}}
}

func difference(held, wanted Elements) []Edit {
	edits := make([]Edit, 0, wanted.beyond(held)+held.beyond(wanted))
	for set, elements := range wanted {
		for k, data := range elements {
			old, isHeld := held[set][k]
			if e, changes := edit(set, k, old, isHeld, data, true); changes {
				edits = append(edits, splitRange(e)...)
			}
		}
	}
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

// splitRange turns the replacement of a range, which the kernel keeps as two
// elements, into removal and addition.
func splitRange(e Edit) []Edit {
	if !rangeSets[e.Set] && !isSourceRanges(e.Set) || e.Operation != Replace {
		return []Edit{e}
	}
	old := Edit{Operation: Delete, Element: Element{e.Set, e.Key, e.Old}}
	return []Edit{old, {Operation: Add, Element: e.Element}}
}

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

import "switchyard.dev/switchyard/internal/dataplane/model"

// change collects the edits of one Apply.
type change struct {
	*Planner
	edits []Edit
	// released are ids that a port no longer has.
	released  map[uint32]model.ServicePortName
	prolonged []model.ServicePortName
	// before is what was held of each shared key when it was first touched.
	before map[claimKey]held
}

type held struct {
	data string
	ok   bool
}

// replace turns old into next; either may be nil.
func (c *change) replace(old, next *servicePort) {
	if old == nil {
		old = &noServicePort
	}
	if next == nil {
		next = &noServicePort
	}
	c.replacePrivate(old, next)
	c.replaceShared(old, next)
	for _, ids := range [][2]uint32{{old.cluster.id, next.cluster.id}, {old.local.id, next.local.id}} {
		if ids[0] != 0 && ids[0] != ids[1] {
			c.released[ids[0]] = old.decision.Name
		}
	}
}

func (c *change) replacePrivate(old, next *servicePort) {
	wasLists, nowLists := old.lists(), next.lists()
	for i := range wasLists {
		wasLists[i].replaced(nowLists[i], c.edit)
		c.timeouts.giveBack(wasLists[i].pins().timeout)
	}
	was, isHeld := old.ownClusterRoute()
	now, isWanted := next.ownClusterRoute()
	if isHeld && isWanted && was.Key != now.Key {
		c.edit(was, true, Element{}, false)
		was, isHeld = Element{}, false
	}
	c.edit(was, isHeld, now, isWanted)
}

// edit turns one element into another of the same key; either may be missing.
func (c *change) edit(was Element, isHeld bool, now Element, isWanted bool) {
	e, changes := edit(max(was.Set, now.Set), max(was.Key, now.Key), was.Data, isHeld, now.Data, isWanted)
	if changes {
		c.edits = append(c.edits, e)
	}
}

func (c *change) replaceShared(old, next *servicePort) {
	var was, now []Element
	if old.decision.ClusterIP.IsValid() {
		was = old.shared(c.host())
	}
	if next.decision.ClusterIP.IsValid() {
		now = next.shared(c.host())
	}
	for _, e := range was {
		c.touch(e)
		c.claims.remove(old, e)
	}
	for _, e := range now {
		c.touch(e)
		c.claims.add(next, e)
	}
}

func (c *change) touch(e Element) {
	k := claimKey{e.Set, e.Key}
	if _, seen := c.before[k]; !seen {
		data, ok := c.claims.holder(k)
		c.before[k] = held{data, ok}
	}
}

func (c *change) plan() Plan {
	for k, was := range c.before {
		data, ok := c.claims.holder(k)
		switch {
		case was == held{data, ok}:
		case k.set == SourceRanges:
			c.edits = append(c.edits, difference(asElements(k, was.data), asElements(k, data))...)
		case k.set == frontendSets:
			c.edit(Element{Set: was.data, Key: k.key}, was.ok, Element{}, false)
			c.edit(Element{}, false, Element{Set: data, Key: k.key}, ok)
		default:
			c.edit(Element{k.set, k.key, was.data}, was.ok, Element{k.set, k.key, data}, ok)
		}
	}
	plan := newPlan(append(handedOn(c.edits), c.timeouts.settle()...))
	plan.Prolonged = c.prolonged
	plan.Starved = c.starving()
	return plan
}

func asElements(k claimKey, data string) Elements {
	es := Elements{}
	k.visit(data, es.Add)
	return es
}

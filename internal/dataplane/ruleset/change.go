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

// change collects the edits of one Apply.
type change struct {
	*Planner
	edits    []Edit
	released []uint32
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
		old = &servicePort{}
	}
	if next == nil {
		next = &servicePort{}
	}
	c.replacePrivate(old, next)
	c.replaceShared(old, next)
	if old.id != 0 && next.id == 0 {
		c.released = append(c.released, old.id)
	}
}

func (c *change) replacePrivate(old, next *servicePort) {
	for i := range max(len(old.slots), len(next.slots)) {
		var was, now Element
		if i < len(old.slots) {
			was = old.slotElement(i)
		}
		if i < len(next.slots) {
			now = next.slotElement(i)
		}
		e, changes := edit(Endpoints, max(was.Key, now.Key), was.Data, i < len(old.slots), now.Data, i < len(next.slots))
		if changes {
			c.edits = append(c.edits, e)
		}
	}
}

func (c *change) replaceShared(old, next *servicePort) {
	var was, now []Element
	if old.decision.ClusterIP.IsValid() {
		was = old.shared(c.node)
	}
	if next.decision.ClusterIP.IsValid() {
		now = next.shared(c.node)
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
		if e, changes := edit(k.set, k.key, was.data, was.ok, data, ok); changes {
			c.edits = append(c.edits, e)
		}
	}
	return newPlan(c.edits)
}

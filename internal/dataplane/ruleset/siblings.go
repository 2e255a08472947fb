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
	"net/netip"
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// Ports of a Service with one affinity share the ids of their lists, and with
// them the pins of their clients, as long as they have the same hosts in
// them. The first by name leads, the others follow; a port whose hosts differ
// leads for itself.

// service is what ports of one Service have in common.
type service struct{ namespace, name string }

func serviceOf(name model.ServicePortName) service { return service{name.Namespace, name.Name} }

// shares says whether d wants one affinity for all ports of its Service.
func shares(d *policy.Decision) bool { return d.Affinity > 0 && d.AffinityScope == model.PerService }

// withSiblings are changed, with the ports that share with them, or did, in the
// order of their names: who leads is planned before who follows.
func (p *Planner) withSiblings(changed []policy.Decision, removed []model.ServicePortName) []policy.Decision {
	named := map[model.ServicePortName]bool{}
	touched := map[service]bool{}
	touch := func(name model.ServicePortName, d *policy.Decision) {
		named[name] = true
		if old := p.ports[name]; old != nil && shares(old.decision) || d != nil && shares(d) {
			touched[serviceOf(name)] = true
		}
	}
	for _, name := range removed {
		touch(name, nil)
	}
	for i := range changed {
		touch(changed[i].Name, &changed[i])
	}
	if len(touched) == 0 {
		return changed
	}
	all := slices.Clone(changed)
	for s := range touched {
		for _, name := range p.sharing[s] {
			if !named[name] {
				all = append(all, *p.ports[name].decision)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b policy.Decision) int { return a.Name.Compare(b.Name) })
	return all
}

// keep remembers sp as the state of its port; nil forgets it.
func (p *Planner) keep(name model.ServicePortName, sp *servicePort) {
	if old := p.ports[name]; old != nil && shares(old.decision) {
		s := serviceOf(name)
		p.sharing[s] = slices.DeleteFunc(p.sharing[s], func(n model.ServicePortName) bool { return n == name })
		if len(p.sharing[s]) == 0 {
			delete(p.sharing, s)
		}
	}
	delete(p.starved, name)
	if sp == nil {
		delete(p.ports, name)
		return
	}
	p.ports[name] = sp
	if sp.starved() {
		p.starved[name] = struct{}{}
	}
	if shares(sp.decision) {
		s := serviceOf(name)
		p.sharing[s] = append(p.sharing[s], name)
		slices.SortFunc(p.sharing[s], model.ServicePortName.Compare)
	}
}

// earlier are the ports that d may share with and that are planned before it.
func (p *Planner) earlier(d *policy.Decision) []*servicePort {
	var list []*servicePort
	if !shares(d) {
		return nil
	}
	for _, name := range p.sharing[serviceOf(d.Name)] {
		if name.Compare(d.Name) < 0 {
			list = append(list, p.ports[name])
		}
	}
	return list
}

// leader is the port that d follows, nil if it leads. A port number that means
// two things in one protocol tells no one which endpoint to take.
func (p *Planner) leader(d *policy.Decision) *servicePort {
	var found *servicePort
	for _, other := range p.earlier(d) {
		o := other.decision
		if o.Name.Protocol == d.Name.Protocol && (o.Port == d.NodePort || o.NodePort == d.Port) {
			return nil
		}
		if found == nil && usesCluster(o) == usesCluster(d) && usesLocal(o) == usesLocal(d) &&
			sameHosts(o.Cluster, d.Cluster) && sameHosts(o.Local, d.Local) {
			found = other
		}
	}
	return found
}

// history is what next may keep of old: nothing when d shares and old did not,
// or the reverse, and no list whose id an earlier port has by now.
func (p *Planner) history(old *servicePort, d *policy.Decision) (cluster, local list) {
	if old == nil || shares(old.decision) != shares(d) {
		return list{}, list{}
	}
	cluster, local = old.cluster, old.local
	for _, other := range p.earlier(d) {
		if other.cluster.id == old.cluster.id {
			cluster = list{}
		}
		if other.local.id == old.local.id {
			local = list{}
		}
	}
	return cluster, local
}

// following is a list like that of the leader, with endpoints on its hosts.
func (p *Planner) following(leader list, endpoints []netip.AddrPort) list {
	next := leader
	if leader.pinned == nil {
		return next
	}
	p.timeouts.take(leader.pinned.timeout)
	pinned := *leader.pinned
	pinned.endpoints = endpoints[:len(pinned.endpoints)]
	pinned.byNumber = byNumber(pinned.endpoints, pinned.numbers)
	next.pinned = &pinned
	return next
}

func sameHosts(a, b []netip.AddrPort) bool {
	return slices.EqualFunc(a, b, func(x, y netip.AddrPort) bool { return x.Addr() == y.Addr() })
}

// inUse says whether a port that shares with name has a list with the id.
func (p *Planner) inUse(name model.ServicePortName, id uint32) bool {
	return slices.ContainsFunc(p.sharing[serviceOf(name)], func(n model.ServicePortName) bool {
		sp := p.ports[n]
		return sp.cluster.id == id || sp.local.id == id
	})
}

// ownClusterRoute is clusterRoute of a port that does not share.
func (sp *servicePort) ownClusterRoute() (e Element, ok bool) {
	if shares(sp.decision) {
		return Element{}, false
	}
	return sp.clusterRoute()
}

// common are the elements that all ports that share have: the draw of each
// list, and the way from the Local to the Cluster list.
func (sp *servicePort) common() []Element {
	if !shares(sp.decision) {
		return nil
	}
	var elements []Element
	for _, l := range sp.lists() {
		l.drawn(placed{list: &list{}}, func(e Element, _ bool, _ Element, _ bool) { elements = append(elements, e) })
	}
	if e, ok := sp.clusterRoute(); ok {
		elements = append(elements, e)
	}
	return elements
}

// handedOn makes one edit of a deletion and an addition of one element of
// Sticky: a port number that one port gives up and another takes, in one
// change and with the same pins.
func handedOn(edits []Edit) []Edit {
	deleted := map[string]int{}
	for i, e := range edits {
		if e.Set == Sticky && e.Operation == Delete {
			deleted[e.Key] = i
		}
	}
	gone := map[int]bool{}
	for i, e := range edits {
		if at, ok := deleted[e.Key]; ok && e.Set == Sticky && e.Operation == Add {
			old := edits[at].Data
			edits[i].Operation, edits[i].Old = Replace, old
			gone[at], gone[i] = true, old == e.Data
		}
	}
	if len(gone) == 0 {
		return edits
	}
	kept := edits[:0]
	for i, e := range edits {
		if !gone[i] {
			kept = append(kept, e)
		}
	}
	return kept
}

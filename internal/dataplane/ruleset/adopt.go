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

// found is what the kernel holds under one id.
type found struct {
	slots map[model.Protocol][]netip.AddrPort
	class Class
	// numbers, draws and size are of pins.
	numbers map[model.Protocol]map[netip.AddrPort]uint32
	draws   []uint32
	size    Class
}

func newFound() *found {
	return &found{slots: map[model.Protocol][]netip.AddrPort{}, numbers: map[model.Protocol]map[netip.AddrPort]uint32{}}
}

// adopt makes the ServicePorts of desired, each list with the id that its ways
// lead to already.
func (p *Planner) adopt(desired []policy.Decision, held Elements) {
	desired = byName(desired)
	byID := readIDs(held)
	// While the plan is carried out, ids that are on their way out are in use.
	p.ids = poolWithout(byID)
	p.ports = make(map[model.ServicePortName]*servicePort, len(desired))
	// One that follows another is found under an id that it has no use for.
	claimed, used := map[uint32]bool{}, map[uint32]bool{}
	for i := range desired {
		d := &desired[i]
		old := servicePort{decision: d}
		if len(byID) > 0 {
			old.cluster, old.local = p.found(d, held, byID, claimed)
		}
		sp := p.next(&old, d)
		p.keep(d.Name, sp)
		used[sp.cluster.id], used[sp.local.id] = true, true
		for _, e := range sp.shared(p.host()) {
			p.claims.add(sp, e)
		}
	}
	for id := range byID {
		if !used[id] {
			p.ids.giveBack(id)
		}
	}
}

// byName sorts a copy, if desired is not sorted anyway.
func byName(desired []policy.Decision) []policy.Decision {
	compare := func(a, b policy.Decision) int { return a.Name.Compare(b.Name) }
	if slices.IsSortedFunc(desired, compare) {
		return desired
	}
	return slices.SortedFunc(slices.Values(desired), compare)
}

// found are the lists of d as the kernel holds them, each under an id that no
// ServicePort has claimed before.
func (p *Planner) found(d *policy.Decision, held Elements, byID map[uint32]*found, claimed map[uint32]bool) (cluster, local list) {
	keep := func(ids votes) (l list) {
		if l.id = ids.winner(func(id uint32) bool { return byID[id] != nil && !claimed[id] }); l.id == 0 {
			return l
		}
		claimed[l.id] = true
		l.slots, l.class = byID[l.id].slots[d.Name.Protocol], byID[l.id].class
		l.pinned = byID[l.id].pins(d.Name.Protocol)
		return l
	}
	ofCluster, ofLocal := p.vote(d, held)
	if usesCluster(d) {
		cluster = keep(ofCluster)
	}
	if usesLocal(d) {
		local = keep(ofLocal)
	}
	return cluster, local
}

// votes are the ids that the ways into a list lead to, in their order.
type votes []uint32

// vote asks every way into d which list it leads to. Those that keep to this
// node lead to the Local list, and through ClusterRoutes to the Cluster list.
func (p *Planner) vote(d *policy.Decision, held Elements) (cluster, local votes) {
	sp := servicePort{decision: d}
	for _, w := range sp.ways(p.host()) {
		e := w.routeElement(d.Name.Protocol, 0)
		id := readNumber(held[e.Set][e.Key]) & IDMask
		if scope := sp.scope(w); scope == policy.ClusterScope {
			cluster = append(cluster, id)
			continue
		}
		local = append(local, id)
		cluster = append(cluster, readNumber(held[ClusterRoutes][number(id)])&IDMask)
	}
	return cluster, local
}

// winner is the usable id with most votes, the first of equals, or 0: one way
// that a foreign hand bent does not take the others along.
func (v votes) winner(usable func(uint32) bool) uint32 {
	best := uint32(0)
	count := map[uint32]int{}
	for _, id := range v {
		if !usable(id) {
			continue
		}
		count[id]++
		if best == 0 || count[id] > count[best] {
			best = id
		}
	}
	return best
}

// readIDs lists what the kernel holds under each id that anything names.
func readIDs(held Elements) map[uint32]*found {
	all := map[uint32]*found{}
	total := len(held[Endpoints]) + len(held[Sticky]) + len(held[Frontends]) + len(held[NodePorts]) + len(held[ClusterRoutes])
	get := func(id uint32) *found {
		if !adoptable(id, total) {
			return newFound()
		}
		if all[id] == nil {
			all[id] = newFound()
		}
		return all[id]
	}
	for _, set := range []string{Frontends, NodePorts} {
		for _, data := range held[set] {
			n := readNumber(data)
			get(n & IDMask).led(routeClass(n))
		}
	}
	for k, data := range held[ClusterRoutes] {
		get(readNumber(k))
		n := readNumber(data)
		get(n & IDMask).led(routeClass(n))
	}
	for k, data := range held[Endpoints] {
		protocol, id, slot, ok := readEndpointKey(k)
		endpoint, valid := readEndpointData(data)
		if ok && valid && slot < maxClass {
			get(id).put(protocol, slot, endpoint)
		}
	}
	readPins(held, get)
	return all
}

// led takes note of a way with that class. Only a pick class has a history.
func (f *found) led(class Class) {
	if class.slots() > f.class.slots() {
		f.class = class
	}
}

func (f *found) put(protocol model.Protocol, slot uint32, endpoint netip.AddrPort) {
	f.slots[protocol] = put(f.slots[protocol], slot, endpoint)
}

// put sets one place of a list, which grows as far as that.
func put[T any](list []T, at uint32, value T) []T {
	if missing := int(at) + 1 - len(list); missing > 0 {
		list = append(list, make([]T, missing)...)
	}
	list[at] = value
	return list
}

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
	class uint32
}

// adopt makes the ServicePorts of desired, each with the id that one of its
// frontends leads to already.
func (p *Planner) adopt(desired []policy.Decision, held Elements) {
	byID := readIDs(held)
	ordered := slices.Clone(desired)
	slices.SortFunc(ordered, func(a, b policy.Decision) int { return a.Name.Compare(b.Name) })
	kept := make([]uint32, len(ordered))
	taken := map[uint32]bool{}
	for i, d := range ordered {
		if id := heldID(d, held, func(id uint32) bool { return byID[id] != nil && !taken[id] }); id != 0 && len(d.Cluster) > 0 {
			kept[i], taken[id] = id, true
		}
	}
	// While the plan is carried out, ids that are on their way out are in use.
	inUse := make(map[uint32]bool, len(byID))
	for id := range byID {
		inUse[id] = true
	}
	p.ids = poolWithout(inUse)
	p.ports = make(map[model.ServicePortName]*servicePort, len(ordered))
	for i, d := range ordered {
		old := &servicePort{id: kept[i]}
		if f := byID[old.id]; f != nil {
			old.slots, old.class = f.slots[d.Name.Protocol], f.class
		}
		sp := p.next(old, d)
		p.ports[d.Name] = sp
		for _, e := range sp.shared(p.node) {
			p.claims.add(sp, e)
		}
	}
	for id := range byID {
		if !taken[id] {
			p.ids.giveBack(id)
		}
	}
}

// heldID is the usable id that most of d's frontends lead to, the first of
// equals, or 0: one that a foreign hand bent does not take the others along.
func heldID(d policy.Decision, held Elements, usable func(uint32) bool) uint32 {
	best := uint32(0)
	votes := map[uint32]int{}
	vote := func(set, key string) {
		id := readNumber(held[set][key]) & IDMask
		if !usable(id) {
			return
		}
		votes[id]++
		if best == 0 || votes[id] > votes[best] {
			best = id
		}
	}
	vote(Frontends, frontendKey(d.ClusterIP, d.Name.Protocol, d.Port))
	for _, vip := range d.ExternalVIPs() {
		vote(Frontends, frontendKey(vip, d.Name.Protocol, d.Port))
	}
	vote(NodePorts, nodePortKey(d.Name.Protocol, d.NodePort))
	return best
}

// readIDs lists what the kernel holds under each id that anything names.
func readIDs(held Elements) map[uint32]*found {
	all := map[uint32]*found{}
	total := len(held[Endpoints]) + len(held[Frontends]) + len(held[NodePorts])
	get := func(id uint32) *found {
		if !adoptable(id, total) {
			return &found{slots: map[model.Protocol][]netip.AddrPort{}}
		}
		if all[id] == nil {
			all[id] = &found{slots: map[model.Protocol][]netip.AddrPort{}}
		}
		return all[id]
	}
	for _, set := range []string{Frontends, NodePorts} {
		for _, data := range held[set] {
			n := readNumber(data)
			f := get(n & IDMask)
			f.class = max(f.class, routeClass(n))
		}
	}
	for k, data := range held[Endpoints] {
		protocol, id, slot, ok := readEndpointKey(k)
		endpoint, valid := readEndpointData(data)
		if ok && valid && slot < maxClass {
			get(id).put(protocol, slot, endpoint)
		}
	}
	return all
}

func (f *found) put(protocol model.Protocol, slot uint32, endpoint netip.AddrPort) {
	slots := f.slots[protocol]
	if missing := int(slot) + 1 - len(slots); missing > 0 {
		slots = append(slots, make([]netip.AddrPort, missing)...)
	}
	slots[slot] = endpoint
	f.slots[protocol] = slots
}

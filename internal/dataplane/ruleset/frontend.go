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
	"fmt"
	"net/netip"
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// Frontend is a destination that clients send to.
type Frontend struct {
	Protocol model.Protocol
	Addr     netip.AddrPort
}

// String is "TCP 10.96.0.10:80".
func (f Frontend) String() string { return fmt.Sprintf("%s %s", f.Protocol, f.Addr) }

// servicePort is a ServicePort as the kernel holds it.
type servicePort struct {
	decision policy.Decision
	// id is 0 while there are no endpoints.
	id uint32
	// slots are the endpoints, each in its slot; class is how many slots the
	// kernel draws from.
	slots []netip.AddrPort
	class uint32
}

// shared are the elements of sp whose keys other ServicePorts might claim too:
// all but its slots.
func (sp *servicePort) shared(node policy.Node) []Element {
	d := &sp.decision
	elements := make([]Element, 0, 3*(2+len(d.ExternalVIPs())+len(node.NodePortAddrs))+len(d.Cluster))
	add := func(set, key, data string) { elements = append(elements, Element{set, key, data}) }
	reach := func(set string, addr netip.Addr, port uint16) {
		k := frontendKey(addr, d.Name.Protocol, port)
		add(set, k, "")
		if sp.id == 0 {
			add(NoEndpoints, k, "")
		}
	}
	vip := func(set string, addr netip.Addr) {
		reach(set, addr, d.Port)
		if sp.id != 0 {
			add(Frontends, frontendKey(addr, d.Name.Protocol, d.Port), number(route(sp.id, sp.class)))
		}
	}
	vip(ClusterFrontends, d.ClusterIP)
	for _, addr := range d.ExternalVIPs() {
		vip(ExternalFrontends, addr)
	}
	if d.NodePort != 0 {
		for _, addr := range nodePortAddrs(node) {
			reach(ExternalFrontends, addr, d.NodePort)
		}
		if sp.id != 0 {
			add(NodePorts, nodePortKey(d.Name.Protocol, d.NodePort), number(route(sp.id, sp.class)))
		}
	}
	for _, endpoint := range d.Cluster {
		if mayHairpin(node, endpoint.Addr()) {
			add(Hairpin, hairpinKey(endpoint.Addr()), "")
		}
	}
	slices.SortFunc(elements, Element.Compare)
	return slices.Compact(elements)
}

// nodePortAddrs are the addresses that NodePorts answer on, without loopback:
// an answer to 127.0.0.1 can not come from another machine.
func nodePortAddrs(node policy.Node) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(node.NodePortAddrs), netip.Addr.IsLoopback)
}

// mayHairpin says whether connections of addr to itself need a masquerade of
// their own. A source that is not a local pod is masqueraded on every way in.
func mayHairpin(node policy.Node, addr netip.Addr) bool {
	return !node.MasqueradeAll && (len(node.LocalPods) == 0 || isLocalPod(node, addr))
}

// private are the elements of sp that carry its id as their key.
func (sp *servicePort) private() []Element {
	elements := make([]Element, len(sp.slots))
	for i := range sp.slots {
		elements[i] = sp.slotElement(i)
	}
	return elements
}

func (sp *servicePort) slotElement(i int) Element {
	return Element{Endpoints, endpointKey(sp.decision.Name.Protocol, sp.id, uint32(i)), endpointData(sp.slots[i])}
}

// nodeElements are the elements that no ServicePort changes.
func nodeElements(node policy.Node) []Element {
	elements := localPods(node)
	for class := uint32(1); class <= maxClass; class *= 2 {
		elements = append(elements, Element{Classes, number(route(0, class)), pickName(class)})
	}
	for _, addr := range nodePortAddrs(node) {
		elements = append(elements, Element{Set: NodeAddresses, Key: addrKey(addr)})
	}
	return elements
}

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

	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// host is what of the machine shapes elements.
type host struct {
	policy.Node
	policy.Features
}

var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// nodePortAddrs are the addresses that NodePorts answer on.
func (h host) nodePortAddrs() []netip.Addr { return h.NodePortsAt(h.Features) }

// mayBeLocalPod says whether addr may belong to a pod that is known to be of
// this node. By its interface, that is not to be told from the address.
func (h host) mayBeLocalPod(addr netip.Addr) bool {
	return h.LocalInterface != "" || slices.ContainsFunc(h.LocalPods, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// keepsSource says whether connections from addr to a ClusterIP may be left
// without masquerade.
func (h host) keepsSource(addr netip.Addr) bool {
	return !h.MasqueradeAll && (len(h.LocalPods) == 0 || h.mayBeLocalPod(addr))
}

// elements are those that no ServicePort changes.
func (h host) elements() []Element {
	var elements []Element
	for class, chain := range fixedClasses() {
		elements = append(elements, Element{Classes, class.key(), chain})
	}
	for class := firstPick; class <= lastPick; class++ {
		elements = append(elements, Element{DrawClasses, class.key(), drawName(class.slots())})
	}
	for _, addr := range h.nodePortAddrs() {
		if addr != localhost { // which only nat-output knows
			elements = append(elements, Element{Set: NodeAddresses, Key: addrKey(addr)})
		}
	}
	elements = append(elements, rangeElements(ServiceCIDRs, h.ServiceCIDRs)...)
	if h.LocalInterface == "" {
		elements = append(elements, rangeElements(LocalPods, h.LocalPods)...)
	}
	return append(elements, rangeElements(Unmasqueraded, h.unmasqueraded())...)
}

// unmasqueraded are the sources that reach a ClusterIP as who they are. "All"
// and "none" need no rules of their own, they are a set of everything and an
// empty set.
func (h host) unmasqueraded() []netip.Prefix {
	switch {
	case h.MasqueradeAll:
		return nil
	case h.LocalInterface != "" || len(h.LocalPods) == 0:
		return []netip.Prefix{everything(h.Family)}
	}
	return h.LocalPods
}

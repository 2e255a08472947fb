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
	// decision is shared with whoever took it, and never changes.
	decision       *policy.Decision
	cluster, local list
}

// noServicePort is what one becomes of and ends as.
var noServicePort = servicePort{decision: &policy.Decision{}}

// way is one destination that leads into a ServicePort.
type way struct {
	addr netip.Addr
	port uint16
	// set is the one that tells postrouting whom to masquerade.
	set string
	// byPort is true for a NodePort, which is found by its port alone.
	byPort bool
	// restricted is true if only the source ranges may come this way.
	restricted bool
}

// ways are all ways in. Those from outside share a scope.
func (sp *servicePort) ways(h host) []way {
	d := sp.decision
	external := ExternalFrontends
	if d.External == policy.LocalScope {
		external = LocalFrontends
	}
	list := []way{{addr: d.ClusterIP, port: d.Port, set: ClusterFrontends}}
	for _, addr := range d.ExternalIPs {
		list = append(list, way{addr: addr, port: d.Port, set: external})
	}
	for _, addr := range d.LoadBalancerIPs {
		list = append(list, way{addr: addr, port: d.Port, set: external, restricted: d.SourceRanges != nil})
	}
	if d.NodePort == 0 {
		return list
	}
	for _, addr := range h.nodePortAddrs() {
		restricted := h.RestrictNodePorts && d.SourceRanges != nil
		list = append(list, way{addr: addr, port: d.NodePort, set: external, byPort: true, restricted: restricted})
	}
	return list
}

// key is the way as a key of frontends.
func (w way) key(p model.Protocol) string { return frontendKey(w.addr, p, w.port) }

// hasVIP says whether f is one of the Service's addresses and its port, and not
// only its NodePort.
func (sp *servicePort) hasVIP(f Frontend) bool {
	d, addr := sp.decision, f.Addr.Addr()
	return f.Addr.Port() == d.Port && (addr == d.ClusterIP || slices.Contains(d.ExternalIPs, addr) || slices.Contains(d.LoadBalancerIPs, addr))
}

// routeElement leads w to lead.
func (w way) routeElement(p model.Protocol, lead uint32) Element {
	if w.byPort {
		return Element{NodePorts, nodePortKey(p, w.port), number(lead)}
	}
	return Element{Frontends, w.key(p), number(lead)}
}

func (sp *servicePort) scope(w way) policy.Scope {
	if w.set == ClusterFrontends {
		return sp.decision.Internal
	}
	return sp.decision.External
}

// lead is the route of a way; routed is false if it needs none, because all
// that comes this way is refused. A VIP on the node's own address needs one all
// the same, or the packets would be taken for those of a NodePort. refused is
// true if the filter hooks are to refuse what was not translated.
func (sp *servicePort) lead(w way, h host) (lead uint32, routed, refused bool) {
	d := sp.decision
	l := &sp.cluster
	if sp.scope(w) == policy.LocalScope {
		l = &sp.local
	}
	class := l.class
	refused = l.empty() && (len(d.Cluster) == 0 || h.RejectWithoutLocal)
	if refused {
		class = leaveUntranslated
	}
	lead = route(l.id, class)
	if w.set == LocalFrontends && l.id != 0 {
		lead |= externalLocalFlag
	}
	if w.restricted {
		lead |= restrictedFlag
	}
	onNode := !w.byPort && slices.Contains(h.NodePortAddrs, w.addr)
	return lead, !refused || onNode || lead&(restrictedFlag|externalLocalFlag) != 0, refused
}

// shared are the elements of sp whose keys other ServicePorts might claim too:
// all but those of its lists. The source ranges of a way are one element here,
// see expandRanges.
func (sp *servicePort) shared(h host) []Element {
	d := sp.decision
	p := d.Name.Protocol
	ways := sp.ways(h)
	elements := make([]Element, 0, 3*len(ways)+len(d.Cluster))
	add := func(set, key, data string) { elements = append(elements, Element{set, key, data}) }
	add(ClusterIPs, addrKey(d.ClusterIP), "")
	ranges := ""
	if d.SourceRanges != nil {
		ranges = rangesData(d.SourceRanges)
	}
	for _, w := range ways {
		k := w.key(p)
		add(frontendSets, k, w.set)
		lead, routed, refused := sp.lead(w, h)
		if routed {
			elements = append(elements, w.routeElement(p, lead))
		}
		if refused {
			add(NoEndpoints, k, "")
		}
		if w.restricted && ranges != "" {
			add(SourceRanges, k, ranges)
		}
		if h.CountConnections {
			add(Connections, k, "")
		}
		if h.AnswerEcho && w.set != ClusterFrontends && !w.byPort {
			add(ExternalVIPs, addrKey(w.addr), "")
		}
	}
	if h.RefusePooled && d.Pooled {
		for _, addr := range d.LoadBalancerIPs {
			add(PooledVIPs, addrKey(addr), "")
		}
	}
	elements = append(append(elements, sp.hairpins(h)...), sp.common()...)
	slices.SortFunc(elements, Element.Compare)
	return slices.Compact(elements)
}

// hairpins are for connections of endpoints to themselves that no other rule
// masquerades: those to a ClusterIP, which are translated where the client is,
// and those to external destinations that keep their source.
func (sp *servicePort) hairpins(h host) []Element {
	d := sp.decision
	outside := d.External == policy.LocalScope && reachableFromOutside(d)
	var elements []Element
	add := func(endpoints []netip.AddrPort, may func(netip.Addr) bool) {
		for _, endpoint := range endpoints {
			if may(endpoint.Addr()) {
				elements = append(elements, Element{Set: Hairpin, Key: hairpinKey(endpoint.Addr())})
			}
		}
	}
	if d.Internal == policy.ClusterScope {
		add(d.Near, h.keepsSource)
	}
	if outside {
		add(d.Cluster, h.mayBeLocalPod)
	}
	add(d.Local, func(addr netip.Addr) bool { return outside || h.keepsSource(addr) })
	return elements
}

// private visits the elements that carry an id of sp in their keys.
func (sp *servicePort) private(visit func(Element)) {
	for _, l := range sp.lists() {
		l.private(visit)
	}
	if e, ok := sp.ownClusterRoute(); ok {
		visit(e)
	}
}

// clusterRoute leads those who may have the Cluster list in place of the Local
// one to it; ok is false if there are none.
func (sp *servicePort) clusterRoute() (e Element, ok bool) {
	d := sp.decision
	if sp.local.id == 0 || d.External != policy.LocalScope || !reachableFromOutside(d) {
		return Element{}, false
	}
	to := &sp.cluster
	if to.id == 0 {
		to = &sp.local
	}
	return Element{ClusterRoutes, number(sp.local.id), number(route(to.id, to.class))}, true
}

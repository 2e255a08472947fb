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

package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

func itoa(port uint16) string { return strconv.Itoa(int(port)) }

// admitted applies the source ranges.
func (e *explanation) admitted(f frontend) bool {
	ranges := f.decision.SourceRanges
	restricted := f.kind == loadBalancerIP || f.kind == nodePort && e.World.Node.RestrictNodePorts
	switch {
	case ranges == nil || !restricted && f.kind == clusterIP:
		return true
	case !restricted:
		e.say("source ranges", "loadBalancerSourceRanges do not hold for %ss", f.kind)
		return true
	}
	for _, r := range ranges {
		if r.Contains(e.Source) {
			e.say("source ranges", "%s is in %s of loadBalancerSourceRanges", e.Source, r)
			return true
		}
	}
	e.say("source ranges", "%s is in none of loadBalancerSourceRanges (%s), so it is dropped", e.Source, list(ranges))
	return false
}

func list[T fmt.Stringer](of []T) string {
	var words []string
	for _, one := range of {
		words = append(words, one.String())
	}
	return strings.Join(words, ", ")
}

// origin is where a packet comes from, as far as it matters.
type origin string

const (
	// thisNode is a process of the node, localPod a pod on it.
	thisNode  origin = "this node itself"
	localPod  origin = "a pod of this node"
	elsewhere origin = "elsewhere"
	// unknown is where pods can not be told from others.
	unknown origin = "somewhere"
)

func (e *explanation) origin() origin {
	pattern := e.Features.LocalInterface
	switch {
	case e.FromNode:
		return thisNode
	case pattern != "":
		if prefix, isPrefix := strings.CutSuffix(pattern, "*"); e.Interface == pattern || isPrefix && strings.HasPrefix(e.Interface, prefix) {
			return localPod
		}
		return elsewhere
	case len(e.World.Node.LocalPods) == 0:
		return unknown
	case within(e.World.Node.LocalPods, e.Source):
		return localPod
	}
	return elsewhere
}

func within(ranges []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return r.Contains(addr) })
}

// scope is where the endpoints may be, for this packet.
func (e *explanation) scope(f frontend) policy.Scope {
	field, scope := "externalTrafficPolicy", f.decision.External
	if f.kind == clusterIP {
		field, scope = "internalTrafficPolicy", f.decision.Internal
	}
	from := e.origin()
	switch {
	case scope == policy.ClusterScope:
		e.say("scope", "%s is Cluster: endpoints of all nodes", field)
	case f.kind != clusterIP && (from == localPod || from == thisNode):
		e.say("scope", "%s is Local, but the client is %s: endpoints of all nodes", field, from)
		return policy.ClusterScope
	default:
		e.say("scope", "%s is Local: only endpoints of this node", field)
	}
	return scope
}

// candidates lists all endpoints of the ServicePort with the reason for each.
func (e *explanation) candidates(d *policy.Decision, scope policy.Scope) {
	port, _ := e.Store.ServicePort(d.Name)
	endpoints := e.Store.Endpoints(d.Name, d.Family)
	selection := policy.Select(endpoints, scope, e.Place)
	for i := range endpoints {
		verdict := selection.Verdict(&endpoints[i])
		e.Endpoints = append(e.Endpoints, e.endpoint(&endpoints[i], verdict, d, port))
	}
	if selection.Topology != policy.AnyNode {
		hint := map[policy.Topology]string{policy.SameNode: "node " + e.Place.NodeName, policy.SameZone: "zone " + e.Place.Zone}[selection.Topology]
		e.say("hints", "all ready endpoints have hints, and some are for %s: only those", hint)
	}
	if selection.Leaving && e.count() > 0 {
		e.say("endpoints", "none is ready: those that still answer while they terminate are used")
	}
}

func (e *explanation) endpoint(found *model.Endpoint, verdict policy.Verdict, d *policy.Decision, port model.ServicePort) Endpoint {
	line := Endpoint{
		Address: found.Addr.String(), Pod: found.Pod, Node: found.NodeName, Zone: found.Zone,
		Chosen: verdict == policy.Chosen, Why: verdict.String(),
	}
	if line.Chosen && found.Terminating {
		line.Why = "is chosen, it terminates but still answers"
	}
	if d.Scheduler == model.Weighted {
		line.Weight = port.Traffic.Weights.Of(found)
	}
	return line
}

// targets says of each endpoint what it sees as its client.
func (e *explanation) targets(f frontend, list []netip.AddrPort) Outcome {
	masquerade := e.masquerade(f)
	outcome := Outcome{End: ToEndpoints}
	for _, endpoint := range list {
		itself := endpoint.Addr() == e.Source && e.mayBeItself()
		if itself && !masquerade {
			e.say("masquerade", "%s may be given to itself, and would not see its own answer: then yes", e.Source)
		}
		outcome.Targets = append(outcome.Targets, Target{endpoint, masquerade || itself})
	}
	return outcome
}

// mayBeItself is false for clients that are known to be no pods of this node:
// they do not reach an endpoint that is themselves through this node. With an
// external policy Local, those from outside do that are taken for local pods.
func (e *explanation) mayBeItself() bool {
	byInterface := e.Features.LocalInterface != ""
	if e.origin() == elsewhere && !byInterface {
		return false
	}
	isSource := func(at netip.AddrPort) bool { return at.Addr() == e.Source }
	return slices.ContainsFunc(e.decisions, func(d policy.Decision) bool {
		return d.Internal == policy.ClusterScope && slices.ContainsFunc(d.Near, isSource) || slices.ContainsFunc(d.Local, isSource) ||
			d.External == policy.LocalScope && (byInterface || e.origin() == localPod) && slices.ContainsFunc(d.Cluster, isSource)
	})
}

// masquerade says whether every endpoint sees the node in place of the client.
func (e *explanation) masquerade(f frontend) bool {
	yes := func(because string) bool { e.say("masquerade", "yes, %s", because); return true }
	no := func(because string) bool { e.say("masquerade", "no, %s", because); return false }
	from := e.origin()
	switch {
	case f.kind == clusterIP && e.World.Node.MasqueradeAll:
		return yes("this node masquerades all traffic to ClusterIPs")
	case f.kind == clusterIP && from == thisNode:
		return yes("the node's source address need not be one that the endpoint can answer")
	case f.kind == clusterIP && from == elsewhere:
		return yes("the client is no pod of this node, and the answer has to come back through it")
	case f.kind == clusterIP:
		return no("the endpoint sees the client's address")
	case f.decision.External == policy.ClusterScope:
		return yes("the answer to what came from outside has to come back through this node")
	case from == thisNode:
		return yes("the node's source address need not be one that the endpoint can answer")
	}
	return no("externalTrafficPolicy Local keeps the client's address")
}

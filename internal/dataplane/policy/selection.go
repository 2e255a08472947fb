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

package policy

import (
	"fmt"
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Selection is the rule by which one list of a Decision is made from all
// endpoints of a ServicePort. It is settled by looking at all of them once,
// and can then say of each whether it is in the list, and if not, why.
type Selection struct {
	// Scope tells the list of all nodes' endpoints from that of this node's.
	Scope Scope
	// Topology is which hints the endpoints of the list must have.
	Topology Topology
	// Leaving is true when no endpoint of the scope is ready: those that still
	// answer while they terminate are taken in their place, so that a rollout
	// of a single replica loses no connection (KEP-1669).
	Leaving bool

	place Place
}

// Topology is how far hints keep connections together (KEP-2433, KEP-4444).
type Topology uint8

// The topologies.
const (
	// AnyNode takes endpoints whatever their hints are.
	AnyNode Topology = iota
	// SameNode takes endpoints with a hint for this node.
	SameNode
	// SameZone takes endpoints with a hint for this node's zone.
	SameZone
)

// Verdict is why an endpoint is in a list, or is not.
type Verdict uint8

// The verdicts.
const (
	Chosen Verdict = iota
	// NotReady endpoints take no connections, nor do they terminate gracefully.
	NotReady
	// Terminating endpoints take none either while a ready one is there.
	Terminating
	// OnAnotherNode is out of the reach of traffic policy Local.
	OnAnotherNode
	// ForAnotherNode and ForAnotherZone are what hints keep away.
	ForAnotherNode
	ForAnotherZone
)

// String is a clause about an endpoint, such as "is not ready".
func (v Verdict) String() string {
	switch v {
	case Chosen:
		return "is chosen"
	case NotReady:
		return "is not ready"
	case Terminating:
		return "terminates while others are ready"
	case OnAnotherNode:
		return "is not on this node"
	case ForAnotherNode:
		return "is hinted for other nodes"
	case ForAnotherZone:
		return "is hinted for other zones"
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// Select settles the rule for one scope. Hints never narrow the Local scope.
func Select(endpoints []model.Endpoint, scope Scope, place Place) Selection {
	s := Selection{Scope: scope, place: place, Leaving: true}
	for i := range endpoints {
		if endpoints[i].Ready && s.inScope(&endpoints[i]) {
			s.Leaving = false
			break
		}
	}
	if scope == ClusterScope && !s.Leaving {
		s.Topology = topologyOf(endpoints, place)
	}
	return s
}

// topologyOf follows hints only if all ready endpoints have them and one of
// them is for us: with anything less, a part of the cluster has yet to be told
// about the other, and traffic might end up on too few endpoints. Nodes are
// asked before zones.
func topologyOf(endpoints []model.Endpoint, place Place) Topology {
	allNodes, someNode, allZones, someZone := true, false, true, false
	for i := range endpoints {
		if !endpoints[i].Ready {
			continue
		}
		nodes, zones := endpoints[i].Hints.Nodes(), endpoints[i].Hints.Zones()
		allNodes = allNodes && len(nodes) > 0
		someNode = someNode || place.hintedBy(nodes)
		allZones = allZones && len(zones) > 0
		someZone = someZone || place.inZoneOf(zones)
	}
	switch {
	case allNodes && someNode:
		return SameNode
	case allZones && someZone:
		return SameZone
	}
	return AnyNode
}

func (p Place) hintedBy(nodes []string) bool {
	return p.NodeName != "" && slices.Contains(nodes, p.NodeName)
}

func (p Place) inZoneOf(zones []string) bool { return p.Zone != "" && slices.Contains(zones, p.Zone) }

// Verdict is what the rule says about e.
func (s Selection) Verdict(e *model.Endpoint) Verdict {
	switch {
	case !s.inScope(e):
		return OnAnotherNode
	case !e.Ready && !(e.Serving && e.Terminating):
		return NotReady
	case !e.Ready && !s.Leaving:
		return Terminating
	case s.Topology == SameNode && !s.place.hintedBy(e.Hints.Nodes()):
		return ForAnotherNode
	case s.Topology == SameZone && !s.place.inZoneOf(e.Hints.Zones()):
		return ForAnotherZone
	}
	return Chosen
}

func (s Selection) inScope(e *model.Endpoint) bool { return s.Scope == ClusterScope || s.place.has(e) }

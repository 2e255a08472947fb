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

package model

import (
	"cmp"
	"net/netip"
	"slices"
)

// Endpoint is one place a ServicePort's connections can go to.
type Endpoint struct {
	Addr netip.AddrPort
	// Ready endpoints take new connections. Serving ones could answer, also
	// while Terminating (KEP-1669).
	Ready, Serving, Terminating bool
	// Weight is the one of its slice, 0 for none. See Weights.Of.
	Weight uint16
	// NodeName and Zone are where it runs, Pod is what answers; empty when
	// unknown.
	NodeName, Zone, Pod string
	// Hints say whom it is to serve, nil for none.
	Hints *Hints
}

// Hints are the nodes and zones that an endpoint is meant for (KEP-2433,
// KEP-4444).
type Hints struct {
	ForNodes, ForZones []string
}

// Nodes are the nodes to serve, empty for no hint.
func (h *Hints) Nodes() []string {
	if h == nil {
		return nil
	}
	return h.ForNodes
}

// Zones are the zones to serve, empty for no hint.
func (h *Hints) Zones() []string {
	if h == nil {
		return nil
	}
	return h.ForZones
}

// better orders two sightings of one address, most believable first. A pod
// that moves between slices is seen twice for a moment; an address that a
// terminating pod still holds may already belong to a new one.
func (e Endpoint) better(o Endpoint) int {
	return cmp.Or(
		falseFirst(e.Terminating, o.Terminating),
		falseFirst(!e.Ready, !o.Ready),
		falseFirst(!e.Serving, !o.Serving),
	)
}

func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// compare orders endpoints for merging; of one address, the best comes first.
func (e *Endpoint) compare(o *Endpoint) int {
	if order := e.Addr.Compare(o.Addr); order != 0 {
		return order
	}
	return e.better(*o)
}

func (e *Endpoint) equal(o *Endpoint) bool {
	return e.Addr == o.Addr && e.Ready == o.Ready && e.Serving == o.Serving && e.Terminating == o.Terminating &&
		e.Weight == o.Weight && e.NodeName == o.NodeName && e.Zone == o.Zone && e.Pod == o.Pod &&
		slices.Equal(e.Hints.Nodes(), o.Hints.Nodes()) && slices.Equal(e.Hints.Zones(), o.Hints.Zones())
}

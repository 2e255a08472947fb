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
	"cmp"
	"slices"
	"strings"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Operation is what an Edit does.
type Operation uint8

// The operations.
const (
	Add Operation = iota
	Delete
	// Replace gives an existing key other data, at once.
	Replace
)

// Edit changes one element.
type Edit struct {
	Operation
	order int8
	// Element has the new data, or for Delete the old.
	Element
	// Old is the data before a Replace.
	Old string
}

// Plan is an ordered list of edits: what is led to is added before what leads
// there, and removed after it, so that it may be carried out in several
// transactions as long as they keep the order.
type Plan struct {
	Edits []Edit
	// Appeared are the frontends that packets may have passed through
	// untranslated until now; conntrack remembers those as they were.
	Appeared []Frontend
	// Disappeared are frontends that were held and that nobody wants any more.
	// Sync alone finds them, as a Service may have gone while no one looked; who
	// plans with Apply knows what he removes.
	Disappeared []Frontend
	// Prolonged are ServicePorts whose clients stay longer than asked, because
	// more different affinity timeouts are wanted than there are classes.
	Prolonged []model.ServicePortName
	// Starved are all ServicePorts that are not served, for want of an id: more
	// than a million lists of endpoints are in use. They are tried again with
	// each Apply.
	Starved []model.ServicePortName
}

// Text is the plan in words, one edit a line.
func (p Plan) Text(s *Schema) string {
	var b strings.Builder
	for _, e := range p.Edits {
		verb := [...]string{"add", "delete", "replace"}[e.Operation]
		b.WriteString(verb + " " + e.Set + " { " + s.ElementText(e.Element) + " }\n")
	}
	return b.String()
}

// loadOrder ranks the sets: what is led to first. Packets to a ClusterIP that
// is not in ClusterIPs yet are dropped and sent again, others are refused. What
// refuses other ports comes last.
var loadOrder = ranked(StickyChains, Sticky, Draws, Spreads, DrawClasses, Endpoints, Classes, ClusterRoutes, Hairpin,
	ExternalFrontends, LocalFrontends, ClusterFrontends, SourceRanges, Connections, NoEndpoints,
	Frontends, NodePorts, NodeAddresses, ClusterIPs, ExternalVIPs, PooledVIPs)

func ranked(sets ...string) map[string]int8 {
	ranks := make(map[string]int8, len(sets))
	for i, set := range sets {
		ranks[set] = int8(i + 1)
	}
	return ranks
}

func (e Edit) rank() int8 {
	rank := loadOrder[e.Set]
	if IsSourceRanges(e.Set) {
		rank = loadOrder[SourceRanges]
	}
	switch {
	case rangeSets[e.Set] && e.Operation == Delete:
		return -2 // ranges must not overlap: the old one goes first, in the same transaction
	case rangeSets[e.Set]:
		return -1
	case e.Operation == Delete:
		return 100 - rank
	}
	return rank
}

func newPlan(edits []Edit) Plan {
	extended := map[string]bool{} // frontends that get source ranges
	for i, e := range edits {
		edits[i].order = e.rank()
		if IsSourceRanges(e.Set) && e.Operation == Add {
			extended[e.frontend()] = true
		}
	}
	for i, e := range edits {
		if IsSourceRanges(e.Set) && extended[e.frontend()] {
			edits[i].order = loadOrder[SourceRanges]
		}
	}
	slices.SortFunc(edits, Edit.compare)
	p := Plan{Edits: edits}
	p.Appeared = appeared(edits)
	return p
}

// compare is the order in which edits are carried out. The ranges of one
// frontend stay together, those that go first: new ones may overlap them.
func (e Edit) compare(o Edit) int {
	if c := cmp.Compare(e.order, o.order); c != 0 {
		return c
	}
	if IsSourceRanges(e.Set) && IsSourceRanges(o.Set) {
		c := cmp.Or(strings.Compare(e.frontend(), o.frontend()), cmp.Compare(o.Operation, e.Operation))
		if c != 0 {
			return c
		}
	}
	return e.Element.Compare(o.Element)
}

// frontend is the key of the frontend that an edit of SourceRanges is about.
func (e Edit) frontend() string {
	size := (len(e.Key) - 8) / 2
	return e.Key[:size+8]
}

// frontendSets stands for the sets of allFrontends, as if they were one map from
// a frontend to the name of the one that holds it: it is in one at a time, so
// that there is one answer to whether it is masqueraded.
const frontendSets = "*-frontends"

// allFrontends are the sets that together hold every frontend.
var allFrontends = map[string]bool{ExternalFrontends: true, LocalFrontends: true, ClusterFrontends: true}

// appeared reads the new frontends off the sets that hold every frontend,
// with endpoints or without.
func appeared(edits []Edit) []Frontend { return onlyBy(Add, Delete, edits) }

// disappeared is the reverse of appeared.
func disappeared(edits []Edit) []Frontend { return onlyBy(Delete, Add, edits) }

// onlyBy are the frontends in edits of one operation that are in none of the
// other: one that only moved between two sets is neither new nor gone.
func onlyBy(operation, other Operation, edits []Edit) []Frontend {
	var list []Frontend
	moved := frontendKeys(edits, other)
	for _, e := range edits {
		if e.Operation == operation && allFrontends[e.Set] && !moved[e.Key] {
			if f, ok := ReadFrontend(e.Key); ok {
				list = append(list, f)
			}
		}
	}
	return list
}

func frontendKeys(edits []Edit, operation Operation) map[string]bool {
	keys := map[string]bool{}
	for _, e := range edits {
		if e.Operation == operation && allFrontends[e.Set] {
			keys[e.Key] = true
		}
	}
	return keys
}

// restored are the frontends, beyond those that appeared, whose way to their
// endpoints a foreign hand had removed: their packets went through meanwhile.
func restored(edits []Edit) []Frontend {
	added, gone := frontendKeys(edits, Add), frontendKeys(edits, Delete)
	var list []Frontend
	for _, e := range edits {
		if e.Set != Frontends || e.Operation != Add || added[e.Key] && !gone[e.Key] {
			continue
		}
		if f, ok := ReadFrontend(e.Key); ok {
			list = append(list, f)
		}
	}
	return list
}

// edit is the change of one key from held to wanted, if it is one.
func edit(set, key string, held string, isHeld bool, wanted string, isWanted bool) (Edit, bool) {
	e := Edit{Element: Element{set, key, wanted}}
	switch {
	case !isHeld && isWanted:
		return e, true
	case isHeld && !isWanted:
		e.Operation, e.Data = Delete, held
		return e, true
	case isHeld && held != wanted:
		e.Operation, e.Old = Replace, held
		return e, true
	}
	return e, false
}

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
	// Element has the new data, or for Delete the old.
	Element
	// Old is the data before a Replace.
	Old string

	order int
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
}

// Text is the plan in words, one edit a line.
func (p Plan) Text(family model.Family) string {
	s := NewSchema(family)
	var b strings.Builder
	for _, e := range p.Edits {
		verb := [...]string{"add", "delete", "replace"}[e.Operation]
		b.WriteString(verb + " " + e.Set + " { " + s.ElementText(e.Element) + " }\n")
	}
	return b.String()
}

// loadOrder ranks the sets: what is led to first.
var loadOrder = map[string]int{
	Endpoints: 1, Classes: 2, Hairpin: 3, ExternalFrontends: 4, ClusterFrontends: 5,
	NoEndpoints: 6, Frontends: 7, NodePorts: 8, NodeAddresses: 9,
}

func (e Edit) rank() int {
	switch {
	case e.Set == LocalPods && e.Operation == Delete:
		return -2 // ranges must not overlap: the old one goes first, in the same transaction
	case e.Set == LocalPods:
		return -1
	case e.Operation == Delete:
		return 100 - loadOrder[e.Set]
	}
	return loadOrder[e.Set]
}

func newPlan(edits []Edit) Plan {
	for i := range edits {
		edits[i].order = edits[i].rank()
	}
	slices.SortFunc(edits, func(a, b Edit) int {
		if c := a.order - b.order; c != 0 {
			return c
		}
		return a.Element.Compare(b.Element)
	})
	p := Plan{Edits: edits}
	p.Appeared = appeared(edits)
	return p
}

// appeared reads the new frontends off the sets that hold every frontend,
// with endpoints or without.
func appeared(edits []Edit) []Frontend {
	var list []Frontend
	gone := map[string]bool{} // one that only moved between the two sets is not new
	for _, e := range edits {
		if e.Operation == Delete && (e.Set == ExternalFrontends || e.Set == ClusterFrontends) {
			gone[e.Key] = true
		}
	}
	for _, e := range edits {
		if e.Operation == Add && (e.Set == ExternalFrontends || e.Set == ClusterFrontends) && !gone[e.Key] {
			if f, ok := readFrontendKey(e.Key); ok {
				list = append(list, f)
			}
		}
	}
	return list
}

// disappeared is the reverse of appeared.
func disappeared(edits []Edit) []Frontend {
	reversed := make([]Edit, 0, len(edits))
	for _, e := range edits {
		switch e.Operation {
		case Add:
			e.Operation = Delete
		case Delete:
			e.Operation = Add
		}
		reversed = append(reversed, e)
	}
	return appeared(reversed)
}

// restored are the frontends, beyond those that appeared, whose way to their
// endpoints a foreign hand had removed: their packets went through meanwhile.
func restored(edits []Edit, appeared []Frontend) []Frontend {
	var list []Frontend
	for _, e := range edits {
		if e.Set != Frontends || e.Operation != Add {
			continue
		}
		if f, ok := readFrontendKey(e.Key); ok {
			list = append(list, f)
		}
	}
	known := make(map[Frontend]bool, len(appeared))
	for _, f := range appeared {
		known[f] = true
	}
	return slices.DeleteFunc(list, func(f Frontend) bool { return known[f] })
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

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

package why

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// gap is something that could not be read, and what is not known therefore.
type gap struct {
	what    string
	why     string
	follows string
}

// gaps collects them from readings side by side.
type gaps struct {
	mu  sync.Mutex
	all []gap
	// unseen is for the examination: kinds that a check says unknown without.
	unseen map[diagnosis.Kind]string
}

// add notes one, once.
func (g *gaps) add(found gap) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.ContainsFunc(g.all, func(other gap) bool { return other.what == found.what }) {
		g.all = append(g.all, found)
	}
}

// addKind notes one that checks need, with the reason as they are to say it.
func (g *gaps) addKind(kind diagnosis.Kind, found gap, reason string) {
	g.add(found)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.unseen == nil {
		g.unseen = map[diagnosis.Kind]string{}
	}
	if _, told := g.unseen[kind]; !told {
		g.unseen[kind] = reason
	}
}

// firstToTell are what a Service depends on most; the rest follows by name.
var firstToTell = []string{
	string(diagnosis.Services), string(diagnosis.Pods), string(diagnosis.EndpointSlices), string(diagnosis.Endpoints),
	string(diagnosis.NetworkPolicies), string(diagnosis.Nodes), allServices,
}

// lines has one for all that lacks for the same reason, with the same consequence.
func (g *gaps) lines() []string {
	rank := func(g gap) int {
		if at := slices.Index(firstToTell, g.what); at >= 0 {
			return at
		}
		if g.follows == forAnybody {
			return -1 // it is another question that is answered
		}
		return len(firstToTell)
	}
	slices.SortFunc(g.all, func(a, b gap) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.what, b.what))
	})
	var lines []string
	told := map[gap]bool{}
	for _, first := range g.all {
		if told[first] {
			continue
		}
		var names []string
		for _, other := range g.all {
			if other.why == first.why && other.follows == first.follows {
				names = append(names, other.what)
				told[other] = true
			}
		}
		lines = append(lines, diagnosis.Printable(fmt.Sprintf("%s (%s): %s", strings.Join(names, ", "), first.why, first.follows)))
	}
	return lines
}

// forAnybody follows where the client is not known.
const forAnybody = "what is said is for anybody"

const (
	mayNot    = "you may not read them"
	notServed = "the API server does not serve them"
)

// explain says in a few words why something could not be read.
func explain(err error) string {
	switch {
	case apierrors.IsForbidden(err):
		return mayNot
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err):
		return notServed
	}
	return diagnosis.Quote(err.Error()) // of a proxy that may be a whole page
}

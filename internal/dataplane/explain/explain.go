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
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// Explainer answers questions about one World, which is not to change.
type Explainer struct {
	World
	decisions []policy.Decision
	tracer    ruleset.Tracer
}

// New decides and plans everything, as an agent does when it starts.
func New(w World) *Explainer {
	decisions := policy.DecideAll(w.Store, w.Node.Family, w.Place)
	planner := ruleset.Planner{Features: w.Features}
	planner.Sync(w.Node, decisions, nil)
	return &Explainer{w, decisions, ruleset.Tracer{Schema: ruleset.NewSchema(w.Node.Family, w.Features), Elements: planner.Elements()}}
}

// Explain answers q.
func (x *Explainer) Explain(q Question) Result {
	e := &explanation{Explainer: x, Question: q}
	e.Result = Result{Question: q.String(), Node: x.Place.NodeName}
	expected := e.reason()
	e.Outcome, e.Rules = e.walk()
	if !e.agrees(expected) {
		e.Doubt = fmt.Sprintf("the reasons above lead to %s, the rules to %s", expected, e.Outcome)
	}
	e.say("outcome", "%s", e.Outcome)
	return e.Result
}

// explanation is a Result that is being made.
type explanation struct {
	*Explainer
	Question
	Result
	// settled is true where the client's address chooses among the endpoints:
	// the rules then lead to one, and the reasons do not know to which.
	settled bool
}

// agrees says whether the outcome of the rules is the expected one.
func (e *explanation) agrees(expected Outcome) bool {
	got := e.Outcome
	if e.settled && got.End == ToEndpoints {
		return expected.End == got.End && len(got.Targets) == 1 && slices.Contains(expected.Targets, got.Targets[0])
	}
	return expected.End == got.End && slices.Equal(expected.Targets, got.Targets)
}

func (e *explanation) say(about, format string, args ...any) {
	e.Steps = append(e.Steps, Step{about, fmt.Sprintf(format, args...)})
}

// reason follows the packet by what was decided, one question after the other,
// each of which may be the last.
func (e *explanation) reason() Outcome {
	found, ok := e.capture()
	if !ok {
		return e.notCaptured()
	}
	e.Service = found.decision.Name.String()
	e.say("destination", "%s is the %s of Service %s", e.Destination, found.kind, e.Service)
	if !e.admitted(found) {
		return Outcome{End: Dropped}
	}
	scope := e.scope(found)
	e.candidates(found.decision, scope)
	list := found.decision.Cluster
	if scope == policy.LocalScope {
		list = found.decision.Local
	}
	if len(list) == 0 {
		return e.nowhere(found.decision)
	}
	e.schedule(found.decision)
	return e.targets(found, list)
}

// nowhere is how connections end that have no endpoint.
func (e *explanation) nowhere(d *policy.Decision) Outcome {
	switch {
	case len(d.Cluster) == 0:
		e.say("endpoints", "no endpoint of the Service takes connections, so the client is refused at once")
		return Outcome{End: Refused}
	case e.World.Node.RejectWithoutLocal:
		e.say("endpoints", "none is on this node, others are elsewhere; this node is configured to refuse then")
		return Outcome{End: Refused}
	}
	e.say("endpoints", "none is on this node, others are elsewhere, so the packet is dropped: who sends it here was to ask the health check first")
	return Outcome{End: Dropped}
}

// schedule says how one of several is chosen. With affinity even Maglev draws,
// since a client is remembered from then on.
func (e *explanation) schedule(d *policy.Decision) {
	e.settled = d.Scheduler == model.Maglev && d.Affinity == 0
	switch {
	case e.settled:
		e.say("scheduler", "one of %d is chosen by the client's address, the same on each node with the same endpoints", e.count())
	case d.Scheduler == model.Weighted:
		e.say("scheduler", "one of %d is chosen at random, in proportion to their weights", e.count())
	default:
		e.say("scheduler", "one of %d is chosen at random", e.count())
	}
	if d.Affinity == 0 {
		return
	}
	of := "this port"
	if d.AffinityScope == model.PerService {
		of = "all ports of the Service"
	}
	e.say("affinity", "a client stays with its endpoint behind %s until it has opened no connection for %s", of, d.Affinity)
}

func (e *explanation) count() int {
	n := 0
	for i := range e.Endpoints {
		if e.Endpoints[i].Chosen {
			n++
		}
	}
	return n
}

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

package allocator

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// PlanRequest is one create or update of a Service.
type PlanRequest struct {
	Old    *corev1.Service // nil on create
	New    *corev1.Service
	Mode   Mode
	DryRun bool // answer with the numbers that would be given, and keep nothing
	Now    time.Time
	// NamespaceLabels are those of the Service's namespace, which say which pools
	// it has.
	NamespaceLabels labels.Set
	// Avoid are numbers not to be chosen: the API server has just said that it
	// would not give them.
	Avoid []Number
	// Crowded says that the claims in the way have been looked into.
	Crowded bool
}

// Plan is what to do about the numbers of one Service.
type Plan struct {
	// Assignments are numbers claimed in the index: automatic ones, which are to
	// be set, and explicit ones.
	Assignments []Assignment
	// ClusterIPs is all of spec.clusterIPs where one of them is assigned.
	ClusterIPs []string
	// Refusals are reasons to deny the request; then nothing is assigned.
	Refusals []Refusal
	// Doubtful are numbers that the API server may have given to somebody else.
	Doubtful []Doubt
	// Spares are, for each number that the Service lacks, the claims that are all
	// that keeps it: then nothing is assigned either.
	Spares [][]Spare
	// Exists says that a create names a Service that is there already, Collides
	// that it asks for a number which that Service or another holds (A22).
	Exists, Collides bool
}

// Assignment is a number for a field.
type Assignment struct {
	Field  Field
	Number Number
	// Explicit says that the field has it already: it is only claimed.
	Explicit bool
	// Reserved says that it was reserved for the Service, so that whatever holds
	// it against the server has to let go of it.
	Reserved bool
	// Placed says that a placeholder of ours holds the reserved port just now.
	Placed bool
	// Reused says that an earlier attempt of the same Service has claimed it.
	Reused bool
}

// Refusal is why a demand can not be met: exactly one of Holders, Reserved,
// Range, Full and Manual.
type Refusal struct {
	Field    Field
	Number   Number
	Holders  []Holder     // who has it, oldest first
	Reserved *Reservation // whom it is kept for instead
	Free     string       // "free: ..." beside Holders and Reserved
	Range    string       // where the number should lie
	Full     string       // the ranges or pools without a free number
	Manual   []string     // the pools of the Service, none of which gives by itself
	Pools    []string     // the names of the pools in Full and Manual
}

// Plan decides the numbers of one Service: explicit requests first, so that an
// automatic choice never takes what the same Service asks for by number (A7).
//
// What it assigns is claimed for the Service in the same step, so that two
// requests never get one number; the caller takes back with Unclaim what it does
// not make an object for.
func (s *Services) Plan(r PlanRequest) Plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.seen[keyOf(r.New)]; known && r.Old == nil && r.New.Name != "" {
		return s.planRepeated(r)
	}
	p := s.newPlanner(r)
	defer p.giveBackKept()
	p.avoid()
	p.explicit()
	p.reserve()
	p.automatic()
	waits := len(p.plan.Spares) > 0
	if len(p.plan.Refusals) > 0 || waits || r.DryRun {
		p.tx.Revert()
	} else {
		p.tx.Commit()
		s.claimAll(p.plan.Assignments, r)
	}
	if len(p.plan.Refusals) > 0 || waits {
		p.plan.Assignments = nil
	}
	p.doubt()
	p.plan.ClusterIPs = allClusterIPs(CarryOver(r.Old, r.New).Spec.ClusterIPs, p.plan.Assignments)
	return p.plan
}

func (s *Services) newPlanner(r PlanRequest) planner {
	return planner{
		index: s, request: r, self: keyOf(r.New), demands: demandsOf(r.Old, r.New, s.families), sources: map[corev1.IPFamily]source{},
	}
}

// allClusterIPs puts the assigned addresses beside those that are there. Where
// none could be assigned at the first place, the list ends before the second.
func allClusterIPs(ips []string, assignments []Assignment) []string {
	assigned := false
	for _, a := range assignments {
		if a.Field.Kind == ClusterIP && a.Field.Indexes[0] == len(ips) {
			ips = append(ips, a.Number.String())
			assigned = true
		}
	}
	if !assigned {
		return nil
	}
	return ips
}

// planRepeated leaves a create of what exists to the server, but says if the
// server would complain about a number instead of the name.
func (s *Services) planRepeated(r PlanRequest) Plan {
	plan := Plan{Exists: true}
	for _, d := range demandsOf(nil, r.New, s.families) {
		if d.automatic() {
			continue
		}
		reservation, reserved := s.reservations[d.number]
		if len(s.holders[d.number]) > 0 || reserved && !reservation.For(keyOf(r.New)) {
			plan.Collides = true
		}
	}
	return plan
}

// claimAll claims what nobody has claimed: an explicit number may be another
// request's already, which the caller finds out when it makes the claim.
func (s *Services) claimAll(assignments []Assignment, r PlanRequest) {
	for _, a := range assignments {
		if _, claimed := s.claims[a.Number]; !claimed {
			s.claims[a.Number] = Claim{Number: a.Number, Service: keyOf(r.New), Created: r.Now}
			s.ranges.mark(a.Number, true)
		}
	}
}

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
)

// PlanRequest is one create or update of a Service.
type PlanRequest struct {
	Old    *corev1.Service // nil on create
	New    *corev1.Service
	Mode   Mode
	DryRun bool // answer with the numbers that would be given, and keep nothing
	Now    time.Time
}

// Plan is what to do about the numbers of one Service.
type Plan struct {
	// Assignments are automatic numbers to be set, claimed in the index.
	Assignments []Assignment
	// ClusterIPs is all of spec.clusterIPs where one of them is assigned.
	ClusterIPs []string
	// Refusals are reasons to deny the request; then nothing is assigned.
	Refusals []Refusal
	// Exists says that a create names a Service that is there already, Collides
	// that it asks for a number which that Service or another holds (A22).
	Exists, Collides bool
}

// Assignment sets a number in a field. Reused says that an earlier attempt of
// the same Service has claimed it already.
type Assignment struct {
	Field  Field
	Number Number
	Reused bool
}

// Refusal is why a demand can not be met: exactly one of Holders, Range and Full.
type Refusal struct {
	Field   Field
	Number  Number
	Holders []Holder // who has it, oldest first
	Free    string   // "free: ..." beside Holders
	Range   string   // where the number should lie
	Full    string   // the ranges without a free number
}

// Plan decides the numbers of one Service: explicit requests first, so that an
// automatic choice never takes what the same Service asks for by number (A7).
//
// What it assigns is claimed for the Service in the same step, so that two
// requests never get one number; the caller gives up a claim with Unclaim.
func (s *Services) Plan(r PlanRequest) Plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.seen[keyOf(r.New)]; known && r.Old == nil && r.New.Name != "" {
		return s.planRepeated(r)
	}
	demands := demandsOf(r.Old, r.New, s.families)
	p := planner{index: s, request: r}
	defer p.giveBackKept()
	p.explicit(demands)
	if fillsFrom(r, demands) {
		p.automatic(demands)
	}
	if len(p.plan.Refusals) > 0 || r.DryRun {
		p.tx.Revert()
	} else {
		p.tx.Commit()
		s.claimAll(p.plan.Assignments, r)
	}
	if len(p.plan.Refusals) > 0 {
		p.plan.Assignments = nil
	}
	p.plan.ClusterIPs = allClusterIPs(carryOver(r.Old, r.New).Spec.ClusterIPs, p.plan.Assignments)
	return p.plan
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
		if !d.automatic() && len(s.holders[d.number]) > 0 {
			plan.Collides = true
		}
	}
	return plan
}

func (s *Services) claimAll(assignments []Assignment, r PlanRequest) {
	for _, a := range assignments {
		if !a.Reused {
			s.claims[a.Number] = Claim{Number: a.Number, Service: keyOf(r.New), Created: r.Now}
		}
	}
}

// fillsFrom: in advisory mode only what the server would get wrong is filled,
// that is dry-run, and automatic ports that the server would draw before it
// looks at an explicit one of the same Service.
func fillsFrom(r PlanRequest, demands []demand) bool {
	if r.Mode == Authoritative || r.DryRun {
		return true
	}
	drawn := false
	for _, d := range demands {
		if d.field.Kind == ClusterIP {
			continue
		}
		if drawn && !d.automatic() {
			return true
		}
		drawn = drawn || d.automatic()
	}
	return false
}

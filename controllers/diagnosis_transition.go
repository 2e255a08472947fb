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

package controllers

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// diagnosisGrace is how long a condition has to be worse before that is written:
// pods start, slices follow and numbers settle within it. That all is well is
// written at once.
const diagnosisGrace = 30 * time.Second

// Some things take longer by nature: a cloud's load balancer, and what will be
// known for sure a minute after the change (see diagnosis.Facts.Now).
const (
	loadBalancerPatience = 4
	unknownPatience      = 3
)

// graceOf is how long this condition has to be found that is not well.
func graceOf(found metav1.Condition, grace time.Duration) time.Duration {
	switch {
	case found.Reason == string(diagnosis.LoadBalancerPending):
		return loadBalancerPatience * grace
	case found.Status == metav1.ConditionUnknown:
		return unknownPatience * grace
	}
	return grace
}

// wellFound tells conditions of which there is nothing to be said.
func wellFound(condition metav1.Condition) bool {
	return slices.Contains([]diagnosis.Reason{diagnosis.EndpointsReady, diagnosis.IsReachable, diagnosis.Allocated, diagnosis.NoConflict, diagnosis.NotNeeded},
		diagnosis.Reason(condition.Reason))
}

// badFound tells conditions that say that something does not work: the type whose
// name is bad news is bad when it is true.
func badFound(condition metav1.Condition) bool {
	if condition.Type == diagnosis.Conflicted {
		return condition.Status == metav1.ConditionTrue
	}
	return condition.Status == metav1.ConditionFalse
}

// transitions is what becomes of the conditions of one Service.
type transitions struct {
	// write are all of our conditions as they are to be; nil if that is how they are.
	write []metav1.Condition
	// changed are those that are new, with what was there before.
	changed []transition
	// since is when each condition that is not written yet began to be different.
	since map[string]time.Time
	// wait is when a grace ends; 0 if none runs.
	wait time.Duration
}

// transition is one condition that changes; before is nil for one that is new.
type transition struct {
	before *metav1.Condition
	after  metav1.Condition
}

// findTransitions compares what was found with the Service's conditions, by status
// and reason: messages count pods, and are those of the last transition. Since is
// that of the last time.
//
//	found                      there was          then
//	the same                   the same           nothing
//	well                       anything           written at once, unless it flaps
//	anything else              something else     written once it has lasted for its grace
//	of a new Service: all four are written together, so that nothing is written of it
//	while it starts, unless something is bad for longer than its grace
func findTransitions(there, found []metav1.Condition, since map[string]time.Time, flapped flaps, now time.Time, grace time.Duration) transitions {
	result := transitions{since: map[string]time.Time{}}
	known, urgent := false, false
	var all []metav1.Condition
	for _, f := range found {
		before := conditionOf(there, f.Type)
		known = known || before != nil
		if before != nil && before.Status == f.Status && before.Reason == f.Reason {
			all = append(all, *before)
			continue
		}
		began, waits := since[f.Type]
		if !waits {
			began = now
		}
		patience := graceOf(f, grace)
		if wellFound(f) {
			patience = flapped.patience(before, grace)
		}
		if left := began.Add(patience).Sub(now); left > 0 {
			result.since[f.Type] = began
			if result.wait == 0 || left < result.wait {
				result.wait = left
			}
			if before != nil {
				all = append(all, *before)
			}
			continue
		}
		f.LastTransitionTime = metav1.NewTime(now)
		if before != nil && before.Status == f.Status {
			f.LastTransitionTime = before.LastTransitionTime
		}
		urgent = urgent || !wellFound(f)
		all = append(all, f)
		result.changed = append(result.changed, transition{before, f})
	}
	if len(result.changed) == 0 || !known && !urgent && len(result.since) > 0 {
		result.changed = nil
		return result
	}
	result.write = all
	return result
}

func conditionOf(conditions []metav1.Condition, conditionType string) *metav1.Condition {
	for i := range conditions {
		if conditions[i].Type == conditionType {
			return &conditions[i]
		}
	}
	return nil
}

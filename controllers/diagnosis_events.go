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

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/diagnosis"
)

// eventOf is what one transition is to be told as.
type eventOf struct{ kind, reason, note string }

// eventsOf are the Events of transitions: a Warning where something has gone bad,
// a Normal one where it is well again. What is only to be said about a Service that
// answers is in its condition alone, and so is that a new Service is well, and what
// could not be found out. That endpoints are missing is not told once more as what
// follows from it, and while they are it is no news that nothing else is in the way.
func eventsOf(changed []transition, written []metav1.Condition) []eventOf {
	endpoints := conditionOf(written, diagnosis.EndpointsAvailable)
	var events []eventOf
	for _, t := range changed {
		e := eventOf{kind: corev1.EventTypeWarning, reason: t.after.Reason, note: boundedNote(t.after.Message)}
		was, is := t.before != nil && badFound(*t.before), badFound(t.after)
		switch {
		case is && toldByAllocation(t.after), !is && !was, !is && toldByAllocation(*t.before):
			continue
		case !is && t.after.Type == diagnosis.Reachable && endpoints != nil && badFound(*endpoints):
			continue
		case !is:
			e.kind, e.reason = corev1.EventTypeNormal, wellReasons[t.after.Type]
		}
		// Endpoints come before what depends on them.
		follows := t.after.Type == diagnosis.Reachable && slices.ContainsFunc(events, func(other eventOf) bool {
			return other.kind == e.kind && (!is || other.reason == e.reason)
		})
		if !follows {
			events = append(events, e)
		}
	}
	return events
}

var wellReasons = map[string]string{
	diagnosis.EndpointsAvailable: string(diagnosis.EndpointsReady), diagnosis.Reachable: string(diagnosis.IsReachable),
	diagnosis.AddressAllocated: string(diagnosis.Allocated), diagnosis.Conflicted: string(diagnosis.NoConflict),
}

// toldByAllocation are reasons of which the allocation controllers write Events
// with words of their own.
func toldByAllocation(condition metav1.Condition) bool {
	switch audit.Kind(condition.Reason) {
	case audit.NumberHeldTwice, audit.NumberOutOfRange, audit.IPAddressMissing, audit.IPAddressWrongReference:
		return true
	}
	return false
}

func (r *DiagnosisReconciler) tell(service *corev1.Service, result transitions) {
	for _, e := range eventsOf(result.changed, result.write) {
		r.Recorder.Eventf(serviceAsOf(keyOf(service), service.UID, service.ResourceVersion), nil, e.kind, e.reason, "Diagnose", "%s", e.note)
	}
}

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

package diagnosis

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The types of the conditions in a Service's status.
const (
	// EndpointsAvailable tells whether there are endpoints for all ports.
	EndpointsAvailable = "EndpointsAvailable"
	// Reachable tells whether connections get to the endpoints.
	Reachable = "Reachable"
	// AddressAllocated tells whether the Service has the addresses and ports of its type.
	AddressAllocated = "AddressAllocated"
	// Conflicted is true if others have an address or port of the Service, too.
	Conflicted = "Conflicted"
)

// maxMessage is how many characters the message of a condition may have.
const maxMessage = 1000

// Conditions are what a report says about the Service's status: each of the four
// types, in a fixed order, without times and generation. There are none of a
// Service that does not exist. Messages count pods, so they change more often
// than status and reason: who writes transitions only compares those two.
//
// A warning leaves a condition True, with the warning's reason and message: the
// Service answers, and something is to be said about it. Only a number that
// is not the Service's makes AddressAllocated False, and only one that others
// have Conflicted True, whether a problem or a warning.
func Conditions(r *Report) []metav1.Condition {
	if step, made := r.Step(CheckService); !made || step.Reason == NotFound || step.State == Unknown {
		return nil
	}
	endpoints := r.condition(EndpointsAvailable, EndpointsReady, CheckSelector, CheckReadiness, CheckPorts, CheckFamilies, CheckSlices)
	reachable := r.condition(Reachable, IsReachable, CheckTraffic, CheckSources, CheckAgents, CheckNetworkPolicies, CheckDNS)
	if endpoints.Status == metav1.ConditionFalse {
		reachable.Status, reachable.Reason, reachable.Message = endpoints.Status, endpoints.Reason, endpoints.Message
	}
	allocated := r.condition(AddressAllocated, Allocated, CheckAddresses)
	if step, _ := r.Step(CheckAddresses); step.State == Warning {
		allocated.Status = metav1.ConditionFalse
	}
	conflicted := r.condition(Conflicted, NoConflict, CheckConflicts)
	switch step, _ := r.Step(CheckConflicts); step.State {
	case Warning, Problem:
		conflicted.Status = metav1.ConditionTrue
	case OK, "":
		conflicted.Status = metav1.ConditionFalse
	}
	return []metav1.Condition{endpoints, reachable, allocated, conflicted}
}

// condition is True unless one of the checks has a problem or could not be made.
func (r *Report) condition(conditionType string, well Reason, checks ...Check) metav1.Condition {
	condition := metav1.Condition{Type: conditionType, Status: metav1.ConditionTrue, Reason: string(well)}
	var made []Step
	for _, check := range checks {
		if step, ok := r.Step(check); ok {
			made = append(made, step)
		}
	}
	if len(made) == 0 {
		condition.Reason, condition.Message = string(NotNeeded), "a Service of its type has none"
		if conditionType == Reachable {
			condition.Reason, condition.Message = string(well), "nothing was seen that keeps connections from it"
		}
		return condition
	}
	worst := worstOf(made)
	if worst.State == OK {
		condition.Message = bounded(made[len(made)-1].Message, maxMessage)
		return condition
	}
	condition.Reason = string(worst.Reason)
	condition.Message = bounded(worst.Message+andThen(worst.Remedy), maxMessage)
	switch worst.State {
	case Problem:
		condition.Status = metav1.ConditionFalse
	case Unknown:
		condition.Status = metav1.ConditionUnknown
	}
	return condition
}

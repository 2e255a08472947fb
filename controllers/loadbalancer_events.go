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
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/balancer"
)

// loadBalancerEvents are those of one change of a status: each address that is
// lost, with the reason, addresses that are gained, and that a Service has begun to
// wait, or does so for another reason.
func loadBalancerEvents(before, after balancer.Sight, lost []balancer.Loss, gained bool) []eventOf {
	var events []eventOf
	for _, loss := range lost {
		kind := corev1.EventTypeWarning
		switch loss.Reason {
		case balancer.LossMoved, balancer.LossFamily, balancer.LossUnserved:
			kind = corev1.EventTypeNormal // as the Service itself asks for
		}
		events = append(events, eventOf{kind, string(loss.Reason), boundedNote(loss.Message)})
	}
	was, is := before.Condition, after.Condition
	switch {
	case is == nil:
	case is.Status == metav1.ConditionTrue && gained:
		events = append(events, eventOf{corev1.EventTypeNormal, is.Reason, boundedNote(is.Message)})
	case is.Status == metav1.ConditionFalse && is.Reason != string(balancer.ReasonClaiming) && (was == nil || was.Reason != is.Reason):
		events = append(events, eventOf{corev1.EventTypeWarning, is.Reason, boundedNote(is.Message)})
	}
	return events
}

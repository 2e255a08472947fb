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
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func report(steps ...Step) *Report {
	return &Report{Service: Name{Namespace: "shop", Name: "web"}, Steps: append([]Step{{Check: CheckService, State: OK}}, steps...)}
}

func TestConditions(t *testing.T) {
	const yes, no, unknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	for name, tc := range map[string]struct {
		report *Report
		want   map[string]string
	}{
		"all well": {
			report(Step{Check: CheckSelector, State: OK}, Step{Check: CheckAddresses, State: OK}, Step{Check: CheckAgents, State: OK}, Step{Check: CheckConflicts, State: OK}),
			map[string]string{EndpointsAvailable: "True EndpointsReady", Reachable: "True Reachable", AddressAllocated: "True Allocated", Conflicted: "False NoConflict"},
		},
		"nothing to say": {
			report(),
			map[string]string{EndpointsAvailable: "True NotNeeded", Reachable: "True Reachable", AddressAllocated: "True NotNeeded", Conflicted: "False NotNeeded"},
		},
		"no endpoints, so nobody is reached": {
			report(Step{Check: CheckSelector, State: Problem, Reason: NoMatchingPods}),
			map[string]string{EndpointsAvailable: "False NoMatchingPods", Reachable: "False NoMatchingPods"},
		},
		"a hint leaves it reachable": {
			report(Step{Check: CheckTraffic, State: Warning, Reason: TrafficPolicyLocalWithoutLocalEndpoints}),
			map[string]string{Reachable: "True TrafficPolicyLocalWithoutLocalEndpoints"},
		},
		"the first of the worst decides": {
			report(Step{Check: CheckReadiness, State: Warning, Reason: PodsNotReady}, Step{Check: CheckPorts, State: Problem, Reason: NamedPortNotFound},
				Step{Check: CheckFamilies, State: Problem, Reason: FamilyMismatch}),
			map[string]string{EndpointsAvailable: "False NamedPortNotFound"},
		},
		"a pending load balancer has no address": {
			report(Step{Check: CheckAddresses, State: Warning, Reason: LoadBalancerPending}),
			map[string]string{AddressAllocated: "False LoadBalancerPending"},
		},
		"a conflict is told whether it hurts yet or not": {
			report(Step{Check: CheckConflicts, State: Warning, Reason: "NumberHeldTwice"}),
			map[string]string{Conflicted: "True NumberHeldTwice"},
		},
		"what could not be seen": {
			report(Step{Check: CheckConflicts, State: Unknown, Reason: NotSeen}, Step{Check: CheckSelector, State: Unknown, Reason: NotSeen}),
			map[string]string{Conflicted: "Unknown NotSeen", EndpointsAvailable: "Unknown NotSeen"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Conditions(tc.report)
			if len(got) != 4 {
				t.Fatalf("%d conditions, want 4", len(got))
			}
			for _, condition := range got {
				if condition.Reason == "" || condition.Status != yes && condition.Status != no && condition.Status != unknown {
					t.Errorf("%s has status %q and reason %q", condition.Type, condition.Status, condition.Reason)
				}
				want, asked := tc.want[condition.Type]
				if have := string(condition.Status) + " " + condition.Reason; asked && have != want {
					t.Errorf("%s is %s, want %s", condition.Type, have, want)
				}
			}
		})
	}
}

func TestConditionsAreBounded(t *testing.T) {
	long := strings.Repeat("ü", 3*maxMessage)
	for _, condition := range Conditions(report(Step{Check: CheckSelector, State: Problem, Reason: NoMatchingPods, Message: long, Remedy: long})) {
		if n := len([]rune(condition.Message)); n > maxMessage {
			t.Errorf("the message of %s has %d characters", condition.Type, n)
		}
	}
}

func TestThereAreNoConditionsWithoutService(t *testing.T) {
	if got := Conditions(Examine(&Facts{})); got != nil {
		t.Errorf("conditions %v of a Service that is not there", got)
	}
}

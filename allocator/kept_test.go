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
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// One port of two is reserved for somebody else.
func TestAutomaticPortsAreOursWhileAReservedOneIsOpenToTheServer(t *testing.T) {
	placed := types.NamespacedName{Namespace: "system", Name: "reserved"}
	for name, tc := range map[string]struct {
		placed, claimed, held bool
		full                  bool
		want                  bool // that the port is chosen here, or refused where none is left
	}{
		"held by a placeholder":                   {placed: true, want: false},
		"the same in a full range":                {placed: true, full: true, want: false},
		"claimed, and still held":                 {placed: true, claimed: true, want: true},
		"let go of":                               {claimed: true, want: true},
		"let go of in a full range":               {claimed: true, full: true, want: true},
		"its Service is gone a moment ago":        {want: true},
		"held by its Service":                     {held: true, want: false},
		"held by its Service, in spite of claims": {held: true, claimed: true, want: false},
	} {
		t.Run(name, func(t *testing.T) {
			index := NewServices(PortSpan{30000, 30001})
			owner := types.NamespacedName{Namespace: "own", Name: "web"}
			index.Reserve(Reservation{Number: PortNumber(30000), Object: "30000", Service: owner})
			if tc.placed {
				index.placeholders[PortNumber(30000)] = placed
			}
			if tc.held {
				service := nodePortService("web", 30000)
				service.Namespace = "own"
				index.Observe(stored(service, "owner", 1))
			}
			if tc.claimed {
				index.Claim(Claim{Number: PortNumber(30000), Service: owner, Created: time.Unix(1000, 0), UID: "claim"})
			}
			if tc.full {
				index.Observe(stored(nodePortService("other", 30001), "other", 1))
			}
			plan := index.Plan(PlanRequest{New: svc(nodePort, port("a", 80, 0)), Mode: Advisory, Now: time.Unix(1000, 0)})
			if ours := len(plan.Assignments)+len(plan.Refusals) > 0; ours != tc.want {
				t.Errorf("decided here: %t, want %t: %+v", ours, tc.want, plan)
			}
			for _, assignment := range plan.Assignments {
				if assignment.Number.Port != 30001 {
					t.Errorf("given %v", assignment.Number)
				}
			}
		})
	}
}

func TestWhatIsKeptForAService(t *testing.T) {
	web := nodePortService("web")
	for name, tc := range map[string]struct {
		asked int32
		held  bool
		want  Number
	}{
		"asked for by number":   {30001, false, PortNumber(30001)},
		"asked for any number":  {0, false, PortNumber(30001)},
		"another one asked for": {30000, false, Number{}},
		"somebody else has it":  {0, true, Number{}},
	} {
		t.Run(name, func(t *testing.T) {
			index := NewServices(PortSpan{30000, 30001})
			asking := nodePortService("web", tc.asked)
			index.Reserve(Reservation{Number: PortNumber(30001), Object: "30001", Service: keyOf(web)})
			if tc.held {
				index.Observe(stored(nodePortService("thief", 30001), "thief", 1))
			}
			before := index.ranges.ports.Used()
			if got, _ := index.KeptFor(PlanRequest{New: asking}); got != tc.want {
				t.Errorf("kept is %v, want %v", got, tc.want)
			}
			if after := index.ranges.ports.Used(); after != before {
				t.Errorf("%d numbers are used, %d were", after, before)
			}
		})
	}
}

func TestTheServerWouldComplainAboutAReservedNumberOfWhatExists(t *testing.T) {
	index := NewServices(PortSpan{30000, 30001})
	index.Observe(stored(nodePortService("web", 30000), "web", 1))
	index.Reserve(Reservation{Number: PortNumber(30001), Object: "30001", Service: types.NamespacedName{Namespace: "own", Name: "web"}})
	if plan := index.Plan(PlanRequest{New: nodePortService("web", 30001)}); !plan.Exists || !plan.Collides {
		t.Errorf("plan is %+v: AlreadyExists is the answer, not that the port is allocated", plan)
	}
}

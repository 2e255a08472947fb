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
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

func TestWhatTheServerMayKnowBetter(t *testing.T) {
	had := stored(svc(nodePort, ips("10.0.0.5"), families(v4), single, port("a", 80, 30001), port("b", 81, 30002)), "u1", 1)
	balanced := stored(svc(loadBalancer, ips("10.0.0.5"), families(v4), single, local(30007), port("a", 80, 30001)), "u1", 1)
	for name, tc := range map[string]struct {
		request PlanRequest
		taken   int // of the 20 ports from 30000 on, from the end
		want    string
	}{
		"a port asked for":                      {PlanRequest{New: svc(nodePort, port("a", 80, 30007))}, 0, "[{30007 false}]"},
		"the same for two protocols, once":      {PlanRequest{New: svc(nodePort, port("a", 80, 30007), port("b", 81, 30007))}, 0, "[{30007 false}]"},
		"not one that the Service has":          {PlanRequest{Old: had, New: svc(nodePort, port("a", 80, 30002), port("b", 81, 30007))}, 0, "[{30007 false}]"},
		"not the port of its own health check":  {PlanRequest{Old: balanced, New: svc(loadBalancer, local(30007), port("a", 80, 30007))}, 0, "[]"},
		"not one that is handed over":           {PlanRequest{New: svc(nodePort, port("a", 80, 30003))}, 0, "[]"},
		"not one chosen where there are others": {PlanRequest{New: svc(nodePort, port("a", 80, 0)), Mode: Authoritative}, 15, "[]"},
		"one chosen of the last":                {PlanRequest{New: svc(nodePort, port("a", 80, 0)), Mode: Authoritative}, 18, "[{30000 true}]"},
		"one chosen of the last two":            {PlanRequest{New: svc(nodePort, port("a", 80, 0)), Mode: Authoritative}, 17, "[{30000 true}]"},
		"not one that the server chooses":       {PlanRequest{New: svc(nodePort, port("a", 80, 0))}, 18, "[]"},
		"not an address":                        {PlanRequest{New: svc(ips("10.0.0.7"))}, 18, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			index := NewServices(PortSpan{30000, 30019})
			reservation := Reservation{Number: PortNumber(30003), Object: "30003"}
			if len(tc.request.New.Spec.Ports) > 0 && tc.request.New.Spec.Ports[0].NodePort == 30003 {
				reservation.Service = keyOf(tc.request.New)
			}
			index.Reserve(reservation)
			index.placeholders[reservation.Number] = types.NamespacedName{Namespace: "system", Name: "reserved"}
			for port := int32(30019); port > 30019-int32(tc.taken); port-- {
				if port != 30003 {
					index.Observe(stored(nodePortService(fmt.Sprint("s", port), port), "u", 1))
				}
			}
			if tc.taken == 18 { // 30000 is left of 30000 and 30001
				tc.request.Avoid = []Number{PortNumber(30001)}
			}
			plan := index.Plan(tc.request)
			if tc.taken == 17 && len(plan.Doubtful) == 1 { // whichever it was
				plan.Doubtful[0].Number = PortNumber(30000)
			}
			if diff := cmp.Diff(tc.want, fmt.Sprint(plan.Doubtful)); diff != "" {
				t.Errorf("in doubt (-want +got):\n%s\n%+v", diff, plan)
			}
			if len(tc.request.Avoid) > 0 && index.ranges.ports.Has(30001) {
				t.Error("a port that was only to be avoided stays used")
			}
		})
	}
}

// A pool may have few free ports while the range has many.
func TestPortsOfANearlyFullPoolAreInDoubt(t *testing.T) {
	for name, tc := range map[string]struct {
		team  string
		taken int32 // of the 20 ports of the pool
		want  int   // ports in doubt
	}{
		"two free, of which one is chosen":    {"red", 18, 1},
		"two free of two":                     {"small", 0, 1},
		"many free":                           {"red", 10, 0},
		"of others, who choose from the rest": {"blue", 18, 0},
	} {
		t.Run(name, func(t *testing.T) {
			index := NewServices(PortSpan{30000, 30999})
			index.SetPools([]PortPool{portPool("red", "red", 0, 1, PortSpan{30100, 30104}, PortSpan{30200, 30214}), portPool("small", "small", 0, 1, PortSpan{30300, 30301})}, nil)
			for i := range tc.taken {
				port := 30100 + i
				if i >= 5 {
					port = 30195 + i
				}
				index.Observe(stored(nodePortService(fmt.Sprint("s", port), port), "u", 1))
			}
			plan := inTeam(index, Advisory, tc.team, svc(nodePort, ips("10.0.0.5"), port("a", 80, 0)))
			if len(plan.Doubtful) != tc.want || len(plan.Assignments) != 1 {
				t.Errorf("in doubt %v of %v", plan.Doubtful, plan.Assignments)
			}
		})
	}
}

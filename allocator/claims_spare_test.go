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
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Two ports, which only claims keep.
func TestClaimsInTheWayOfTheLastNumbers(t *testing.T) {
	now := time.Unix(1000, 0)
	claim := func(port int32, namespace, name string, age time.Duration) Claim {
		return Claim{Number: PortNumber(port), Service: types.NamespacedName{Namespace: namespace, Name: name}, Created: now.Add(-age), UID: types.UID(name)}
	}
	for name, tc := range map[string]struct {
		claims  []Claim
		before  func(*Services)
		request PlanRequest
		want    map[int32]time.Duration // until each is due
	}{
		"of the own namespace": {
			claims: []Claim{claim(30000, "default", "a", time.Second), claim(30001, "default", "b", 4*time.Second)},
			want:   map[int32]time.Duration{30000: 2 * time.Second, 30001: -time.Second},
		},
		"of one that has more": {
			claims: []Claim{claim(30000, "red", "a", 0), claim(30001, "default", "b", 0)},
			want:   map[int32]time.Duration{30000: 3 * time.Second, 30001: 3 * time.Second},
		},
		"of one that has all": {
			claims: []Claim{claim(30000, "red", "a", 0), claim(30001, "red", "b", 0)},
			want:   map[int32]time.Duration{30000: 500 * time.Millisecond, 30001: 500 * time.Millisecond},
		},
		"one is being made": {
			claims: []Claim{{Number: PortNumber(30000), Service: types.NamespacedName{Namespace: "red", Name: "a"}, Created: now}, claim(30001, "red", "b", 0)},
			want:   map[int32]time.Duration{30000: 3 * time.Second, 30001: 500 * time.Millisecond},
		},
		"one was begun long ago": {
			claims: []Claim{{Number: PortNumber(30000), Service: types.NamespacedName{Namespace: "red", Name: "a"}, Created: now.Add(-time.Hour)}},
			before: func(s *Services) { s.Observe(stored(nodePortService("s", 30001), "u", 1)) },
			want:   map[int32]time.Duration{30000: 3 * time.Second},
		},
		"one is of a reserved number": {
			claims: []Claim{claim(30000, "red", "a", 0), claim(30001, "red", "b", 0)},
			before: func(s *Services) { s.Reserve(Reservation{Number: PortNumber(30000)}) },
			want:   map[int32]time.Duration{30001: 500 * time.Millisecond},
		},
		"the server has said that it does not give one": {
			claims:  []Claim{claim(30000, "red", "a", 0), claim(30001, "red", "b", 0)},
			request: PlanRequest{Avoid: []Number{PortNumber(30001)}},
			want:    map[int32]time.Duration{30000: 500 * time.Millisecond},
		},
		"they have been looked into": {
			claims:  []Claim{claim(30000, "red", "a", 0), claim(30001, "red", "b", 0)},
			request: PlanRequest{Crowded: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			index := NewServices(PortSpan{30000, 30001})
			for _, c := range tc.claims {
				index.Claim(c)
			}
			if tc.before != nil {
				tc.before(index)
			}
			request := tc.request
			request.New, request.Mode, request.Now = svc(nodePort, port("a", 80, 0)), Authoritative, now
			plan := index.Plan(request)
			got := map[int32]time.Duration{}
			for _, spare := range slices.Concat(plan.Spares...) {
				got[spare.Claim.Number.Port] = spare.Due.Sub(now)
			}
			if tc.want == nil {
				tc.want = map[int32]time.Duration{}
			}
			if diff := gocmp.Diff(tc.want, got); diff != "" {
				t.Errorf("due (-want +got):\n%s", diff)
			}
			if unmet := min(1, len(tc.want)); len(plan.Spares) != unmet || plan.Assignments != nil {
				t.Errorf("%d unmet, want %d; assigned %v", len(plan.Spares), unmet, plan.Assignments)
			}
			request.DryRun = true
			if dry := index.Plan(request); len(dry.Assignments) > 0 && tc.want[dry.Assignments[0].Number.Port] > 0 {
				t.Errorf("a dry-run is told %v", dry.Assignments)
			}
		})
	}
}

func TestAClaimEndsWithTheServiceThatHeldItsNumber(t *testing.T) {
	for name, tc := range map[string]struct {
		claimant string
		late     bool // the claim is heard of after the Service
		ended    bool
	}{
		"its own":                        {"default/web", false, true},
		"its own, heard of late":         {"default/web", true, true},
		"one whose name was generated":   {"default/", false, true},
		"another":                        {"default/db", false, false},
		"one of another namespace":       {"red/", false, false},
		"one that the claim is for none": {"/", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			index := NewServices(PortSpan{30000, 30001})
			var service types.NamespacedName
			for i := range tc.claimant {
				if tc.claimant[i] == '/' {
					service = types.NamespacedName{Namespace: tc.claimant[:i], Name: tc.claimant[i+1:]}
				}
			}
			number := PortNumber(30000)
			claim := Claim{Number: number, Service: service, Created: time.Unix(1000, 0), UID: "claim"}
			web := stored(svc(nodePort, port("a", 80, 30000)), "u1", 1)
			web.Spec.ClusterIP = corev1.ClusterIPNone
			if !tc.late {
				index.Claim(claim)
			}
			index.Observe(web)
			if tc.late {
				index.Claim(claim)
			}
			if index.Ended(number, "claim") {
				t.Error("ended while the Service holds the number")
			}
			index.Forget(keyOf(web), "u1")
			index.Claim(claim) // a resync
			if got := index.Ended(number, "claim"); got != tc.ended {
				t.Errorf("ended is %v, want %v", got, tc.ended)
			}
			if index.Ended(number, "other") {
				t.Error("another claim of the number ended")
			}
		})
	}
}

// A port that the server did not give stays claimed, and is not used again before
// the server has been asked.
func TestANumberOfAnEarlierAttemptIsInDoubt(t *testing.T) {
	index := newIndex(t, "10.0.0.0/24")
	web := svc(nodePort, port("a", 80, 0))
	first := index.Plan(PlanRequest{New: web, Mode: Authoritative, Now: time.Unix(1000, 0)})
	again := index.Plan(PlanRequest{New: web, Mode: Authoritative, Now: time.Unix(1005, 0)})
	if len(first.Doubtful) != 0 || len(again.Doubtful) != len(again.Assignments) {
		t.Errorf("in doubt are %v at first and %v of %v after that", first.Doubtful, again.Doubtful, again.Assignments)
	}
}

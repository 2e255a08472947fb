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
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/diagnosis"
)

var judgedAt = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// foundAs are the four conditions: "True EndpointsReady", and so on. One that is
// empty is not there.
func foundAs(endpoints, reachable, allocated, conflicted string) []metav1.Condition {
	var list []metav1.Condition
	for i, text := range []string{endpoints, reachable, allocated, conflicted} {
		if status, reason, ok := strings.Cut(text, " "); ok {
			list = append(list, metav1.Condition{
				Type:   []string{diagnosis.EndpointsAvailable, diagnosis.Reachable, diagnosis.AddressAllocated, diagnosis.Conflicted}[i],
				Status: metav1.ConditionStatus(status), Reason: reason, Message: "found", LastTransitionTime: metav1.NewTime(judgedAt.Add(-time.Hour)),
			})
		}
	}
	return list
}

const (
	endpointsReady = "True EndpointsReady"
	reaches        = "True Reachable"
	hasAddress     = "True Allocated"
	noConflict     = "False NoConflict"
)

func allWell() []metav1.Condition { return foundAs(endpointsReady, reaches, hasAddress, noConflict) }

func TestTransitions(t *testing.T) {
	const grace = 30 * time.Second
	for name, tc := range map[string]struct {
		there, found []metav1.Condition
		since        map[string]time.Duration // ago
		written      []string                 // types that change
		all          int                      // conditions that are written
		wait         time.Duration
	}{
		"nothing changes": {there: allWell(), found: allWell()},
		"a new Service that is well": {
			found: allWell(), written: []string{diagnosis.EndpointsAvailable, diagnosis.Reachable, diagnosis.AddressAllocated, diagnosis.Conflicted}, all: 4,
		},
		"a new Service that starts": {
			found: foundAs("False PodsNotReady", "False PodsNotReady", hasAddress, noConflict), wait: grace,
		},
		"a new Service that has not started": {
			found:   foundAs("False PodsNotReady", "False PodsNotReady", hasAddress, noConflict),
			since:   map[string]time.Duration{diagnosis.EndpointsAvailable: grace, diagnosis.Reachable: grace},
			written: []string{diagnosis.EndpointsAvailable, diagnosis.Reachable, diagnosis.AddressAllocated, diagnosis.Conflicted}, all: 4,
		},
		"a new Service whose load balancer takes long, of which something else is bad": {
			found:   foundAs("False PodsNotReady", "False PodsNotReady", "False LoadBalancerPending", noConflict),
			since:   map[string]time.Duration{diagnosis.EndpointsAvailable: grace, diagnosis.Reachable: grace, diagnosis.AddressAllocated: grace},
			written: []string{diagnosis.EndpointsAvailable, diagnosis.Reachable, diagnosis.Conflicted}, all: 3, wait: 3 * grace,
		},
		"worse for a moment": {
			there: allWell(), found: foundAs("False PodsNotReady", "False PodsNotReady", hasAddress, noConflict), wait: grace,
		},
		"worse for a while": {
			there: allWell(), found: foundAs("False PodsNotReady", "False PodsNotReady", hasAddress, noConflict),
			since: map[string]time.Duration{diagnosis.EndpointsAvailable: grace - time.Second, diagnosis.Reachable: grace - time.Second}, wait: time.Second,
		},
		"worse for long enough": {
			there: allWell(), found: foundAs("False PodsNotReady", "False PodsNotReady", hasAddress, noConflict),
			since:   map[string]time.Duration{diagnosis.EndpointsAvailable: grace, diagnosis.Reachable: grace},
			written: []string{diagnosis.EndpointsAvailable, diagnosis.Reachable}, all: 4,
		},
		"well again": {
			there:   foundAs("False PodsNotReady", "False PodsNotReady", hasAddress, noConflict),
			found:   allWell(),
			written: []string{diagnosis.EndpointsAvailable, diagnosis.Reachable}, all: 4,
		},
		"another reason": {
			there: foundAs("False NoMatchingPods", "False NoMatchingPods", hasAddress, noConflict),
			found: foundAs("False PodsNotReady", "False PodsNotReady", hasAddress, noConflict), wait: grace,
		},
		"a hint": {
			there:   allWell(),
			found:   foundAs(endpointsReady, "True TrafficPolicyLocalWithoutLocalEndpoints", hasAddress, noConflict),
			since:   map[string]time.Duration{diagnosis.Reachable: grace},
			written: []string{diagnosis.Reachable}, all: 4,
		},
		"unknown": {
			there: allWell(), found: foundAs("Unknown NotSeen", reaches, hasAddress, noConflict),
			since: map[string]time.Duration{diagnosis.EndpointsAvailable: grace}, wait: 2 * grace,
		},
		"one of ours is taken away": {
			there: foundAs("", reaches, hasAddress, noConflict), found: allWell(),
			written: []string{diagnosis.EndpointsAvailable}, all: 4,
		},
		"one is well again while another has been bad for a moment": {
			there:   foundAs("False PodsNotReady", "False PodsNotReady", hasAddress, noConflict),
			found:   foundAs(endpointsReady, reaches, hasAddress, "True NumberHeldTwice"),
			written: []string{diagnosis.EndpointsAvailable, diagnosis.Reachable}, all: 4, wait: grace,
		},
	} {
		t.Run(name, func(t *testing.T) {
			since := map[string]time.Time{}
			for kind, ago := range tc.since {
				since[kind] = judgedAt.Add(-ago)
			}
			got := findTransitions(tc.there, tc.found, since, nil, judgedAt, grace)
			var written []string
			for _, c := range got.changed {
				written = append(written, c.after.Type)
			}
			if diff := cmp.Diff(tc.written, written); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(got.write) != tc.all || got.wait != tc.wait {
				t.Errorf("%d conditions are written, want %d; waits %s, want %s", len(got.write), tc.all, got.wait, tc.wait)
			}
		})
	}
}

// A change that comes and goes begins anew each time.
func TestWhatFlapsIsNotWritten(t *testing.T) {
	there, bad := allWell(), foundAs("False PodsNotReady", "False PodsNotReady", hasAddress, noConflict)
	since := map[string]time.Time{}
	for i := range 60 {
		found := allWell()
		if i%10 < 9 {
			found = bad
		}
		got := findTransitions(there, found, since, nil, judgedAt.Add(time.Duration(i)*time.Second), 10*time.Second)
		if since = got.since; got.write != nil {
			t.Fatalf("written after %d s", i)
		}
	}
}

// Reasons that follow one upon the other while a Service is bad do not keep it
// from being told.
func TestTheGraceIsThatOfTheCondition(t *testing.T) {
	since := map[string]time.Time{}
	for i, reason := range []string{"NoMatchingPods", "PodsNotReady", "NoMatchingPods", "SlicesMissing"} {
		got := findTransitions(allWell(), foundAs("False "+reason, "False "+reason, hasAddress, noConflict), since, nil,
			judgedAt.Add(time.Duration(i)*10*time.Second), 30*time.Second)
		since = got.since
		if last := i == 3; last != (got.write != nil) {
			t.Errorf("after %d s it writes %v", 10*i, got.write)
		}
	}
}

// The time of a transition is that of the status (KEP-1623), and what does not
// change stays as it is.
func TestTimesOfTransitions(t *testing.T) {
	there := foundAs("False NoMatchingPods", "False NoMatchingPods", hasAddress, noConflict)
	there[2].Message = "as it was"
	long := map[string]time.Time{diagnosis.EndpointsAvailable: judgedAt.Add(-time.Hour)}
	got := findTransitions(there, foundAs("False PodsNotReady", reaches, hasAddress, noConflict), long, nil, judgedAt, time.Minute)
	times := map[string]bool{}
	for _, c := range got.write {
		times[c.Type] = c.LastTransitionTime.Time.Equal(judgedAt)
	}
	want := map[string]bool{diagnosis.EndpointsAvailable: false, diagnosis.Reachable: true, diagnosis.AddressAllocated: false, diagnosis.Conflicted: false}
	if diff := cmp.Diff(want, times); diff != "" {
		t.Errorf("changed now (-want +got):\n%s", diff)
	}
	if got.write[2].Message != "as it was" {
		t.Errorf("the message of what did not change is %q", got.write[2].Message)
	}
}

func TestEventsOfTransitions(t *testing.T) {
	for name, tc := range map[string]struct {
		there, found []metav1.Condition
		want         []string
	}{
		"a new Service that is well": {nil, allWell(), nil},
		"a new Service that is not":  {nil, foundAs("False NoMatchingPods", "False NoMatchingPods", hasAddress, noConflict), []string{"Warning NoMatchingPods"}},
		"endpoints go":               {allWell(), foundAs("False PodsNotReady", "False PodsNotReady", hasAddress, noConflict), []string{"Warning PodsNotReady"}},
		"endpoints come":             {foundAs("False PodsNotReady", "False PodsNotReady", hasAddress, noConflict), allWell(), []string{"Normal EndpointsReady"}},
		"endpoints come, and nobody is let in": {
			foundAs("False PodsNotReady", "False PodsNotReady", hasAddress, noConflict), foundAs(endpointsReady, "False NetworkPolicyDenies", hasAddress, noConflict),
			[]string{"Normal EndpointsReady", "Warning NetworkPolicyDenies"},
		},
		"it is reached again":    {foundAs(endpointsReady, "False NetworkPolicyDenies", hasAddress, noConflict), allWell(), []string{"Normal Reachable"}},
		"a hint comes":           {allWell(), foundAs(endpointsReady, "True TrafficPolicyLocalWithoutLocalEndpoints", hasAddress, noConflict), nil},
		"and goes":               {foundAs(endpointsReady, "True TrafficPolicyLocalWithoutLocalEndpoints", hasAddress, noConflict), allWell(), nil},
		"another reason":         {foundAs("False NoMatchingPods", "False NoMatchingPods", hasAddress, noConflict), foundAs("False PodsNotReady", "False PodsNotReady", hasAddress, noConflict), []string{"Warning PodsNotReady"}},
		"what could not be seen": {allWell(), foundAs("Unknown NotSeen", reaches, hasAddress, noConflict), nil},
		"a frontend held twice":  {allWell(), foundAs(endpointsReady, reaches, hasAddress, "True FrontendHeldTwice"), []string{"Warning FrontendHeldTwice"}},
		"and no more":            {foundAs(endpointsReady, reaches, hasAddress, "True FrontendHeldTwice"), allWell(), []string{"Normal NoConflict"}},
		"a number held twice, which allocation tells": {allWell(), foundAs(endpointsReady, reaches, hasAddress, "True NumberHeldTwice"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			result := findTransitions(tc.there, tc.found, nil, nil, judgedAt, 0)
			var got []string
			for _, e := range eventsOf(result.changed, result.write) {
				got = append(got, e.kind+" "+e.reason)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNothingIsReachedBeforeItIsThere(t *testing.T) {
	before := foundAs("False NodeUnknown", "False NodeUnknown", hasAddress, noConflict)[1]
	reached := []transition{{before: &before, after: allWell()[1]}}
	if got := eventsOf(reached, foundAs("False NodeUnknown", reaches, hasAddress, noConflict)); len(got) > 0 {
		t.Errorf("%v are told while there are no endpoints", got)
	}
	if got := eventsOf(reached, allWell()); len(got) != 1 {
		t.Errorf("%v are told, want one Event", got)
	}
}

func TestNotesOfEventsAreBounded(t *testing.T) {
	for _, text := range []string{strings.Repeat("x", 5000), strings.Repeat("ü", 900), "short"} {
		got := boundedNote(text)
		if len(got) > longestNote || !strings.HasPrefix(text, strings.TrimSuffix(got, "...")) || slices.Contains([]rune(got), '\uFFFD') {
			t.Errorf("%d bytes of %q become %d: %q", len(text), text[:5], len(got), got[len(got)-5:])
		}
	}
}

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
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/placeholder"
)

var (
	reservationTime = time.Unix(10_000, 0)
	teamWeb         = types.NamespacedName{Namespace: "team", Name: "web"}
	teamOther       = types.NamespacedName{Namespace: "team", Name: "other"}
)

// reservedPort are the facts of port 30080 reserved for team/web by hand, an hour
// ago; team/web was never seen.
func reservedPort(change ...func(*reservationFacts)) *reservationFacts {
	facts := &reservationFacts{
		Reservation: allocator.Reservation{
			Number: allocator.PortNumber(30080), Object: "30080", Service: teamWeb, Created: reservationTime.Add(-time.Hour),
		},
		retain: v1alpha1.RetainDelete, generation: 3, now: reservationTime,
	}
	for _, c := range change {
		c(facts)
	}
	return facts
}

func heldBy(keys ...types.NamespacedName) func(*reservationFacts) {
	return func(f *reservationFacts) {
		for _, key := range keys {
			f.holders = append(f.holders, allocator.Holder{Service: key, UID: types.UID(key.Name)})
		}
	}
}

func serviceLives(uid types.UID, age time.Duration) func(*reservationFacts) {
	return func(f *reservationFacts) { f.service = &serviceFact{uid: uid, created: f.now.Add(-age)} }
}

func wasBound(uid types.UID) func(*reservationFacts) {
	return func(f *reservationFacts) { f.before.Service, f.before.ServiceUID = f.reference(), uid }
}

func released(ago time.Duration) func(*reservationFacts) {
	return func(f *reservationFacts) {
		f.before.Service, f.before.ReleasedAt = f.reference(), new(metav1.NewTime(f.now.Add(-ago)))
	}
}

func retains(value v1alpha1.Retain) func(*reservationFacts) {
	return func(f *reservationFacts) { f.retain = value }
}

// givenTo is what an edit of spec.serviceRef does: the status is of the time before.
func givenTo(key types.NamespacedName) func(*reservationFacts) {
	return func(f *reservationFacts) { f.Service, f.service = key, nil }
}

func left(f *reservationFacts) { f.unguarded = unguarded{notHeldNoWebhook, "the webhook is off"} }

func byAnnotation(f *reservationFacts) { f.retained = true }

func TestVerdictsFollowFromWhatExists(t *testing.T) {
	for name, tc := range map[string]struct {
		facts    *reservationFacts
		want     reservationVerdict
		released time.Duration // how long ago; -1: not
	}{
		"nobody has it, and its Service never was": {reservedPort(), reservationFree, -1},
		"its Service lives without it":             {reservedPort(serviceLives("web", time.Minute)), reservationFree, -1},
		"its Service has it":                       {reservedPort(serviceLives("web", time.Minute), heldBy(teamWeb)), reservationBound, -1},
		"its Service has it with another":          {reservedPort(serviceLives("web", time.Minute), heldBy(teamOther, teamWeb)), reservationBound, -1},
		"another has it":                           {reservedPort(heldBy(teamOther)), reservationTaken, -1},
		"reserved for nobody, held":                {reservedPort(heldBy(teamWeb), func(f *reservationFacts) { f.Service = types.NamespacedName{} }), reservationTaken, -1},
		"in no range":                              {reservedPort(func(f *reservationFacts) { f.outside = "far away" }), reservationOutside, -1},
		"in no range, but its Service has it": {
			reservedPort(func(f *reservationFacts) { f.outside = "far away" }, serviceLives("web", time.Minute), heldBy(teamWeb)), reservationBound, -1,
		},
		"its Service gave it up and lives":            {reservedPort(wasBound("web"), serviceLives("web", time.Hour)), reservationFree, -1},
		"its Service is gone, Delete":                 {reservedPort(wasBound("web")), reservationExpired, 0},
		"its Service is gone, Delete, another has it": {reservedPort(wasBound("web"), heldBy(teamOther)), reservationExpired, 0},
		"its Service is gone, Retain":                 {reservedPort(wasBound("web"), retains("Retain")), reservationFree, 0},
		"gone for long, Retain":                       {reservedPort(wasBound("web"), retains("Retain"), released(1000*time.Hour)), reservationFree, 1000 * time.Hour},
		"gone for less than the time":                 {reservedPort(wasBound("web"), retains("1h"), released(time.Hour-time.Second)), reservationFree, time.Hour - time.Second},
		"gone for the time":                           {reservedPort(wasBound("web"), retains("1h"), released(time.Hour)), reservationExpired, time.Hour},
		"gone for the time, but back with the number": {
			reservedPort(wasBound("web"), retains("1h"), released(time.Hour), serviceLives("web2", time.Second), heldBy(teamWeb)), reservationBound, -1,
		},
		"back without the number, the time runs on": {
			reservedPort(wasBound("web"), retains("1h"), released(time.Minute), serviceLives("web2", time.Second)), reservationFree, time.Minute,
		},
		"made by the annotation, its Service never seen":      {reservedPort(byAnnotation, retains("1h")), reservationFree, 0},
		"made by the annotation, its Service is that old":     {reservedPort(byAnnotation, retains("1h"), serviceLives("web", 2*time.Hour)), reservationFree, -1},
		"made by the annotation, its Service is another":      {reservedPort(byAnnotation, retains("1h"), serviceLives("web", time.Minute)), reservationFree, 0},
		"given to another Service while bound":                {reservedPort(wasBound("web"), serviceLives("web", time.Hour), givenTo(teamOther)), reservationFree, -1},
		"given to another Service that lives, held by it":     {reservedPort(wasBound("web"), givenTo(teamOther), serviceLives("other", time.Hour), heldBy(teamOther)), reservationBound, -1},
		"given to another Service, the first keeps it":        {reservedPort(wasBound("web"), heldBy(teamWeb), givenTo(teamOther)), reservationTaken, -1},
		"given to another Service when its own had long gone": {reservedPort(wasBound("web"), retains("1h"), released(time.Hour), givenTo(teamOther)), reservationFree, -1},
		"given to nobody":                                     {reservedPort(wasBound("web"), givenTo(types.NamespacedName{})), reservationFree, -1},
		"nobody would hand it over":                           {reservedPort(left), reservationUnguarded, -1},
		"nobody would hand it over, its Service has it":       {reservedPort(left, serviceLives("web", time.Hour), heldBy(teamWeb)), reservationBound, -1},
		"a retain that nobody can read keeps the reservation": {reservedPort(wasBound("web"), retains("a while"), released(1000*time.Hour)), reservationFree, 1000 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.facts.verdict(); got != tc.want {
				t.Errorf("verdict %d, want %d", got, tc.want)
			}
			at := tc.facts.releasedAt()
			if (at == nil) != (tc.released < 0) || at != nil && tc.facts.now.Sub(at.Time) != tc.released {
				t.Errorf("released at %v, want %v before %v", at, tc.released, tc.facts.now)
			}
		})
	}
}

func TestTheStatusSaysWhereTheNumberIs(t *testing.T) {
	taken := func(group, resource string) error {
		return &placeholder.TakenError{Number: allocator.PortNumber(30080),
			Parent: &networkingv1.ParentReference{Group: group, Resource: resource, Namespace: "team", Name: "x"}}
	}
	for name, tc := range map[string]struct {
		facts   *reservationFacts
		failed  error
		phase   v1alpha1.ReservationPhase
		held    metav1.ConditionStatus
		reason  string
		message string
	}{
		"bound":       {reservedPort(serviceLives("web", 0), heldBy(teamWeb)), nil, "Bound", "True", "Bound", "Service team/web has it"},
		"conflicted":  {reservedPort(heldBy(teamOther)), nil, "Conflicted", "False", "HeldByAnother", "Service team/other has 30080 and keeps it"},
		"held":        {reservedPort(), nil, "Reserved", "True", "Placeholder", "Service system/reserved-nodeport-30080"},
		"handed over": {reservedPort(), errHandOver, "Pending", "False", "HandOver", "claimed"},
		"out of range by the server": {
			reservedPort(), placeholder.ErrOutOfRange, "Pending", "False", "OutOfRange", "--service-node-port-range",
		},
		"taken by a Service not yet known": {reservedPort(), taken("", "services"), "Pending", "False", "AlreadyAllocated", "services team/x"},
		"taken by something else":          {reservedPort(), taken("gw.example.com", "gateways"), "Conflicted", "False", "HeldByAnother", "gateways.gw.example.com team/x"},
		"taken by nobody known":            {reservedPort(), &placeholder.TakenError{}, "Pending", "False", "AlreadyAllocated", "repair"},
		"no address to hold it with": {
			reservedPort(), fmt.Errorf("%w: all is in pools", placeholder.ErrNoAddress), "Pending", "False", "NoClusterIP", "needs a ClusterIP of its own: all is in pools",
		},
		"left to others": {reservedPort(left), nil, "Pending", "False", "NoWebhook", "the webhook is off"},
		"not written":    {reservedPort(), errors.New("no route"), "Pending", "False", "HoldFailed", "no route"},
	} {
		t.Run(name, func(t *testing.T) {
			status := tc.facts.status(tc.facts.verdict(), "system", tc.failed)
			held := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionHeld)
			if status.Phase != tc.phase || held.Status != tc.held || held.Reason != tc.reason || !strings.Contains(held.Message, tc.message) {
				t.Errorf("%s, %+v", status.Phase, held)
			}
			if status.ObservedGeneration != 3 || held.ObservedGeneration != 3 || !held.LastTransitionTime.Time.Equal(reservationTime) {
				t.Errorf("generation and time of %+v", status)
			}
			tc.facts.before, tc.facts.now = status, tc.facts.now.Add(time.Minute)
			if again := tc.facts.status(tc.facts.verdict(), "system", tc.failed); !meta.IsStatusConditionPresentAndEqual(again.Conditions, held.Type, held.Status) ||
				!again.Conditions[0].LastTransitionTime.Equal(&status.Conditions[0].LastTransitionTime) {
				t.Errorf("the status changed with nothing else: %+v, then %+v", status, again)
			}
		})
	}
}

func TestRetainIsReadOrExplained(t *testing.T) {
	for value, want := range map[v1alpha1.Retain]time.Duration{"": 0, "Delete": 0, "1h30m": 90 * time.Minute, "8760h": 365 * 24 * time.Hour, "10s": 10 * time.Second} {
		if keep, forever, err := parseRetain(value); err != nil || forever || keep != want {
			t.Errorf("%q: %v, %v, %v", value, keep, forever, err)
		}
	}
	if _, forever, err := parseRetain("Retain"); err != nil || !forever {
		t.Errorf("Retain: %v, %v", forever, err)
	}
	for _, value := range []v1alpha1.Retain{"retain", "0s", "-1h", "1.5h", "1d", "24", "forever", "1h ", "99999999999999999999h", "1ms", "8761h", "999999h"} {
		if _, _, err := parseRetain(value); err == nil || !strings.Contains(err.Error(), "use Delete, Retain or a duration") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestAServiceCIDRThatGoesHoldsNothing(t *testing.T) {
	going := metav1.Now()
	cidr := func(change func(*networkingv1.ServiceCIDR)) *networkingv1.ServiceCIDR {
		c := &networkingv1.ServiceCIDR{Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.0.0.0/24", "fd00::/112"}}}
		change(c)
		return c
	}
	for name, tc := range map[string]struct {
		cidr *networkingv1.ServiceCIDR
		addr string
		want bool
	}{
		"in it":         {cidr(func(*networkingv1.ServiceCIDR) {}), "10.0.0.7", true},
		"in the second": {cidr(func(*networkingv1.ServiceCIDR) {}), "fd00::7", true},
		"beside it":     {cidr(func(*networkingv1.ServiceCIDR) {}), "10.0.1.7", false},
		"being deleted": {cidr(func(c *networkingv1.ServiceCIDR) { c.DeletionTimestamp = &going }), "10.0.0.7", false},
		"not ready": {cidr(func(c *networkingv1.ServiceCIDR) {
			c.Status.Conditions = []metav1.Condition{{Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionFalse}}
		}), "10.0.0.7", false},
	} {
		if got := cidrHolds(tc.cidr, netip.MustParseAddr(tc.addr)); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWhatSomebodyWroteIsQuotedInPart(t *testing.T) {
	for text, want := range map[string]string{
		"24": `"24"`, strings.Repeat("x", 40): `"` + strings.Repeat("x", 40) + `"`,
		strings.Repeat("é", 250_000): `"` + strings.Repeat("é", 40) + `"...`,
	} {
		if got := quote(text); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

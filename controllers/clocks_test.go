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
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// The clock of a manager is another than the API server's.
func TestAClaimIsAsOldAsItsManagerHasKnownOfIt(t *testing.T) {
	made := time.Unix(1000, 0) // by the API server
	for name, tc := range map[string]struct {
		offset  time.Duration // of the manager's clock
		atStart bool          // the claim was there before the manager
		want    time.Duration // how long the claim stays, as time goes by
	}{
		"the same clock":                     {0, false, allocator.ClaimLifetime},
		"60 s ahead":                         {time.Minute, false, allocator.ClaimLifetime},
		"60 s behind":                        {-time.Minute, false, allocator.ClaimLifetime},
		"the same clock, found at the start": {0, true, allocator.ClaimLifetime},
		"60 s ahead, found at the start":     {time.Minute, true, 0},
		"60 s behind, found at the start":    {-time.Minute, true, 2 * allocator.ClaimLifetime},
		"half a minute ahead, at the start":  {30 * time.Second, true, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			lease := allocator.ClaimLease("system", allocator.Claim{
				Number: allocator.PortNumber(30000), Service: types.NamespacedName{Namespace: "team", Name: "web"}, Created: made,
			}, "request")
			lease.CreationTimestamp, lease.UID = metav1.NewTime(made), "claim"
			r, _ := newAllocation(t, lease)
			now := made.Add(tc.offset)
			clock := func() time.Time { return now }
			feed := &allocationFeed{index: r.Index, now: clock}
			feed.onClaim().OnAdd(lease, tc.atStart)
			collector := &claimCollector{index: r.Index, reader: r.Client, writer: r.Client, namespace: "system", now: clock}
			for {
				result, err := collector.Reconcile(context.Background(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(lease)})
				if err != nil {
					t.Fatal(err)
				}
				if result.RequeueAfter == 0 {
					break
				}
				feed.onClaim().OnUpdate(lease, lease) // a resync makes nothing younger
				now = now.Add(result.RequeueAfter)
			}
			if got := now.Sub(made.Add(tc.offset)); got != tc.want {
				t.Errorf("collected after %v, want %v", got, tc.want)
			}
		})
	}
}

// Times of reservations are those of the leader that writes them, so another one
// may end them by as much earlier or later as its clock is ahead or behind.
func TestAReservationEndsByTheClockOfTheLeader(t *testing.T) {
	for offset, want := range map[time.Duration]time.Duration{0: time.Hour, time.Minute: 59 * time.Minute, -time.Minute: 61 * time.Minute} {
		released := reservationTime // by the leader before
		facts := reservedPort(wasBound("web"), retains("1h"))
		facts.before.ReleasedAt = new(metav1.NewTime(released))
		facts.now = released.Add(offset)
		if facts.status(facts.verdict(), "system", nil).Phase != v1alpha1.ReservationReserved {
			t.Errorf("%v ahead: it does not stand", offset)
		}
		if got := facts.untilExpiry(); got != want {
			t.Errorf("%v ahead: it has %v left, want %v", offset, got, want)
		}
	}
}

// What is wrong with a record is told after it has lasted, by one clock; the age
// of the record is by two. So a leader that is ahead takes the record of a request
// under way for a leak, and tells if it still is one some seconds later.
func TestARecordWithoutAServiceIsALeakSoonerWhereTheClockIsAhead(t *testing.T) {
	record := ipAddress("10.0.0.7", serverManagedBy, 0, toService("web"))
	r, log, now := newAddresses(t, record)
	*now = now.Add(time.Minute + 2*time.Second)
	if result := lookAtAddress(t, r, "10.0.0.7"); result.RequeueAfter != addressGrace || log.taken() != nil {
		t.Errorf("at first sight: back in %v", result.RequeueAfter)
	}
	web := allocated("web", 1, "10.0.0.7", 30000)
	r.index.Observe(web)
	if err := r.client.Create(context.Background(), web); err != nil {
		t.Fatal(err)
	}
	*now = now.Add(addressGrace)
	if lookAtAddress(t, r, "10.0.0.7"); log.taken() != nil {
		t.Error("a request that has become a Service was reported")
	}
}

// Whoever has held a number may not come to end its own claim.
func TestTheClaimOfALeaderThatDiedWhileItHeldANumberGoes(t *testing.T) {
	number := allocator.PortNumber(30000)
	for name, tc := range map[string]struct {
		service types.NamespacedName
		goes    bool
	}{
		"for nobody":    {types.NamespacedName{}, true},
		"for a Service": {types.NamespacedName{Namespace: "team", Name: "web"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			lease := allocator.ClaimLease("system", allocator.Claim{Number: number, Service: tc.service, Created: reservationTime}, "")
			lease.UID = "claim"
			r, _ := reservationsOf(t, lease)
			reservation := allocator.Reservation{Number: number, Object: "30000"}
			if err := r.keeper.Hold(t.Context(), []allocator.Reservation{reservation}); err != nil {
				t.Fatal(err)
			}
			claim, err := allocator.ClaimOfLease(lease)
			if err != nil {
				t.Fatal(err)
			}
			r.index.Claim(claim)
			if failed, err := r.hold(t.Context(), reservation); failed != nil || err != nil {
				t.Fatal(failed, err)
			}
			err = r.client.Get(t.Context(), client.ObjectKeyFromObject(lease), lease)
			if client.IgnoreNotFound(err) != nil || (err != nil) != tc.goes {
				t.Errorf("the claim is there: %v", err)
			}
		})
	}
}

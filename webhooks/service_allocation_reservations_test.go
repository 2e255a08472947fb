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

package webhooks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// releases notes what is let go of, and which claims there were by then.
type releases struct {
	world    *allocationWorld
	t        *testing.T
	mu       sync.Mutex
	released []string
	claims   []string
	err      error
}

func (r *releases) Release(_ context.Context, n allocator.Number) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.released, r.claims = append(r.released, n.String()), r.world.claims(r.t)
	return r.err
}

func portReservation(name, namespace, service string) *v1alpha1.PortReservation {
	return &v1alpha1.PortReservation{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.PortReservationSpec{ServiceRef: &v1alpha1.ServiceReference{Namespace: namespace, Name: service}},
	}
}

func reserve(t *testing.T, a *ServiceAllocation, object *v1alpha1.PortReservation) {
	t.Helper()
	reservation, err := allocator.ReservationOfPort(object)
	if err != nil {
		t.Fatal(err)
	}
	a.Index.Reserve(reservation)
}

func TestAReservationIsNamedToWhoMayReadItsService(t *testing.T) {
	kept := portReservation("30000", "secret", "db")
	for user, want := range map[string]string{
		"admin": "spec.ports[0].nodePort: Invalid value: 30000: reserved for Service secret/db (PortReservation 30000); free: 30001",
		"bob":   "spec.ports[0].nodePort: Invalid value: 30000: reserved for a Service of another namespace (PortReservation 30000); free: 30001",
	} {
		a := newAllocationWorld(kept).replica(t, allocator.Advisory, twoPorts)
		reserve(t, a, kept)
		response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 30000)), user))
		if diff := cmp.Diff(want, causeOf(t, response)); diff != "" {
			t.Errorf("cause for %s (-want +got):\n%s", user, diff)
		}
	}
	nobody := &v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: "30001"}}
	a := newAllocationWorld(nobody).replica(t, allocator.Advisory, twoPorts)
	reserve(t, a, nobody)
	response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 30001)), "bob"))
	want := "spec.ports[0].nodePort: Invalid value: 30001: reserved for no Service (PortReservation 30001); free: 30000"
	if diff := cmp.Diff(want, causeOf(t, response)); diff != "" {
		t.Errorf("cause (-want +got):\n%s", diff)
	}
}

func TestAReservationIsConfirmedBeforeItRefuses(t *testing.T) {
	for name, live := range map[string][]client.Object{
		"deleted a moment ago":         nil,
		"for the Service a moment ago": {portReservation("30000", "team", "web")},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAllocationWorld(live...).replica(t, allocator.Advisory, twoPorts)
			reserve(t, a, portReservation("30000", "secret", "db"))
			response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 30000)), "admin"))
			if !response.Allowed || len(response.Warnings) > 0 {
				t.Errorf("response is %+v, want it to pass", response)
			}
		})
	}
}

func TestAReservedNumberIsClaimedAndThenLetGoOf(t *testing.T) {
	for name, tc := range map[string]struct {
		asked                   int32
		dryRun                  bool
		wantReleased, wantClaim []string
	}{
		"asked for by number":  {30000, false, []string{"30000"}, []string{"nodeport-30000"}},
		"asked for any number": {0, false, []string{"30000"}, []string{"nodeport-30000"}},
		"dry-run":              {0, true, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			world := newAllocationWorld()
			a := world.replica(t, allocator.Advisory, twoPorts)
			releaser := &releases{world: world, t: t}
			a.Releaser = releaser
			reserve(t, a, portReservation("30000", "team", "web"))
			request := create(t, withoutAddress(nodePortService("web", tc.asked)), "bob")
			request.DryRun = &tc.dryRun
			response := a.Handle(context.Background(), request)
			if tc.asked == 0 {
				if got := patched(t, response); got != 30000 {
					t.Errorf("given %v, want the reserved number", got)
				}
			} else if !response.Allowed || response.Patch != nil {
				t.Errorf("response is %+v, want it to pass as it is", response)
			}
			if diff := cmp.Diff(tc.wantReleased, releaser.released); diff != "" {
				t.Errorf("let go of (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantClaim, releaser.claims); diff != "" {
				t.Errorf("claims when it was let go of (-want +got):\n%s", diff)
			}
			if got := world.claims(t); len(got) != len(tc.wantClaim) {
				t.Errorf("claims are %v", got)
			}
		})
	}
}

func TestADryRunPassesWhereAPlaceholderHoldsThePort(t *testing.T) {
	for asked, want := range map[int32]string{0: "0", 30000: "0"} {
		a := newAllocationWorld().replica(t, allocator.Advisory, twoPorts)
		a.Index.SetPlaceholders(func(s *corev1.Service) bool { return s.Namespace == "system" })
		holder := nodePortService("reserved", 30000)
		holder.Namespace = "system"
		a.Index.Observe(holder)
		reserve(t, a, portReservation("30000", "team", "web"))
		request := create(t, withoutAddress(nodePortService("web", asked)), "bob")
		request.DryRun = new(true)
		response := a.Handle(context.Background(), request)
		if got := fmt.Sprint(patched(t, response)); got != want {
			t.Errorf("asked for %d the port is set to %s: the server would refuse anything but %s", asked, got, want)
		}
		warning := []string{"spec.ports[0].nodePort will be 30000, which is reserved for this Service; a dry-run can not show it"}
		if diff := cmp.Diff(warning, response.Warnings); diff != "" {
			t.Errorf("asked for %d, warnings (-want +got):\n%s", asked, diff)
		}
	}
}

func TestAReservedNumberThatIsNotLetGoOfIsWorthAnotherTry(t *testing.T) {
	world := newAllocationWorld()
	a := world.replica(t, allocator.Advisory, twoPorts)
	a.Releaser = &releases{world: world, t: t, err: errors.New("the placeholder can not be written")}
	reserve(t, a, portReservation("30000", "team", "web"))
	response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 0)), "bob"))
	if response.Allowed || response.Result.Code != 503 ||
		response.Result.Message != "30000 is reserved for this Service and could not be handed over; try again, the manager's log says why" {
		t.Errorf("response is %+v", response.Result)
	}
	if got := world.claims(t); got != nil {
		t.Errorf("claims left behind: %v", got)
	}
	if a.Index.Claimed(allocator.PortNumber(30000)) {
		t.Error("the index still has the claim")
	}
}

// The claim of an earlier attempt may be deleted at any time, and then what holds
// the number comes back.
func TestAReservedNumberIsClaimedAnewByEachAttempt(t *testing.T) {
	old := allocator.ClaimLease("system", allocator.Claim{Number: allocator.PortNumber(30000), Service: types.NamespacedName{Namespace: "team", Name: "web"}}, "earlier")
	world := newAllocationWorld(old)
	a := world.replica(t, allocator.Advisory, twoPorts)
	a.Releaser = &releases{world: world, t: t}
	reserve(t, a, portReservation("30000", "team", "web"))
	claim, err := allocator.ClaimOfLease(old)
	if err != nil {
		t.Fatal(err)
	}
	claim.Created = a.Now()
	a.Index.Claim(claim) // young enough to be used again, were it another number
	if got := patched(t, a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 0)), "bob"))); got != 30000 {
		t.Errorf("given %v, want the reserved number", got)
	}
	var lease coordinationv1.Lease
	if err := world.client.Get(context.Background(), client.ObjectKeyFromObject(old), &lease); err != nil {
		t.Fatal(err)
	}
	if got := lease.Annotations[allocator.RequestAnnotation]; got != "request" {
		t.Errorf("the claim is that of request %q, want this one's", got)
	}
}

// holdEnds reads past the cache; whoever holds the number is done after the first look.
type holdEnds struct {
	client.Reader
	api client.Client
}

func (r holdEnds) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	err := r.Reader.Get(ctx, key, object, options...)
	if lease, ok := object.(*coordinationv1.Lease); ok && err == nil {
		return r.api.Delete(ctx, lease)
	}
	return err
}

func TestANumberThatIsJustBeingHeldIsWaitedFor(t *testing.T) {
	world := newAllocationWorld(allocator.ClaimLease("system", allocator.Claim{Number: allocator.PortNumber(30000)}, ""))
	a := world.replica(t, allocator.Advisory, twoPorts)
	a.Reader = holdEnds{a.Reader, world.client}
	releaser := &releases{world: world, t: t}
	a.Releaser = releaser
	reserve(t, a, portReservation("30000", "team", "web"))
	if got := patched(t, a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 0)), "bob"))); got != 30000 {
		t.Errorf("given %v, want the reserved number", got)
	}
	if diff := cmp.Diff([]string{"nodeport-30000"}, releaser.claims); diff != "" {
		t.Errorf("claims when it was let go of (-want +got):\n%s", diff)
	}
}

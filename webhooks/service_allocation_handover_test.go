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
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

// claiming stands before the API server where claims are created.
type claiming struct {
	client.Client
	create func(ctx context.Context, lease *coordinationv1.Lease, create func() error) error
}

func (c claiming) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	create := func() error { return c.Client.Create(ctx, object, options...) }
	if lease, ok := object.(*coordinationv1.Lease); ok {
		return c.create(ctx, lease, create)
	}
	return create()
}

// What can not be decided passes, unless the Service would get another number than
// the one that is kept for it.
func TestAReservedNumberIsNeverGivenUpForAnother(t *testing.T) {
	lock := allocator.ClaimLease("system", allocator.Claim{Number: allocator.PortNumber(30000)}, "")
	broken := func(w *allocationWorld, _ *ServiceAllocation) { w.broken = errors.New("etcd is away") }
	for name, tc := range map[string]struct {
		objects []client.Object
		prepare func(*allocationWorld, *ServiceAllocation)
		asked   int32
	}{
		"the leader that was to hold it died":        {objects: []client.Object{lock}},
		"the same where it is asked for by number":   {objects: []client.Object{lock}, asked: 30000},
		"the API server does not answer":             {prepare: broken},
		"it does not answer who asks for the number": {prepare: broken, asked: 30000},
		"others are always faster with another claim": {prepare: func(w *allocationWorld, a *ServiceAllocation) {
			a.Client = claiming{w.client, func(_ context.Context, lease *coordinationv1.Lease, create func() error) error {
				if lease.Name != "nodeport-30000" {
					return errors.New("no time left")
				}
				return create()
			}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			world := newAllocationWorld(tc.objects...)
			a := world.replica(t, allocator.Advisory, allocator.PortSpan{First: 30000, Last: 30009})
			a.Releaser = &releases{world: world, t: t}
			reserve(t, a, portReservation("30000", "team", "web"))
			if tc.prepare != nil {
				tc.prepare(world, a)
			}
			before := a.Index.Stats()
			response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", tc.asked, 0)), "bob"))
			if response.Allowed || response.Result.Code != 503 || !strings.HasPrefix(response.Result.Message,
				"30000 is reserved for this Service and could not be handed over; try again") {
				t.Errorf("response is %+v, want it to be tried again", response)
			}
			world.broken = nil
			if got := world.claims(t); len(got) != len(tc.objects) {
				t.Errorf("claims left behind: %v", got)
			}
			if diff := cmp.Diff(before, a.Index.Stats()); diff != "" {
				t.Errorf("numbers leaked (-before +after):\n%s", diff)
			}
		})
	}
}

// An attempt that failed, for a quota say, has claimed them all.
func TestManyReservedNumbersAreHadInOneAttempt(t *testing.T) {
	const count = 24
	var objects []client.Object
	asked := nodePortService("web")
	for i := range int32(count) {
		claim := allocator.Claim{Number: allocator.PortNumber(30000 + i), Service: types.NamespacedName{Namespace: "team", Name: "web"}}
		objects = append(objects, allocator.ClaimLease("system", claim, "earlier"))
		asked.Spec.Ports = append(asked.Spec.Ports, nodePortService("", 0).Spec.Ports...)
		asked.Spec.Ports[i].Port = 80 + i
	}
	world := newAllocationWorld(objects...)
	a := world.replica(t, allocator.Advisory, allocator.PortSpan{First: 30000, Last: 30999})
	a.Releaser = &releases{world: world, t: t}
	for i := range count {
		reserve(t, a, portReservation(fmt.Sprint(30000+i), "team", "web"))
	}
	response := a.Handle(context.Background(), create(t, withoutAddress(asked), "bob"))
	for i := range count {
		if want := fmt.Sprintf(`"value":%d}`, 30000+i); !response.Allowed || !strings.Contains(string(response.Patch), want) {
			t.Fatalf("reserved port %d is not given: %s %+v", 30000+i, response.Patch, response.Result)
		}
	}
}

// Each claim waits until all have begun.
func TestTheClaimsOfARequestAreMadeSideBySide(t *testing.T) {
	world := newAllocationWorld()
	a := world.replica(t, allocator.Authoritative, allocator.PortSpan{First: 30000, Last: 30009})
	var begun sync.WaitGroup
	begun.Add(4)
	a.Client = claiming{a.Client, func(ctx context.Context, _ *coordinationv1.Lease, create func() error) error {
		begun.Done()
		all := make(chan struct{})
		go func() { begun.Wait(); close(all) }()
		select {
		case <-all:
			return create()
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 0, 0, 0)), "admin"))
	if got := world.claims(t); response.Patch == nil || len(got) != 4 {
		t.Errorf("claims are %v: %+v", got, response)
	}
}

// What the API server has written although nobody heard of it is taken back.
func TestClaimsAreUndoneWhenOneOfThemFails(t *testing.T) {
	for name, answer := range map[string]func(create func() error) error{
		"before it is written": func(func() error) error { return errors.New("no such luck") },
		"after it is written":  func(create func() error) error { return errors.Join(create(), context.DeadlineExceeded) },
	} {
		t.Run(name, func(t *testing.T) {
			world := newAllocationWorld()
			a := world.replica(t, allocator.Authoritative, allocator.PortSpan{First: 30000, Last: 30002})
			before := a.Index.Stats()
			ctx, cancel := context.WithCancel(context.Background())
			a.Client = claiming{a.Client, func(_ context.Context, lease *coordinationv1.Lease, create func() error) error {
				if lease.Name != "nodeport-30001" {
					return create()
				}
				defer cancel() // so is what the request had time for
				return answer(create)
			}}
			response := a.Handle(ctx, create(t, withoutAddress(nodePortService("web", 0, 0, 0)), "admin"))
			if !response.Allowed || response.Patch != nil || len(response.Warnings) != 1 {
				t.Errorf("response is %+v, want it left to the server", response)
			}
			if got := world.claims(t); got != nil {
				t.Errorf("claims left behind: %v", got)
			}
			if diff := cmp.Diff(before, a.Index.Stats()); diff != "" {
				t.Errorf("numbers leaked (-before +after):\n%s", diff)
			}
		})
	}
}

func TestWhoLosesAHandOverIsToldToWhom(t *testing.T) {
	for name, tc := range map[string]struct {
		answers []int32 // of the server, whether it would give the port
		observe bool
		user    string
		want    string // "" passes
	}{
		"it is free":                            {answers: []int32{0}},
		"it was drawn, and is taken back":       {answers: []int32{30000, 30000, 0}},
		"it was drawn, and is a Service's":      {answers: []int32{30000}, observe: true, user: "admin", want: "it was given to Service other/thief meanwhile"},
		"the same of one that may not be read":  {answers: []int32{30000}, observe: true, user: "bob", want: "it was given to a Service of another namespace meanwhile"},
		"it stays taken, by somebody not known": {answers: []int32{30000}, want: "the manager's log says why"},
	} {
		t.Run(name, func(t *testing.T) {
			world := newAllocationWorld()
			a := world.replica(t, allocator.Advisory, twoPorts)
			a.Releaser = &releases{world: world, t: t}
			reserve(t, a, portReservation("30000", "team", "web"))
			asked := 0
			world.probe = func([]int32) (int32, error) {
				if tc.observe {
					thief := nodePortService("thief", 30000)
					thief.Namespace = "other"
					a.Index.Observe(thief)
				}
				defer func() { asked++ }()
				return tc.answers[min(asked, len(tc.answers)-1)], nil
			}
			response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", 0)), tc.user))
			if tc.want == "" {
				if got := patched(t, response); got != 30000 {
					t.Errorf("given %v", got)
				}
				return
			}
			want := "30000 is reserved for this Service and could not be handed over; try again, " + tc.want
			if response.Allowed || response.Result.Message != want {
				t.Errorf("response is %+v, want %s", response.Result, want)
			}
		})
	}
}

// The index does not know yet that an administrator has moved the number.
func TestANumberIsHandedOverToWhomItIsReservedForNow(t *testing.T) {
	for asked, want := range map[int32]string{
		0:     "",
		30000: "spec.ports[0].nodePort: Invalid value: 30000: reserved for Service other/web (PortReservation 30000); free: 30001",
	} {
		world := newAllocationWorld(portReservation("30000", "other", "web"))
		a := world.replica(t, allocator.Advisory, twoPorts)
		releaser := &releases{world: world, t: t}
		a.Releaser = releaser
		reserve(t, a, portReservation("30000", "team", "web"))
		response := a.Handle(context.Background(), create(t, withoutAddress(nodePortService("web", asked)), "admin"))
		if want == "" {
			if got := patched(t, response); got != 30001 {
				t.Errorf("given %v", got)
			}
		} else if diff := cmp.Diff(want, causeOf(t, response)); diff != "" {
			t.Errorf("cause (-want +got):\n%s", diff)
		}
		if releaser.released != nil {
			t.Errorf("let go of %v", releaser.released)
		}
	}
}

func TestWhoAsksForTheImpossibleIsNotToldThatItsNumberIsTaken(t *testing.T) {
	world := newAllocationWorld()
	a := world.replica(t, allocator.Advisory, twoPorts)
	releaser := &releases{world: world, t: t}
	a.Releaser = releaser
	reserve(t, a, portReservation("30000", "team", "web"))
	invalid := withoutAddress(nodePortService("web", 0))
	invalid.Spec.SessionAffinity = "Sometimes"
	if got := patched(t, a.Handle(context.Background(), create(t, invalid, "bob"))); got != 30000 {
		t.Errorf("given %v", got)
	}
	if diff := cmp.Diff([]string{"30000"}, releaser.released); diff != "" {
		t.Errorf("let go of (-want +got), or the server refuses the port:\n%s", diff)
	}
}

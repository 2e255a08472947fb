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
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/allocator"
)

// handsOver tells a plan with a reserved number. It is let go of also for a request
// that the API server is going to refuse, or that would be told that its own number
// is taken, and not what is wrong.
func handsOver(plan allocator.Plan) bool {
	return slices.ContainsFunc(plan.Assignments, func(a allocator.Assignment) bool { return a.Reserved })
}

// handOver lets go of reserved numbers for their own Service, which are claimed,
// and looks whether the API server will give them to it. When one turns out to be
// another's since a moment ago, lost is true and nothing is let go of.
func (c *claims) handOver(ctx context.Context, assignments []allocator.Assignment) (lost bool, err error) {
	var reserved []allocator.Number
	for _, assignment := range assignments {
		if assignment.Reserved {
			reserved = append(reserved, assignment.Number)
		}
	}
	if len(reserved) == 0 || c.Releaser == nil {
		return false, nil
	}
	err = errors.Join(sideBySide(reserved, func(n allocator.Number) error { return c.confirmReservation(ctx, n) })...)
	if errors.Is(err, errReservedForAnother) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	err = errors.Join(sideBySide(reserved, func(n allocator.Number) error {
		if err := c.Releaser.Release(ctx, n); err != nil {
			return &handOverError{number: n, reason: err}
		}
		return nil
	})...)
	if err != nil {
		return false, err
	}
	return false, c.awaitFree(ctx, reserved)
}

var errReservedForAnother = errors.New("it is reserved for another Service since a moment ago")

// confirmReservation reads past the cache: whoever moves a number to another
// Service must not see the one of before get it afterwards.
func (c *claims) confirmReservation(ctx context.Context, n allocator.Number) error {
	ours, err := c.lostReservation(ctx, c.request, n)
	if err == nil && !ours {
		err = errReservedForAnother
	}
	if err != nil {
		return &handOverError{number: n, reason: err}
	}
	return nil
}

// awaitFree looks whether the API server has given one of the numbers away since
// it was let go of: it may have drawn it for a request that was under way. Rule X7
// refuses that one, and the server takes the number back. What it can not be asked
// about passes, and it has the last word.
func (c *claims) awaitFree(ctx context.Context, reserved []allocator.Number) error {
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		taken, by := c.takenMeanwhile(ctx, reserved)
		if taken.IsZero() {
			return nil
		}
		if by.Name != "" || !c.sleep(ctx, wait) {
			return &handOverError{number: taken, holder: by, reason: errGivenAway}
		}
	}
}

var errGivenAway = errors.New("the API server has given it to somebody else")

// takenMeanwhile is the first number that the API server would not give, and the
// Service that has it, if one is known.
func (c *claims) takenMeanwhile(ctx context.Context, reserved []allocator.Number) (allocator.Number, types.NamespacedName) {
	var ports []allocator.Doubt
	for _, n := range reserved {
		if n.IsPort() {
			ports = append(ports, allocator.Doubt{Number: n})
			continue
		}
		if by, taken := c.takenAddress(ctx, n); taken {
			return n, by
		}
	}
	if len(ports) == 0 {
		return allocator.Number{}, types.NamespacedName{}
	}
	taken, err := c.firstTaken(ctx, ports)
	if err != nil {
		ctrl.LoggerFrom(ctx).V(2).Info("Did not find out whether a port is free", "reason", err.Error())
		return allocator.Number{}, types.NamespacedName{}
	}
	return taken.Number, c.holderOf(taken.Number)
}

func (c *claims) takenAddress(ctx context.Context, n allocator.Number) (types.NamespacedName, bool) {
	var address networkingv1.IPAddress
	if err := c.Reader.Get(ctx, client.ObjectKey{Name: n.String()}, &address); err != nil {
		return types.NamespacedName{}, false
	}
	parent := address.Spec.ParentRef
	if parent == nil || parent.Group != "" || parent.Resource != "services" {
		return types.NamespacedName{}, true
	}
	by := types.NamespacedName{Namespace: parent.Namespace, Name: parent.Name}
	if by == c.service {
		return types.NamespacedName{}, false // an update
	}
	service, err := c.reread(ctx, by)
	if err != nil || service == nil {
		return types.NamespacedName{}, true // it is not written yet
	}
	return by, true
}

func (c *claims) holderOf(n allocator.Number) types.NamespacedName {
	for _, holder := range c.Index.Holders(n) {
		if holder.Service != c.service {
			return holder.Service
		}
	}
	return types.NamespacedName{}
}

// keptFrom makes a failure that would keep a reserved number from its own Service
// one that asks for another try: to pass would mean another number than the one
// that is kept, or a refusal that says nothing of why.
func (a *ServiceAllocation) keptFrom(request *allocationRequest, reason error) (*handOverError, bool) {
	if kept, ok := errors.AsType[*handOverError](reason); ok {
		return kept, true
	}
	n, ok := a.Index.KeptFor(allocator.PlanRequest{Old: request.old, New: request.new})
	return &handOverError{number: n, reason: reason}, ok
}

// handOverError is a reserved number that could not be had for its own Service.
type handOverError struct {
	number allocator.Number
	holder types.NamespacedName // who has it now, where that is known
	reason error
}

// Error names the number.
func (e *handOverError) Error() string {
	return fmt.Sprintf("handing over %s to the Service it is reserved for: %v", e.number, e.reason)
}

// Unwrap is the reason.
func (e *handOverError) Unwrap() error { return e.reason }

// denyHandOver asks to try again.
func (a *ServiceAllocation) denyHandOver(ctx context.Context, request *allocationRequest, kept *handOverError) admission.Response {
	countAllocation(outcomeDenied)
	ctrl.LoggerFrom(ctx).Error(kept.reason, "Kept a reserved number from its own Service", "number", kept.number.String())
	why := "the manager's log says why"
	if kept.holder.Name != "" {
		why = "it was given to " + ReaderNames{Reviews: a.Client}.nameFor(ctx, request.Request, kept.holder) + " meanwhile"
	}
	return denied(apierrors.NewServiceUnavailable(fmt.Sprintf(
		"%s is reserved for this Service and could not be handed over; try again, %s", kept.number, why)))
}

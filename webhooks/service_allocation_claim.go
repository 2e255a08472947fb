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

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/allocator"
)

// claims are those that one request makes.
type claims struct {
	*ServiceAllocation
	request *allocationRequest
	service types.NamespacedName
	made    []allocator.Claim
}

// claim creates the object of each number, and has reserved ones let go of. When
// another replica has been faster with one, the others are given back and lost is
// true: the plan starts over, and knows more then.
func (a *ServiceAllocation) claim(ctx context.Context, request *allocationRequest, plan allocator.Plan) (lost bool, err error) {
	c := &claims{ServiceAllocation: a, request: request, service: client.ObjectKeyFromObject(request.new)}
	assignments := plan.Assignments
	for i, assignment := range assignments {
		if assignment.Reused && !assignment.Reserved {
			continue
		}
		if lost, err = c.make(ctx, assignment); lost || err != nil {
			c.giveUp(assignments[i:])
			return lost, errors.Join(err, c.unmake(ctx))
		}
	}
	if c.lostToServer(ctx, plan.Doubtful) {
		return true, c.unmake(ctx)
	}
	for _, assignment := range assignments {
		if !assignment.Reserved || a.Releaser == nil {
			continue
		}
		if err := a.Releaser.Release(ctx, assignment.Number); err != nil {
			return false, errors.Join(&handOverError{number: assignment.Number, reason: err}, c.unmake(ctx))
		}
	}
	return false, nil
}

// make creates the claim of one number. Of an automatic one that is claimed
// already, or that the API server has a record of, there are others; where it has
// to be this one, the claim is looked into.
func (c *claims) make(ctx context.Context, assignment allocator.Assignment) (lost bool, err error) {
	claim := allocator.Claim{Number: assignment.Number, Service: c.service, Created: c.Now()}
	lease := allocator.ClaimLease(c.Namespace, claim, c.request.UID)
	switch err := c.Client.Create(ctx, lease); {
	case apierrors.IsAlreadyExists(err):
		countClaimConflict()
	case err != nil:
		return false, fmt.Errorf("claiming %s: %w", assignment.Number, err)
	default:
		claim.UID = lease.UID
		c.made = append(c.made, claim)
		if c.recorded(ctx, assignment) {
			c.Index.Claim(allocator.Claim{Number: assignment.Number, Created: claim.Created}) // for nobody, until it expires
			return true, nil
		}
		c.Index.Claim(claim)
		return false, nil
	}
	found, err := c.read(ctx, assignment.Number)
	if err != nil || found == nil {
		return found == nil && err == nil, err // it has just gone: claim it once more
	}
	c.Index.Claim(*found)
	switch {
	case !assignment.Explicit && !assignment.Reserved:
		return true, nil
	case assignment.Reserved && found.Service == types.NamespacedName{}:
		c.sleep(ctx, 2*firstLook) // it is just being held; then it can be let go of
		return true, nil
	case found.Service == c.service && c.service.Name != "":
		if assignment.Reserved {
			return true, c.drop(ctx, *found) // and make another
		}
		return false, nil // an earlier attempt of this Service has made it
	}
	return c.awaitHolder(ctx, *found), nil
}

// drop deletes what an earlier attempt has claimed. For a reserved number it will
// not do: that attempt may have become a Service that is gone again, and whoever
// tidies up after it would have the number held again under our hands.
func (c *claims) drop(ctx context.Context, claim allocator.Claim) error {
	err := c.Client.Delete(ctx, allocator.ClaimLease(c.Namespace, claim, c.request.UID), client.Preconditions{UID: &claim.UID})
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("claiming %s again: %w", claim.Number, err)
	}
	c.Index.Unclaim(claim)
	return nil
}

// read reads a claim past the cache; nil when there is none.
func (c *claims) read(ctx context.Context, n allocator.Number) (*allocator.Claim, error) {
	var lease coordinationv1.Lease
	switch err := c.Reader.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: n.ObjectName()}, &lease); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the claim of %s: %w", n, err)
	}
	claim, err := allocator.ClaimOfLease(&lease)
	return &claim, err
}

// giveUp takes back what the plan claimed in the index and was never made.
func (c *claims) giveUp(assignments []allocator.Assignment) {
	for _, assignment := range assignments {
		if !assignment.Reused {
			c.Index.Unclaim(allocator.Claim{Number: assignment.Number, Service: c.service})
		}
	}
}

// unmake deletes claims again. If that fails they count until they expire. It has
// a while of its own: the time of the request may be over.
func (c *claims) unmake(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), allocationTimeout/4)
	defer cancel()
	var errs []error
	for _, claim := range c.made {
		lease := allocator.ClaimLease(c.Namespace, claim, c.request.UID)
		err := c.Client.Delete(ctx, lease, client.Preconditions{UID: &claim.UID})
		if client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("giving back the claim %s: %w", lease.Name, err))
			continue
		}
		c.Index.Unclaim(claim)
	}
	return errors.Join(errs...)
}

// handOverError is a reserved number that could not be had for its own Service.
type handOverError struct {
	number allocator.Number
	reason error
}

// Error names the number.
func (e *handOverError) Error() string {
	return fmt.Sprintf("handing over %s to the Service it is reserved for: %v", e.number, e.reason)
}

// denyHandOver asks to try again. To pass would mean another number than the one
// that is kept for this Service, or a refusal that says nothing of why.
func (a *ServiceAllocation) denyHandOver(ctx context.Context, kept *handOverError) admission.Response {
	countAllocation(outcomeDenied)
	ctrl.LoggerFrom(ctx).Error(kept.reason, "Kept a reserved number from its own Service", "number", kept.number.String())
	return denied(apierrors.NewServiceUnavailable(fmt.Sprintf(
		"%s is reserved for this Service and could not be handed over; try again, the manager's log says why", kept.number)))
}

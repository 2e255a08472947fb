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
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

// claim creates the object of each number. When another replica has been faster
// with one, it is marked as taken, the others are given back, and lost is true.
func (a *ServiceAllocation) claim(ctx context.Context, request allocationRequest, assignments []allocator.Assignment) (lost bool, err error) {
	var made []*coordinationv1.Lease
	for i, assignment := range assignments {
		if assignment.Reused {
			continue
		}
		claim := allocator.Claim{Number: assignment.Number, Service: client.ObjectKeyFromObject(request.new), Created: a.Now()}
		lease := allocator.ClaimLease(a.Namespace, claim, request.UID)
		if err = a.Client.Create(ctx, lease); err == nil {
			made = append(made, lease)
			continue
		}
		a.giveUp(assignments[i:])
		if apierrors.IsAlreadyExists(err) {
			countClaimConflict()
			a.Index.Claim(allocator.Claim{Number: assignment.Number, Created: a.Now()})
			return true, a.unmake(ctx, made)
		}
		return false, errors.Join(fmt.Errorf("claiming %s: %w", assignment.Number, err), a.unmake(ctx, made))
	}
	return false, nil
}

// giveUp takes back what the plan claimed in the index and was never made.
func (a *ServiceAllocation) giveUp(assignments []allocator.Assignment) {
	for _, assignment := range assignments {
		if !assignment.Reused {
			a.Index.Unclaim(assignment.Number)
		}
	}
}

// unmake deletes claims again. If that fails they count until they expire.
func (a *ServiceAllocation) unmake(ctx context.Context, leases []*coordinationv1.Lease) error {
	var errs []error
	for _, lease := range leases {
		err := a.Client.Delete(ctx, lease, client.Preconditions{UID: &lease.UID})
		if client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("giving back the claim %s: %w", lease.Name, err))
			continue
		}
		if number, err := allocator.ParseObjectName(lease.Name); err == nil {
			a.Index.Unclaim(number)
		}
	}
	return errors.Join(errs...)
}

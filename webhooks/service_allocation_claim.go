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
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

// claims are those that one request makes.
type claims struct {
	*ServiceAllocation
	request *allocationRequest
	service types.NamespacedName
	made    []allocator.Claim
	// unsure are numbers of which the API server did not say whether it has made
	// the claim.
	unsure []allocator.Number
}

// claim creates the object of each number, and has reserved ones let go of. When
// another replica has been faster with one, the others are given back and lost is
// true: the plan starts over, and knows more then.
func (a *ServiceAllocation) claim(ctx context.Context, request *allocationRequest, plan allocator.Plan) (lost bool, err error) {
	c := &claims{ServiceAllocation: a, request: request, service: client.ObjectKeyFromObject(request.new)}
	lost, err = c.makeAll(ctx, plan.Assignments)
	if !lost && err == nil {
		lost = c.lostToServer(ctx, plan.Doubtful)
	}
	if !lost && err == nil {
		lost, err = c.handOver(ctx, plan.Assignments)
	}
	if lost || err != nil {
		c.giveUp(plan.Assignments)
		err = errors.Join(err, c.unmake(ctx))
	}
	return lost, err
}

// makeAll makes the claims side by side: each is a write of the API server's, and
// the time of a request is that of the slowest one. A reserved number that is just
// being held is waited for.
func (c *claims) makeAll(ctx context.Context, assignments []allocator.Assignment) (lost bool, err error) {
	wanted := slices.DeleteFunc(slices.Clone(assignments), func(a allocator.Assignment) bool { return a.Reused && !a.Reserved })
	for len(wanted) > 0 {
		var contested []contest
		var locked, freed []allocator.Assignment
		for i, attempt := range sideBySide(wanted, func(a allocator.Assignment) attempt { return c.make(ctx, a) }) {
			c.note(wanted[i].Number, attempt)
			err = errors.Join(err, attempt.err)
			switch attempt.end {
			case claimLost:
				lost = true
			case claimContested:
				contested = append(contested, contest{wanted[i], attempt.found})
			case claimLocked:
				locked = append(locked, wanted[i])
			}
		}
		if lost || err != nil {
			return lost, err
		}
		for _, contest := range contested {
			switch c.awaitHolder(ctx, contest.claim) {
			case fateHeld:
				return true, nil
			case fateEnded:
				freed = append(freed, contest.assignment)
			}
		}
		if len(locked) > 0 && !c.sleep(ctx, 2*firstLook) {
			return false, &handOverError{number: locked[0].Number, reason: errStillLocked}
		}
		wanted = append(locked, freed...)
	}
	return false, nil
}

// contest is a number that has to be this one, and somebody else's claim of it.
type contest struct {
	assignment allocator.Assignment
	claim      allocator.Claim
}

// note keeps what is to be undone, and what not to choose again.
func (c *claims) note(n allocator.Number, a attempt) {
	if a.made != nil {
		c.made = append(c.made, *a.made)
	}
	if a.unsure {
		c.unsure = append(c.unsure, n)
	}
	if a.end == claimLost {
		c.request.avoid = append(c.request.avoid, n)
	}
}

// attempt is what became of one claim.
type attempt struct {
	end    attemptEnd
	made   *allocator.Claim // nil where none was made
	found  allocator.Claim  // somebody else's
	unsure bool
	err    error
}

type attemptEnd int

const (
	claimMade      attemptEnd = iota // now, or by an earlier attempt of this Service
	claimLost                        // there are others
	claimContested                   // it has to be this one: the claim is looked into
	claimLocked                      // the leader is just holding it; then it can be let go of
)

var errStillLocked = errors.New("it is being held for longer than a request can wait")

// A claim is made anew when the one in its way goes, which is once.
const claimAttempts = 4

// make creates the claim of one number. Of an automatic one that is claimed
// already, or that the API server has a record of, there are others.
func (c *claims) make(ctx context.Context, assignment allocator.Assignment) attempt {
	for range claimAttempts {
		if made, ended := c.create(ctx, assignment); ended {
			return made
		}
		found, err := c.read(ctx, assignment.Number)
		if err != nil {
			return attempt{err: err}
		}
		if found == nil {
			continue // it has just gone
		}
		c.Index.Claim(*found)
		switch {
		case !assignment.Explicit && !assignment.Reserved:
			return attempt{end: claimLost}
		case assignment.Reserved && found.Service == types.NamespacedName{}:
			return attempt{end: claimLocked}
		case c.Index.Ended(found.Number, found.UID): // not of use any more
		case found.Service != c.service || c.service.Name == "":
			return attempt{end: claimContested, found: *found}
		case !assignment.Reserved:
			return attempt{} // an earlier attempt of this Service has made it
		}
		if err := c.drop(ctx, *found); err != nil {
			return attempt{err: err}
		}
	}
	return attempt{err: fmt.Errorf("claiming %s: others come and go", assignment.Number)}
}

// create makes the object, and looks meanwhile whether the address is on record.
// It has not ended where there is another claim.
func (c *claims) create(ctx context.Context, assignment allocator.Assignment) (made attempt, ended bool) {
	claim := allocator.Claim{Number: assignment.Number, Service: c.service, Created: c.Now()}
	lease := allocator.ClaimLease(c.Namespace, claim, c.request.UID)
	recorded := make(chan bool, 1)
	go func() { recorded <- c.recorded(ctx, assignment) }()
	err := c.Client.Create(ctx, lease)
	onRecord := <-recorded
	switch {
	case apierrors.IsAlreadyExists(err):
		countClaimConflict()
		return attempt{}, false
	case err != nil:
		return attempt{unsure: true, err: fmt.Errorf("claiming %s: %w", assignment.Number, err)}, true
	}
	claim.UID = lease.UID
	if onRecord {
		return attempt{end: claimLost, made: &claim}, true
	}
	c.Index.Claim(claim)
	return attempt{made: &claim}, true
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
	ends := time.Now()
	if deadline, ok := ctx.Deadline(); ok && deadline.After(ends) {
		ends = deadline
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), ends.Add(takeBackTime))
	defer cancel()
	errs := sideBySide(c.made, func(claim allocator.Claim) error { return c.giveBack(ctx, claim) })
	return errors.Join(append(errs, sideBySide(c.unsure, func(n allocator.Number) error { return c.giveBackIfMade(ctx, n) })...)...)
}

func (c *claims) giveBack(ctx context.Context, claim allocator.Claim) error {
	lease := allocator.ClaimLease(c.Namespace, claim, c.request.UID)
	err := c.Client.Delete(ctx, lease, client.Preconditions{UID: &claim.UID})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("giving back the claim %s: %w", lease.Name, err)
	}
	c.Index.Unclaim(claim)
	return nil
}

// giveBackIfMade looks for a claim of which nobody has heard: the time was over
// before the API server had answered, or the connection was lost.
func (c *claims) giveBackIfMade(ctx context.Context, n allocator.Number) error {
	var lease coordinationv1.Lease
	err := c.Reader.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: n.ObjectName()}, &lease)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	if lease.Annotations[allocator.RequestAnnotation] != string(c.request.UID) {
		return nil
	}
	claim, err := allocator.ClaimOfLease(&lease)
	if err != nil {
		return err
	}
	return c.giveBack(ctx, claim)
}

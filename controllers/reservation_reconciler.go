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
	"errors"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/placeholder"
)

const (
	// handOverRetry is how often a claimed number is looked at again. The claim
	// goes after 60 s at most, when its request has failed.
	handOverRetry = time.Second
	// takenRetry is for numbers that the API server has allocated to somebody of
	// whom we do not know yet, or does not give, and where no address is left to hold
	// them with. It doubles with each try, as the API server's repair takes minutes,
	// and a wrong range lasts until somebody starts it anew.
	takenRetry, takenRetryMost = 5 * time.Second, 10 * time.Minute
)

// reservations brings one reservation, of either kind, in line with what exists.
//
//	what is found                              phase       what is done
//	its Service has the number                 Bound       the placeholder goes
//	nobody has it                              Reserved    a placeholder holds it
//	nobody has it, a request has claimed it    Pending     nothing, until the claim is gone
//	nobody has it, and it is in no range       Pending     nothing can hold it
//	nobody has it, and no ClusterIP is left    Pending     nothing, it is tried again
//	nobody has it, and nobody would hand it    Pending     the placeholder goes
//	over (no webhook, an exempt Service)
//	somebody else has it                       Conflicted  the placeholder goes, an Event on both
//	a placeholder of ports has the address     Pending     that one is made anew
//	its Service is gone for longer than retain -           the reservation goes
//	its Service is gone, and its namespace     -           the reservation goes, an Event
//	keeps as many numbers as it may (retained)
//	the reservation is gone                    -           the placeholder goes
//
// All that is remembered is in the status, so that a restart changes nothing.
type reservations struct {
	client   client.Client
	live     client.Reader
	index    *allocator.Services
	keeper   *placeholder.Keeper
	recorder events.EventRecorder
	now      func() time.Time

	// noWebhook says that nobody would hand a number over.
	noWebhook bool
	// exempt tells the Services that the mutating webhook is not asked for; nil is none.
	exempt func(client.Object) bool
	// budget limits what Services that are gone keep.
	budget *retainBudget
	// retries spaces tries to hold a number that the API server does not give.
	retries workqueue.TypedRateLimiter[allocator.Number]
}

// reconcile works on a reservation that exists.
func (r *reservations) reconcile(ctx context.Context, object client.Object, facts *reservationFacts, status *v1alpha1.ReservationStatus) (ctrl.Result, error) {
	if err := r.observe(ctx, facts); err != nil {
		return ctrl.Result{}, err
	}
	verdict := facts.verdict()
	if verdict == reservationExpired || facts.newlyReleased() {
		// The cache of a new leader may be older than what the last one wrote.
		if stale, err := r.confirmGone(ctx, facts); stale || err != nil {
			return ctrl.Result{RequeueAfter: handOverRetry}, err
		}
	}
	over, err := r.overLimit(ctx, facts, verdict)
	if err != nil {
		return ctrl.Result{}, err
	}
	if over {
		verdict = reservationExpired
	}
	failed, retry, err := r.carryOut(ctx, object, facts, verdict)
	if err != nil || verdict == reservationExpired {
		if over && err == nil && retry == 0 {
			r.reportOverLimit(facts)
		}
		return ctrl.Result{RequeueAfter: retry}, err
	}
	next := facts.status(verdict, r.keeper.Namespace, failed)
	if err := r.write(ctx, object, facts, status, next); apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: lagRetry}, nil // the cache will tell what has changed
	} else if err != nil {
		return ctrl.Result{}, err
	}
	if failed != nil && retry == 0 {
		return ctrl.Result{}, failed
	}
	return ctrl.Result{RequeueAfter: earliest(retry, facts.untilExpiry())}, nil
}

// carryOut does what the verdict asks for. What came of holding the number is for
// the status; a retry of zero leaves the time to the queue.
func (r *reservations) carryOut(
	ctx context.Context, object client.Object, facts *reservationFacts, verdict reservationVerdict,
) (failed error, retry time.Duration, err error) {
	if verdict != reservationFree {
		r.retries.Forget(facts.Number)
	}
	switch verdict {
	case reservationFree:
		failed, err = r.hold(ctx, facts.Reservation)
		var taken *placeholder.TakenError
		switch {
		case errors.Is(failed, errHandOver):
			retry = handOverRetry
		case errors.As(failed, &taken), errors.Is(failed, placeholder.ErrOutOfRange), errors.Is(failed, placeholder.ErrNoAddress):
			retry = r.retries.When(facts.Number)
		default:
			r.retries.Forget(facts.Number)
		}
		return failed, retry, err
	case reservationExpired:
		claimed, err := r.claimed(ctx, facts.Number)
		if claimed || err != nil {
			return nil, handOverRetry, err // its Service may be about to come back
		}
		uid, version := object.GetUID(), object.GetResourceVersion()
		err = r.client.Delete(ctx, object, client.Preconditions{UID: &uid, ResourceVersion: &version})
		return nil, 0, client.IgnoreNotFound(err)
	case reservationBound:
		if facts.last().Phase != v1alpha1.ReservationBound {
			if err := r.endHandOver(ctx, facts); err != nil {
				return nil, 0, err
			}
		}
	case reservationTaken:
		if key := facts.holders[0].Service; !facts.Number.IsPort() && placeholder.IsPlaceholderKey(key, r.keeper.Namespace) {
			// A placeholder of ports has drawn the address as its own ClusterIP.
			return &placeholder.TakenError{Number: facts.Number}, handOverRetry, r.keeper.Vacate(ctx, key)
		}
	}
	return nil, 0, r.release(ctx, facts.Number)
}

// hold holds the number unless a claim of it exists. The claim is read past every
// cache: whoever hands the number over makes the claim first and then takes the
// placeholder away, which may have brought us here before our watch shows either.
func (r *reservations) hold(ctx context.Context, reservation allocator.Reservation) (failed, err error) {
	if held, err := r.keeper.Holds(ctx, reservation.Number); err != nil {
		return nil, err
	} else if held {
		return nil, r.unlock(ctx, reservation.Number)
	}
	// A claim for nobody keeps the webhook from handing the number over meanwhile:
	// what it lets go of would come back before the API server allocates.
	lock := allocator.ClaimLease(r.keeper.Namespace, allocator.Claim{Number: reservation.Number, Created: r.now()}, "")
	switch err := r.client.Create(ctx, lock); {
	case apierrors.IsAlreadyExists(err):
		return errHandOver, nil
	case err != nil:
		return nil, fmt.Errorf("claiming %s to hold it: %w", reservation.Number, err)
	}
	failed = r.keeper.Hold(ctx, []allocator.Reservation{reservation})
	err = client.IgnoreNotFound(r.client.Delete(ctx, lock, client.Preconditions{UID: &lock.UID}))
	return failed, err
}

// unlock takes away the claim for nobody under which a number has come to be held,
// if whoever made it could not: the Service that it is for would have to wait.
func (r *reservations) unlock(ctx context.Context, number allocator.Number) error {
	claim, claimed := r.index.ClaimOf(number)
	if !claimed || claim.Service.Name != "" || claim.Service.Namespace != "" || claim.UID == "" {
		return nil
	}
	lock := allocator.ClaimLease(r.keeper.Namespace, claim, "")
	return client.IgnoreNotFound(r.client.Delete(ctx, lock, client.Preconditions{UID: &claim.UID}))
}

func (r *reservations) release(ctx context.Context, number allocator.Number) error {
	held, err := r.keeper.Holds(ctx, number)
	if !held || err != nil {
		return err
	}
	return r.keeper.Release(ctx, number)
}

func (r *reservations) claimed(ctx context.Context, number allocator.Number) (bool, error) {
	var lease coordinationv1.Lease
	err := r.live.Get(ctx, client.ObjectKey{Namespace: r.keeper.Namespace, Name: number.ObjectName()}, &lease)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for a claim of %s: %w", number, err)
	}
	return true, nil
}

// endHandOver deletes the claim with which the Service got its number. Claims of
// other numbers stay for a while, until every replica has seen the Service; this
// number no replica offers to anybody, and if the Service went again at once, its
// claim would keep us from holding it.
func (r *reservations) endHandOver(ctx context.Context, facts *reservationFacts) error {
	var lease coordinationv1.Lease
	err := r.live.Get(ctx, client.ObjectKey{Namespace: r.keeper.Namespace, Name: facts.Number.ObjectName()}, &lease)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	if claim, err := allocator.ClaimOfLease(&lease); err != nil || !facts.For(claim.Service) {
		return nil // that of somebody who has yet to be refused
	}
	// The claim may be that of the next Service of this name, as the one that the
	// cache shows is gone.
	service, err := lookAt(ctx, r.live, r.index, facts.Service)
	if err != nil || service == nil || !holds(service, facts.Number) {
		return err
	}
	return client.IgnoreNotFound(r.client.Delete(ctx, &lease, client.Preconditions{UID: &lease.UID}))
}

// orphanPlaceholder releases a number that no reservation asks for. The cache may
// only not know the reservation yet, so it is asked for past it.
func (r *reservations) orphanPlaceholder(ctx context.Context, object client.Object, key client.ObjectKey, number allocator.Number) (ctrl.Result, error) {
	err := r.live.Get(ctx, key, object)
	if err == nil {
		return ctrl.Result{RequeueAfter: lagRetry}, nil
	}
	if !apierrors.IsNotFound(err) {
		return ctrl.Result{}, err
	}
	r.retries.Forget(number)
	r.budget.forget(key.Name)
	held, err := r.keeper.Holds(ctx, number)
	if !held || err != nil {
		return ctrl.Result{}, err
	}
	allocationLeaks.WithLabelValues("placeholder").Inc()
	return ctrl.Result{}, r.keeper.Release(ctx, number)
}

// write stores a status that has changed and then says what users have to know.
func (r *reservations) write(
	ctx context.Context, object client.Object, facts *reservationFacts, status *v1alpha1.ReservationStatus, next v1alpha1.ReservationStatus,
) error {
	if equality.Semantic.DeepEqual(facts.before, next) {
		return nil
	}
	*status = next
	if err := r.client.Status().Update(ctx, object); err != nil {
		return fmt.Errorf("writing the status of %s %s: %w", facts.Kind(), facts.Object, err)
	}
	if next.Phase == v1alpha1.ReservationConflicted && facts.before.Phase != v1alpha1.ReservationConflicted {
		r.reportConflict(ctx, object, facts)
	}
	return nil
}

// untilExpiry is how long the reservation still has, zero when it does not end.
func (f *reservationFacts) untilExpiry() time.Duration {
	expires, ends := f.expires()
	if !ends {
		return 0
	}
	return max(expires.Sub(f.now), time.Millisecond)
}

// earliest is the shorter of two waits, of which zero is none.
func earliest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

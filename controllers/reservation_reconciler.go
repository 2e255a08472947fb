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
	"net/netip"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
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
	// whom we do not know yet.
	takenRetry = 5 * time.Second
)

// reservations brings one reservation, of either kind, in line with what exists.
//
//	what is found                              phase       what is done
//	its Service has the number                 Bound       the placeholder goes
//	nobody has it                              Reserved    a placeholder holds it
//	nobody has it, a request has claimed it    Pending     nothing, until the claim is gone
//	nobody has it, and it is in no range       Pending     nothing can hold it
//	somebody else has it                       Conflicted  the placeholder goes, an Event on both
//	a placeholder of ports has the address     Pending     that one is made anew
//	its Service is gone for longer than retain -           the reservation goes
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
}

// reconcile works on a reservation that exists.
func (r *reservations) reconcile(ctx context.Context, object client.Object, facts *reservationFacts, status *v1alpha1.ReservationStatus) (ctrl.Result, error) {
	if err := r.observe(ctx, facts); err != nil {
		return ctrl.Result{}, err
	}
	verdict := facts.verdict()
	if verdict == reservationExpired || facts.releasedAt() != nil && facts.before.ReleasedAt == nil {
		// The cache of a new leader may be older than what the last one wrote.
		if stale, err := r.confirmGone(ctx, facts); stale || err != nil {
			return ctrl.Result{RequeueAfter: handOverRetry}, err
		}
	}
	failed, retry, err := r.carryOut(ctx, object, facts, verdict)
	if err != nil || verdict == reservationExpired {
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
	switch verdict {
	case reservationFree:
		failed, err = r.hold(ctx, facts.Reservation)
		var taken *placeholder.TakenError
		switch {
		case errors.Is(failed, errHandOver):
			retry = handOverRetry
		case errors.As(failed, &taken), errors.Is(failed, placeholder.ErrOutOfRange):
			retry = takenRetry
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
		if facts.before.Phase != v1alpha1.ReservationBound {
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
	if held, err := r.keeper.Holds(ctx, reservation.Number); held || err != nil {
		return nil, err
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
	if err != nil || service == nil || !slices.Contains(numbersOf(service), facts.Number) {
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
	held, err := r.keeper.Holds(ctx, number)
	if !held || err != nil {
		return ctrl.Result{}, err
	}
	allocationLeaks.WithLabelValues("placeholder").Inc()
	return ctrl.Result{}, r.keeper.Release(ctx, number)
}

// observe fills in what the reservation depends on.
func (r *reservations) observe(ctx context.Context, facts *reservationFacts) error {
	if facts.Service.Name != "" {
		service, err := lookAt(ctx, r.client, r.index, facts.Service)
		if err != nil {
			return err
		}
		if service != nil {
			facts.service = &serviceFact{uid: service.UID, created: service.CreationTimestamp.Time}
		}
	}
	for _, holder := range r.holdersOf(facts.Number) {
		if _, err := lookAt(ctx, r.client, r.index, holder.Service); err != nil {
			return err
		}
	}
	users, err := r.usersOf(ctx, facts.Number)
	if err != nil {
		return err
	}
	facts.holders = append(r.holdersOf(facts.Number), users...)
	facts.now = r.now()
	return r.observeRanges(ctx, facts)
}

// holdersOf lists the Services that have a ClusterIP or a port of the node, without
// those that only hold it for us.
func (r *reservations) holdersOf(number allocator.Number) []allocator.Holder {
	var holders []allocator.Holder
	for _, holder := range r.index.Holders(number) {
		if !number.IsPort() || !placeholder.IsPortsKey(holder.Service, r.keeper.Namespace, number.Port) {
			holders = append(holders, holder)
		}
	}
	return holders
}

// usersOf lists the Services that have an address as that of a load balancer or
// as an external IP.
func (r *reservations) usersOf(ctx context.Context, number allocator.Number) ([]allocator.Holder, error) {
	if number.IsPort() {
		return nil, nil
	}
	var holders []allocator.Holder
	for _, user := range r.index.AddressUsers(number.Addr) {
		service, err := lookAt(ctx, r.client, r.index, user.Service)
		if err != nil {
			return nil, err
		}
		if service != nil && slices.Contains(addressesOf(service), number) {
			holders = append(holders, allocator.Holder{Service: user.Service, UID: service.UID, Created: service.CreationTimestamp.Time})
		}
	}
	return holders, nil
}

// observeRanges tells whether an IPAddress would hold the address. Ports are told
// by the API server, which knows its own range best.
func (r *reservations) observeRanges(ctx context.Context, facts *reservationFacts) error {
	if facts.Number.IsPort() {
		return nil
	}
	var cidrs networkingv1.ServiceCIDRList
	if err := r.client.List(ctx, &cidrs); err != nil {
		return fmt.Errorf("listing ServiceCIDRs: %w", err)
	}
	for i := range cidrs.Items {
		if cidrHolds(&cidrs.Items[i], facts.Number.Addr) {
			return nil
		}
	}
	facts.outside = "no ServiceCIDR that takes new Services contains it, so no object can hold it; our webhooks refuse it to others while they answer"
	return nil
}

// cidrHolds is false while the ServiceCIDR is being removed: it gives nothing any
// more, and an IPAddress in it would keep it from going (KEP-1880).
func cidrHolds(object *networkingv1.ServiceCIDR, addr netip.Addr) bool {
	for _, text := range object.Spec.CIDRs {
		if prefix, err := netip.ParsePrefix(text); err == nil && prefix.Contains(addr) {
			return object.DeletionTimestamp.IsZero() && !meta.IsStatusConditionFalse(object.Status.Conditions, networkingv1.ServiceCIDRConditionReady)
		}
	}
	return false
}

// confirmGone looks past the cache for the Service that seems to be gone, and
// reports whether the cache was behind.
func (r *reservations) confirmGone(ctx context.Context, facts *reservationFacts) (stale bool, err error) {
	service, err := lookAt(ctx, r.live, r.index, facts.Service)
	if err != nil || service == nil {
		return facts.service != nil, err
	}
	return facts.service == nil || facts.service.uid != service.UID, nil
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
		r.reportConflict(object, facts, next)
	}
	return nil
}

const reasonReservationConflicted = "ReservationConflicted"

// reportConflict says on both sides that a number is kept for one and held by
// another.
func (r *reservations) reportConflict(object client.Object, facts *reservationFacts, next v1alpha1.ReservationStatus) {
	var holder *corev1.Service
	if len(facts.holders) > 0 {
		holder = serviceRef(facts.holders[0].Service, facts.holders[0].UID)
		r.recorder.Eventf(holder, object, corev1.EventTypeWarning, reasonReservationConflicted, "Reserve",
			"%s is reserved for %s (%s %s), but this Service has it and keeps it: choose another where that is wrong, %s",
			facts.Number, facts.reservedFor(), facts.Kind(), facts.Object, r.index.FreeNear(facts.Number))
	}
	var related runtime.Object
	if holder != nil {
		related = holder
	}
	r.recorder.Eventf(object, related, corev1.EventTypeWarning, reasonReservationConflicted, "Reserve",
		"%s; it is held for %s once that is over", meta.FindStatusCondition(next.Conditions, v1alpha1.ConditionHeld).Message, facts.reservedFor())
}

func (f *reservationFacts) reservedFor() string {
	if f.Service.Name == "" {
		return "nobody"
	}
	return "Service " + f.Service.String()
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

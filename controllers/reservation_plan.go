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
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/placeholder"
)

// reservationFacts is what exists around one reservation. Nothing else is asked
// to decide what becomes of it.
type reservationFacts struct {
	allocator.Reservation
	retain     v1alpha1.Retain
	retained   bool // made because of the annotation
	generation int64
	before     v1alpha1.ReservationStatus

	// service is the one it is for, nil when there is none.
	service *serviceFact
	// holders have the number, the oldest first.
	holders []allocator.Holder
	// outside says why no object can hold the number; "" when one can.
	outside string
	// unguarded says why none of ours may hold it although one could.
	unguarded unguarded
	now       time.Time
}

// unguarded is why a number is left to whoever takes it: nobody would hand it over
// to the Service that it is for. The zero value is no reason.
type unguarded struct{ reason, message string }

// serviceFact is what a reservation has to know of its Service.
type serviceFact struct {
	uid     types.UID
	created time.Time
}

// reservationVerdict is what is to be done about a reservation.
type reservationVerdict int

const (
	// reservationBound: the Service that it is for has the number.
	reservationBound reservationVerdict = iota
	// reservationExpired: it has outlived its Service for long enough.
	reservationExpired
	// reservationTaken: another Service has the number.
	reservationTaken
	// reservationOutside: the number is in no range of the API server.
	reservationOutside
	// reservationUnguarded: nobody has the number, and no object may hold it.
	reservationUnguarded
	// reservationFree: nobody has the number, so an object has to hold it.
	reservationFree
)

func (f *reservationFacts) verdict() reservationVerdict {
	switch expires, ends := f.expires(); {
	case f.bound():
		return reservationBound
	case ends && !f.now.Before(expires):
		return reservationExpired
	case len(f.holders) > 0:
		return reservationTaken
	case f.outside != "":
		return reservationOutside
	case f.unguarded.reason != "":
		return reservationUnguarded
	}
	return reservationFree
}

func (f *reservationFacts) bound() bool {
	return f.service != nil && slices.ContainsFunc(f.holders, func(h allocator.Holder) bool { return f.For(h.Service) })
}

// orphaned tells that the Service which had the number is gone. A Service of the
// same name that was created since is another one, and so far without the number.
func (f *reservationFacts) orphaned() bool {
	switch last := f.last(); {
	case last.ServiceUID != "":
		return f.service == nil || f.service.uid != last.ServiceUID
	case f.retained: // made while its Service lived, and not seen with it
		return f.service == nil || f.service.created.After(f.Created)
	}
	return false
}

// last is what the status says of the Service that the reservation is for: nothing
// when it was written for another one. Whoever changes spec.serviceRef moves the
// number, and nobody may take that for the end of the Service.
func (f *reservationFacts) last() v1alpha1.ReservationStatus {
	if equality.Semantic.DeepEqual(f.before.Service, f.reference()) {
		return f.before
	}
	return v1alpha1.ReservationStatus{}
}

// reference is spec.serviceRef.
func (f *reservationFacts) reference() *v1alpha1.ServiceReference {
	if f.Service.Name == "" {
		return nil
	}
	return &v1alpha1.ServiceReference{Namespace: f.Service.Namespace, Name: f.Service.Name}
}

// newlyReleased tells that the Service was not yet known to be gone.
func (f *reservationFacts) newlyReleased() bool {
	return f.releasedAt() != nil && f.last().ReleasedAt == nil
}

// releasedAt is when the Service that had the number was first seen to be gone,
// nil while there is none to be missed.
func (f *reservationFacts) releasedAt() *metav1.Time {
	switch last := f.last(); {
	case f.bound() || !f.orphaned():
		return nil
	case last.ReleasedAt != nil:
		return last.ReleasedAt
	}
	now := metav1.NewTime(f.now).Rfc3339Copy()
	return &now
}

// expires is when the reservation has outlived its Service for long enough; false
// for one that does not end by itself.
func (f *reservationFacts) expires() (time.Time, bool) {
	released := f.releasedAt()
	if released == nil {
		return time.Time{}, false
	}
	keep, forever, err := parseRetain(f.retain)
	if err != nil || forever {
		return time.Time{}, false // nobody has asked for it to go
	}
	return released.Add(keep), true
}

// Reasons of the condition Held.
const (
	heldByService     = "Bound"
	heldByPlaceholder = "Placeholder"
	notHeldTaken      = "HeldByAnother"
	notHeldAllocated  = "AlreadyAllocated"
	notHeldOutside    = "OutOfRange"
	notHeldHandOver   = "HandOver"
	notHeldNoWebhook  = "NoWebhook"
	notHeldExempt     = "ExemptService"
	notHeldNoAddress  = "NoClusterIP"
	notHeldFailed     = "HoldFailed"
)

// status is what the reservation says of itself once the verdict was carried out;
// failed is what came of holding the number.
func (f *reservationFacts) status(verdict reservationVerdict, namespace string, failed error) v1alpha1.ReservationStatus {
	next := *f.before.DeepCopy()
	next.ObservedGeneration = f.generation
	next.Service, next.ServiceUID, next.ReleasedAt = f.reference(), f.last().ServiceUID, f.releasedAt()
	held := metav1.Condition{Type: v1alpha1.ConditionHeld, Status: metav1.ConditionFalse}
	var taken *placeholder.TakenError
	switch {
	case verdict == reservationBound:
		next.Phase, next.ServiceUID = v1alpha1.ReservationBound, f.service.uid
		held.Status, held.Reason, held.Message = metav1.ConditionTrue, heldByService, fmt.Sprintf("Service %s has it", f.Service)
	case verdict == reservationTaken && failed == nil:
		next.Phase = v1alpha1.ReservationConflicted
		held.Reason, held.Message = notHeldTaken, fmt.Sprintf("Service %s has %s and keeps it", f.holders[0].Service, f.Number)
	case verdict == reservationOutside:
		next.Phase = v1alpha1.ReservationPending
		held.Reason, held.Message = notHeldOutside, f.outside
	case verdict == reservationUnguarded:
		next.Phase = v1alpha1.ReservationPending
		held.Reason, held.Message = f.unguarded.reason, f.unguarded.message
	case failed == nil:
		next.Phase = v1alpha1.ReservationReserved
		held.Status, held.Reason, held.Message = metav1.ConditionTrue, heldByPlaceholder, f.heldBy(namespace)
	case errors.As(failed, &taken) && f.belongsToOthers(taken):
		next.Phase = v1alpha1.ReservationConflicted
		held.Reason, held.Message = notHeldTaken, fmt.Sprintf("%s has %s and keeps it", taken.Holder(), f.Number)
	default:
		next.Phase = v1alpha1.ReservationPending
		held.Reason, held.Message = f.whyPending(failed)
	}
	held.ObservedGeneration = f.generation
	setCondition(&next.Conditions, held, f.now)
	return next
}

// belongsToOthers is true of an address that belongs to something that is no
// Service. Of a Service, the index has yet to tell what it has.
func (f *reservationFacts) belongsToOthers(taken *placeholder.TakenError) bool {
	_, service := taken.Service()
	return taken.Parent != nil && !service
}

func (f *reservationFacts) heldBy(namespace string) string {
	if f.Number.IsPort() {
		return fmt.Sprintf("Service %s/%s keeps it from others", namespace, placeholder.PortsName(f.Number.Port))
	}
	return fmt.Sprintf("IPAddress %s keeps it from others", f.Number)
}

var errHandOver = errors.New("a request that is under way has claimed it")

func (f *reservationFacts) whyPending(failed error) (reason, message string) {
	var taken *placeholder.TakenError
	switch {
	case errors.Is(failed, errHandOver):
		return notHeldHandOver, "a request that is under way has claimed it"
	case errors.Is(failed, placeholder.ErrOutOfRange):
		return notHeldOutside, "the API server's --service-node-port-range does not contain it, so it gives it to nobody"
	case errors.Is(failed, placeholder.ErrNoAddress):
		return notHeldNoAddress, failed.Error()
	case errors.As(failed, &taken):
		return notHeldAllocated, taken.Error() + "; it is tried again until the API server's repair has freed it, or its holder is known"
	}
	return notHeldFailed, failed.Error()
}

// setCondition is meta.SetStatusCondition by our own clock.
func setCondition(conditions *[]metav1.Condition, condition metav1.Condition, now time.Time) {
	condition.LastTransitionTime = metav1.NewTime(now).Rfc3339Copy()
	meta.SetStatusCondition(conditions, condition)
}

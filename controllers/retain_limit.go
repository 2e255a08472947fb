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
	"maps"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// DefaultRetainLimit is how many numbers of Services that are gone the annotation
// keeps in a namespace. Whoever may create Services could have all numbers of the
// cluster kept otherwise, one Service after the other, past every quota.
const DefaultRetainLimit = 64

// retainBudget limits the numbers that are kept, because of the annotation, for
// Services that are gone. Those of Services that live cost nobody anything, and
// those that somebody reserved by hand were allowed by whom it is up to.
type retainBudget struct {
	client client.Client
	most   int // where the namespace does not say

	mu sync.Mutex
	// granted are reservations, and their namespaces, that have just been let
	// outlive their Services: the cache may not show it yet.
	granted map[string]string
}

// limit is how many numbers a namespace may keep.
func (b *retainBudget) limit(ctx context.Context, namespace string) (int, error) {
	labels, err := namespaceLabels(ctx, b.client, namespace)
	if err != nil {
		return 0, err
	}
	text, set := labels[v1alpha1.RetainLimitLabel]
	if !set {
		return b.most, nil
	}
	limit, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		ctrl.LoggerFrom(ctx).Info("Took the limit of all namespaces: a limit is a number, 0 or more",
			"namespace", namespace, "label", v1alpha1.RetainLimitLabel, "value", text)
		return b.most, nil
	}
	return int(limit), nil
}

// kept counts the numbers that Services of a namespace have left behind, without
// those of one Service.
func (b *retainBudget) kept(ctx context.Context, namespace string, without types.NamespacedName) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	names, err := b.names(ctx, namespace, without)
	return len(names), err
}

// grant tells whether one more reservation may outlive its Service, and counts it.
func (b *retainBudget) grant(ctx context.Context, reservation allocator.Reservation) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	namespace := reservation.Service.Namespace
	limit, err := b.limit(ctx, namespace)
	if err != nil {
		return false, err
	}
	names, err := b.names(ctx, namespace, types.NamespacedName{})
	if err != nil {
		return false, err
	}
	delete(names, reservation.Object)
	if len(names) >= limit {
		return false, nil
	}
	if b.granted == nil {
		b.granted = map[string]string{}
	}
	b.granted[reservation.Object] = namespace
	return true, nil
}

// forget is for reservations that are gone, that are bound again, or of which the
// cache knows.
func (b *retainBudget) forget(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.granted, name)
}

func (b *retainBudget) names(ctx context.Context, namespace string, without types.NamespacedName) (map[string]bool, error) {
	var ports v1alpha1.PortReservationList
	var addresses v1alpha1.AddressReservationList
	ofNamespace := client.MatchingFields{indexServiceRefNamespace: namespace}
	if err := errors.Join(b.client.List(ctx, &ports, ofNamespace), b.client.List(ctx, &addresses, ofNamespace)); err != nil {
		return nil, fmt.Errorf("counting what is retained in namespace %s: %w", namespace, err)
	}
	names, own := map[string]bool{}, map[string]bool{}
	count := func(object client.Object, status *v1alpha1.ReservationStatus) {
		if refersTo(object, without) {
			own[object.GetName()] = true
		} else if isRetained(object) && status.ReleasedAt != nil {
			names[object.GetName()] = true
		}
	}
	for i := range ports.Items {
		count(&ports.Items[i], &ports.Items[i].Status)
	}
	for i := range addresses.Items {
		count(&addresses.Items[i], &addresses.Items[i].Status)
	}
	for name, of := range b.granted {
		if of == namespace {
			names[name] = true
		}
	}
	maps.DeleteFunc(names, func(name string, _ bool) bool { return own[name] })
	return names, nil
}

// isRetained tells the reservations that were made because of the annotation, and
// are for the Service still that they were made for.
func isRetained(object client.Object) bool {
	keys := serviceRefKeys(object)
	return object.GetLabels()[v1alpha1.RetainedLabel] == "true" && len(keys) == 1 && object.GetAnnotations()[v1alpha1.RetainedForAnnotation] == keys[0]
}

func refersTo(object client.Object, service types.NamespacedName) bool {
	keys := serviceRefKeys(object)
	return len(keys) == 1 && keys[0] == service.String()
}

// overLimit tells that a reservation whose Service is gone is one too many in its
// namespace. Then it goes at once.
func (r *reservations) overLimit(ctx context.Context, facts *reservationFacts, verdict reservationVerdict) (bool, error) {
	if !facts.retained || !facts.newlyReleased() {
		r.budget.forget(facts.Object)
		return false, nil
	}
	if verdict == reservationExpired {
		return false, nil // it goes anyway
	}
	granted, err := r.budget.grant(ctx, facts.Reservation)
	return !granted && err == nil, err
}

// reportOverLimit tells the users of the namespace what they have lost.
func (r *reservations) reportOverLimit(facts *reservationFacts) {
	retainRefused.WithLabelValues(refusedAtRelease).Inc()
	r.recorder.Eventf(serviceRef(facts.Service, facts.last().ServiceUID), nil, corev1.EventTypeWarning, reasonRetainLimit, "Retain",
		"%s is not kept for this Service: %s", facts.Number, overRetainLimit(facts.Service.Namespace))
}

// overRetainLimit says what can be done about it.
func overRetainLimit(namespace string) string {
	return fmt.Sprintf("namespace %s would keep more numbers of Services that are gone than it may: create these Services again, "+
		"have reservations of theirs deleted, or ask an administrator to reserve the number or to raise the limit (label %s on the namespace)",
		namespace, v1alpha1.RetainLimitLabel)
}

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
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch
// +kubebuilder:rbac:groups=switchyard.dev,resources=portreservations;addressreservations,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// retainReconciler makes reservations for the numbers of Services that are
// annotated with switchyard.dev/retain, while they live. When such a Service is
// deleted there is nothing left to do, so it needs no finalizer, and nothing is
// lost when the manager is away at that time.
type retainReconciler struct {
	client   client.Client
	recorder events.EventRecorder

	mu sync.Mutex
	// warned has what was said of a Service, so that it is not said again. It is
	// the one thing a restart forgets: the Event is then written once more.
	warned map[types.UID]string
}

const (
	reasonInvalidRetain = "InvalidRetain"
	reasonRetainedElse  = "NumberReservedForAnother"
)

func (r *retainReconciler) setup(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("retain").
		For(&corev1.Service{}).
		Watches(&v1alpha1.PortReservation{}, handler.EnqueueRequestsFromMapFunc(toItsService)).
		Watches(&v1alpha1.AddressReservation{}, handler.EnqueueRequestsFromMapFunc(toItsService)).
		Complete(r)
}

// toItsService leads from a reservation to the Service that it is for.
func toItsService(_ context.Context, object client.Object) []reconcile.Request {
	var ref *v1alpha1.ServiceReference
	switch reservation := object.(type) {
	case *v1alpha1.PortReservation:
		ref = reservation.Spec.ServiceRef
	case *v1alpha1.AddressReservation:
		ref = reservation.Spec.ServiceRef
	}
	if ref == nil {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}}}
}

// Reconcile brings the reservations of one Service in line with its annotation.
func (r *retainReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var service corev1.Service
	if err := r.client.Get(ctx, request.NamespacedName, &service); apierrors.IsNotFound(err) {
		return ctrl.Result{}, nil // its reservations know what to do
	} else if err != nil {
		return ctrl.Result{}, err
	}
	retain := v1alpha1.Retain(service.Annotations[v1alpha1.RetainAnnotation])
	if _, _, err := parseRetain(retain); err != nil {
		// Those that exist stay: a mistake in writing is not a wish to lose them.
		r.warn(&service, reasonInvalidRetain, fmt.Sprintf("annotation %s: %v; the reservations of this Service stay as they are", v1alpha1.RetainAnnotation, err))
		return ctrl.Result{}, nil
	}
	var ports v1alpha1.PortReservationList
	var addresses v1alpha1.AddressReservationList
	ours := client.MatchingFields{indexServiceRef: request.String()}
	if err := errors.Join(r.client.List(ctx, &ports, ours), r.client.List(ctx, &addresses, ours)); err != nil {
		return ctrl.Result{}, fmt.Errorf("listing the reservations of Service %s: %w", request, err)
	}
	return ctrl.Result{}, r.apply(ctx, &service, planRetain(&service, retain, ports.Items, addresses.Items))
}

func (r *retainReconciler) apply(ctx context.Context, service *corev1.Service, plan retainPlan) error {
	var errs []error
	for _, object := range plan.remove {
		uid := object.GetUID()
		errs = append(errs, client.IgnoreNotFound(r.client.Delete(ctx, object, client.Preconditions{UID: &uid})))
	}
	for _, object := range plan.update {
		errs = append(errs, r.client.Update(ctx, object))
	}
	for _, object := range plan.create {
		errs = append(errs, r.create(ctx, service, object))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("retaining the numbers of Service %s/%s: %w", service.Namespace, service.Name, err)
	}
	return nil
}

// create reserves one number. Where it is reserved already, that is for another
// Service, or for nobody; or the cache does not know yet that it is for this one.
func (r *retainReconciler) create(ctx context.Context, service *corev1.Service, object client.Object) error {
	name := object.GetName()
	err := r.client.Create(ctx, object)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	if err := r.client.Get(ctx, client.ObjectKey{Name: name}, object); err != nil {
		return client.IgnoreNotFound(err)
	}
	if keys := serviceRefKeys(object); len(keys) == 0 || keys[0] != service.Namespace+"/"+service.Name {
		r.warn(service, reasonRetainedElse, name+
			" is reserved for another, so it is not retained for this Service: delete that reservation, or give the number up")
	}
	return nil
}

// warn writes an Event about a Service, once for each text.
func (r *retainReconciler) warn(service *corev1.Service, reason, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.warned[service.UID] == text {
		return
	}
	if r.warned == nil {
		r.warned = map[types.UID]string{}
	}
	r.warned[service.UID] = text
	r.recorder.Eventf(service, nil, corev1.EventTypeWarning, reason, "Retain", "%s", text)
}

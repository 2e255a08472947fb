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
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// +kubebuilder:rbac:groups="",resources=services;namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=switchyard.dev,resources=portreservations;addressreservations,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// retainReconciler makes reservations for the numbers of Services that are
// annotated with switchyard.dev/retain, while they live. When such a Service is
// deleted there is nothing left to do, so it needs no finalizer, and nothing is
// lost when the manager is away at that time.
type retainReconciler struct {
	client   client.Client
	recorder events.EventRecorder
	budget   *retainBudget

	mu sync.Mutex
	// warned has what was said of each Service that there is something to say of, so
	// that it is not said again. It is the one thing a restart forgets: the Event is
	// then written once more.
	warned map[types.NamespacedName][]retainWarning
}

// retainWarning is an Event about a Service.
type retainWarning struct{ reason, text string }

const (
	reasonInvalidRetain  = "InvalidRetain"
	reasonRetainedElse   = "NumberReservedForAnother"
	reasonRetainLimit    = "RetainLimit"
	reasonRetainedShared = "AddressShared"

	// retainLimitRetry is how often a Service is looked at for which the limit has
	// no room.
	retainLimitRetry = time.Minute
)

func (r *retainReconciler) setup(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("retain").
		For(&corev1.Service{}).
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(r.toSharers)).
		Watches(&v1alpha1.PortReservation{}, handler.EnqueueRequestsFromMapFunc(toItsService)).
		Watches(&v1alpha1.AddressReservation{}, handler.EnqueueRequestsFromMapFunc(toItsService)).
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.toAnnotated), builder.WithPredicates(retainLimitChanged)).
		Complete(r)
}

// toItsService leads from a reservation to the Service that it is for.
func toItsService(_ context.Context, object client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, key := range serviceRefKeys(object) {
		namespace, name, _ := strings.Cut(key, "/")
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}})
	}
	return requests
}

// toSharers leads from a Service to those that have an address of its load balancer
// as well.
func (r *retainReconciler) toSharers(ctx context.Context, object client.Object) []reconcile.Request {
	service, ok := object.(*corev1.Service)
	if !ok {
		return nil
	}
	var requests []reconcile.Request
	for _, number := range loadBalancerIPs(service) {
		users, err := addressUsers(ctx, r.client, number)
		if err != nil {
			return nil // the cache has stopped
		}
		for i := range users {
			if users[i].Annotations[v1alpha1.RetainAnnotation] != "" {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&users[i])})
			}
		}
	}
	return requests
}

// toAnnotated leads from a namespace to the Services that the limit is about.
func (r *retainReconciler) toAnnotated(ctx context.Context, object client.Object) []reconcile.Request {
	var services corev1.ServiceList
	if err := r.client.List(ctx, &services, client.InNamespace(object.GetName()), client.UnsafeDisableDeepCopy); err != nil {
		return nil // the cache has stopped
	}
	var requests []reconcile.Request
	for i := range services.Items {
		if services.Items[i].Annotations[v1alpha1.RetainAnnotation] != "" {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&services.Items[i])})
		}
	}
	return requests
}

var retainLimitChanged = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false }, // its Services come by themselves
	DeleteFunc:  func(event.DeleteEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, after := e.ObjectOld.GetLabels(), e.ObjectNew.GetLabels()
		return before[v1alpha1.RetainLimitLabel] != after[v1alpha1.RetainLimitLabel]
	},
}

// Reconcile brings the reservations of one Service in line with its annotation.
func (r *retainReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var service corev1.Service
	if err := r.client.Get(ctx, request.NamespacedName, &service); apierrors.IsNotFound(err) {
		r.warn(request.NamespacedName, nil, nil)
		return ctrl.Result{}, nil // its reservations know what to do
	} else if err != nil {
		return ctrl.Result{}, err
	}
	warnings, retry, err := r.bring(ctx, &service)
	r.warn(request.NamespacedName, &service, warnings)
	return ctrl.Result{RequeueAfter: retry}, err
}

func (r *retainReconciler) bring(ctx context.Context, service *corev1.Service) (warnings []retainWarning, retry time.Duration, err error) {
	wish := retainWish{service: service, retain: v1alpha1.Retain(service.Annotations[v1alpha1.RetainAnnotation])}
	if _, _, err := parseRetain(wish.retain); err != nil {
		// Those that exist stay: a mistake in writing is not a wish to lose them.
		return []retainWarning{{reasonInvalidRetain, fmt.Sprintf("annotation %s: %v; the reservations of this Service stay as they are",
			v1alpha1.RetainAnnotation, err)}}, 0, nil
	}
	var limit int
	if wish.wants() {
		if limit, err = r.budget.limit(ctx, service.Namespace); err != nil {
			return nil, 0, err
		}
		if wish.shared, err = r.shared(ctx, service); err != nil {
			return nil, 0, err
		}
	}
	if wish.wants() && limit == 0 {
		wish.retain = ""
		warnings = append(warnings, retainWarning{reasonRetainLimit, fmt.Sprintf("annotation %s has no effect in this namespace: "+
			"ask an administrator for reservations, or for the label %s on the namespace", v1alpha1.RetainAnnotation, v1alpha1.RetainLimitLabel)})
	} else if len(wish.shared) > 0 {
		warnings = append(warnings, retainWarning{reasonRetainedShared, enumerate(numberTexts(wish.shared), ", ") +
			" is not retained: other Services have it as well, and it would be refused to them"})
	}
	plan, err := r.plan(ctx, wish)
	if err != nil {
		return warnings, 0, err
	}
	over, err := r.overLimit(ctx, service, plan, limit)
	if err != nil {
		return warnings, 0, err
	}
	if over {
		plan.create, retry = nil, retainLimitRetry
		warnings = append(warnings, retainWarning{reasonRetainLimit, "no number of this Service is reserved: " + overRetainLimit(service.Namespace)})
	}
	others, err := r.apply(ctx, service, plan)
	if len(others) > 0 {
		warnings = append(warnings, retainWarning{reasonRetainedElse, enumerate(others, ", ") +
			" is reserved for another, so it is not retained for this Service: have that reservation deleted, or give the number up"})
	}
	return warnings, retry, err
}

func (r *retainReconciler) plan(ctx context.Context, wish retainWish) (retainPlan, error) {
	var ports v1alpha1.PortReservationList
	var addresses v1alpha1.AddressReservationList
	key := client.ObjectKeyFromObject(wish.service)
	ours := client.MatchingFields{indexServiceRef: key.String()}
	if err := errors.Join(r.client.List(ctx, &ports, ours), r.client.List(ctx, &addresses, ours)); err != nil {
		return retainPlan{}, fmt.Errorf("listing the reservations of Service %s: %w", key, err)
	}
	return planRetain(wish, ports.Items, addresses.Items), nil
}

// overLimit tells that the namespace could keep more numbers than it may, if this
// Service went now. It is asked before numbers are reserved: those that are stay.
func (r *retainReconciler) overLimit(ctx context.Context, service *corev1.Service, plan retainPlan, limit int) (bool, error) {
	if len(plan.create) == 0 {
		return false, nil
	}
	kept, err := r.budget.kept(ctx, service.Namespace, client.ObjectKeyFromObject(service))
	return kept+plan.wanted > limit, err
}

// shared lists the addresses of a Service's load balancer that others have as well.
func (r *retainReconciler) shared(ctx context.Context, service *corev1.Service) ([]allocator.Number, error) {
	var shared []allocator.Number
	for _, number := range loadBalancerIPs(service) {
		users, err := addressUsers(ctx, r.client, number)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(users, func(user corev1.Service) bool {
			return (user.Namespace != service.Namespace || user.Name != service.Name) && slices.Contains(loadBalancerIPs(&user), number)
		}) {
			shared = append(shared, number)
		}
	}
	return shared, nil
}

func numberTexts(numbers []allocator.Number) []string {
	var texts []string
	for _, number := range numbers {
		texts = append(texts, number.String())
	}
	return texts
}

// apply carries the plan out, and lists the numbers that are reserved for others.
func (r *retainReconciler) apply(ctx context.Context, service *corev1.Service, plan retainPlan) (others []string, err error) {
	var errs []error
	for _, object := range plan.remove {
		uid := object.GetUID()
		errs = append(errs, client.IgnoreNotFound(r.client.Delete(ctx, object, client.Preconditions{UID: &uid})))
	}
	for _, object := range plan.update {
		errs = append(errs, r.client.Update(ctx, object))
	}
	for _, object := range plan.create {
		name := object.GetName()
		elsewhere, err := r.create(ctx, service, object)
		if errs = append(errs, err); elsewhere {
			others = append(others, name)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return others, fmt.Errorf("retaining the numbers of Service %s/%s: %w", service.Namespace, service.Name, err)
	}
	return others, nil
}

// create reserves one number. Where it is reserved already, that is for another
// Service, or for nobody; or the cache does not know yet that it is for this one.
func (r *retainReconciler) create(ctx context.Context, service *corev1.Service, object client.Object) (elsewhere bool, err error) {
	name := object.GetName()
	if err := r.client.Create(ctx, object); !apierrors.IsAlreadyExists(err) {
		return false, err
	}
	if err := r.client.Get(ctx, client.ObjectKey{Name: name}, object); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return !refersTo(object, client.ObjectKeyFromObject(service)), nil
}

// warn writes the Events about a Service that were not written the last time, and
// remembers these until there is nothing to say, or the Service is gone.
func (r *retainReconciler) warn(key types.NamespacedName, service *corev1.Service, warnings []retainWarning) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.warned[key]
	if len(warnings) == 0 {
		delete(r.warned, key)
		return
	}
	if r.warned == nil {
		r.warned = map[types.NamespacedName][]retainWarning{}
	}
	r.warned[key] = warnings
	for _, w := range warnings {
		if slices.Contains(before, w) {
			continue
		}
		if w.reason == reasonRetainLimit {
			retainRefused.WithLabelValues(refusedAtReserve).Inc()
		}
		r.recorder.Eventf(service, nil, corev1.EventTypeWarning, w.reason, "Retain", "%s", w.text)
	}
}

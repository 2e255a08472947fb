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

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	// EndpointSliceMirroringControllerName is the managed-by value of
	// kube-controller-manager's endpointslice-mirroring-controller, whose place
	// EndpointSliceMirroringReconciler takes.
	EndpointSliceMirroringControllerName = "endpointslicemirroring-controller.k8s.io"

	mirroringFieldManager = "switchyard-endpointslice-mirroring-controller"
)

// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch
// +kubebuilder:rbac:roleName=manager-endpoints-role,groups="",resources=endpoints,verbs=get;list;watch
// +kubebuilder:rbac:roleName=manager-endpoints-role,groups="",resources=endpoints/finalizers,verbs=update
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=get;list;watch
// +kubebuilder:rbac:roleName=manager-endpoints-role,groups=discovery.k8s.io,resources=endpointslices,verbs=create;update;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// EndpointSliceMirroringReconciler copies Endpoints that somebody made by hand,
// for a Service without a selector, into EndpointSlices, which is all that
// proxies read. What the copies look like is planMirror's decision.
type EndpointSliceMirroringReconciler struct {
	// Client reads from the manager's cache and writes.
	Client client.Client
	// Live, when set, tells the Endpoints that an EndpointsReconciler beside this one
	// has made: those of a Service that has lost its selector are not mirrored.
	Live client.Reader
	// Options are the tunables; zero values are defaulted.
	Options EndpointsOptions

	owner    sliceOwner
	recorder legacyRecorder
	lag      *cacheLag
	// conflicts are those of writes.
	conflicts conflicts
}

// Reconcile mirrors one Endpoints object, or removes the mirror of one that is
// gone or not to be mirrored any more.
func (r *EndpointSliceMirroringReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	key := request.NamespacedName
	endpoints, service, err := r.source(ctx, key)
	if err != nil {
		return ctrl.Result{}, err
	}
	existing, err := r.owner.list(ctx, r.Client, key)
	if err != nil {
		return ctrl.Result{}, err
	}
	mirror, err := r.shouldMirror(ctx, endpoints, service)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !mirror {
		r.owner.tracker.DeleteService(key.Namespace, key.Name)
		r.lag.caughtUp(key)
		return ctrl.Result{}, deleteSlices(ctx, r.Client, existing)
	}
	if r.owner.tracker.StaleSlices(service, existing) {
		if wait := r.lag.wait(key); wait > 0 {
			return ctrl.Result{RequeueAfter: wait}, nil
		}
		r.owner.tracker.DeleteService(key.Namespace, key.Name)
	}
	r.lag.caughtUp(key)
	plan := planMirror(endpoints, existing, r.Options.MaxEndpointsPerSubset)
	r.report(endpoints, plan)
	wait, err := r.apply(ctx, endpoints, plan)
	if wait == 0 && err == nil {
		r.conflicts.settled(key)
	}
	return ctrl.Result{RequeueAfter: wait}, err
}

// shouldMirror leaves out what the EndpointsReconciler made of pods and is about
// to delete, since the Service selects none any more.
func (r *EndpointSliceMirroringReconciler) shouldMirror(ctx context.Context, endpoints *corev1.Endpoints, service *corev1.Service) (bool, error) {
	mirror := shouldMirror(endpoints, service)
	if !mirror || r.Live == nil || !managedEndpoints(endpoints) || keepsEndpoints(service) {
		return mirror, nil
	}
	ours, err := writtenByUs(ctx, r.Live, podEndpointsTarget, client.ObjectKeyFromObject(endpoints))
	return err == nil && ours == nil, client.IgnoreNotFound(err)
}

// source reads the Endpoints and the Service of a name, which are not to be
// changed; what does not exist is nil.
func (r *EndpointSliceMirroringReconciler) source(ctx context.Context, key types.NamespacedName) (*corev1.Endpoints, *corev1.Service, error) {
	endpoints, service := &corev1.Endpoints{}, &corev1.Service{}
	if err := r.Client.Get(ctx, key, endpoints, client.UnsafeDisableDeepCopy); apierrors.IsNotFound(err) {
		endpoints = nil
	} else if err != nil {
		return nil, nil, err
	}
	if err := r.Client.Get(ctx, key, service, client.UnsafeDisableDeepCopy); apierrors.IsNotFound(err) {
		service = nil
	} else if err != nil {
		return nil, nil, err
	}
	return endpoints, service, nil
}

// report tells the user about addresses that are left out.
func (r *EndpointSliceMirroringReconciler) report(endpoints *corev1.Endpoints, plan mirrorPlan) {
	mirroredSkipped.Observe(float64(plan.invalid + plan.surplus))
	if plan.invalid > 0 {
		r.recorder.Eventf(endpoints, corev1.EventTypeWarning, "InvalidIPAddress",
			"Skipped %d invalid IP addresses when mirroring to EndpointSlices", plan.invalid)
	}
	if plan.surplus > 0 {
		r.recorder.Eventf(endpoints, corev1.EventTypeWarning, "TooManyAddressesToMirror",
			"A max of %d addresses can be mirrored to EndpointSlices per Endpoints subset. %d addresses were skipped",
			r.Options.MaxEndpointsPerSubset, plan.surplus)
	}
}

// apply writes the plan, and returns how long to wait when it was of slices that
// are not so any more. The families do not stop each other. What the API server
// finds invalid, it will find so until the Endpoints change: Endpoints may say
// things that slices can not, such as the same name for two ports of an address.
func (r *EndpointSliceMirroringReconciler) apply(ctx context.Context, endpoints *corev1.Endpoints, plan mirrorPlan) (time.Duration, error) {
	key := client.ObjectKeyFromObject(endpoints)
	defer r.owner.underWay.write(key)()
	var failed, invalid []error
	for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN} {
		for _, err := range r.carryOut(ctx, endpoints, plan.of(family)) {
			if !apierrors.IsInvalid(err) {
				failed = append(failed, err)
				continue
			}
			invalid = append(invalid, err)
			r.recorder.Eventf(endpoints, corev1.EventTypeWarning, "FailedToUpdateEndpointSlices", "Error mirroring to EndpointSlices: %v", err)
		}
	}
	if onlyConflicts(failed) {
		if wait := r.conflicts.wait(key); wait > 0 {
			return wait, nil
		}
	}
	err := errors.Join(append(failed, invalid...)...)
	switch {
	case err == nil:
		return 0, nil
	case len(failed) == 0:
		err = reconcile.TerminalError(err)
	}
	return 0, fmt.Errorf("mirroring Endpoints %s: %w", key, err)
}

// carryOut tries every write but those that take an endpoint out of a slice which
// another was to have, whose own write has failed.
func (r *EndpointSliceMirroringReconciler) carryOut(ctx context.Context, endpoints *corev1.Endpoints, plan mirrorPlan) (errs []error) {
	unwritten := homeless{}
	if endpoints.DeletionTimestamp == nil {
		for _, slice := range plan.create {
			if err := r.written("create", slice, r.Client.Create(ctx, slice)); err != nil {
				errs = append(errs, err)
				unwritten.add(slice)
			}
		}
	}
	for _, slice := range plan.update {
		if unwritten.leave(plan.before[slice.Name], slice) {
			unwritten.add(slice)
			continue
		}
		if err := r.written("update", slice, r.Client.Update(ctx, slice)); err != nil {
			errs = append(errs, err)
			unwritten.add(slice)
		}
	}
	for _, slice := range plan.remove {
		if unwritten.leave(slice, nil) {
			continue
		}
		if err := client.IgnoreNotFound(r.Client.Delete(ctx, slice)); err != nil {
			errs = append(errs, err)
			continue
		}
		r.owner.tracker.ExpectDeletion(slice)
		mirroredChanges.WithLabelValues("delete").Inc()
	}
	return errs
}

// written tracks a successful write. A namespace on its way out takes no new
// objects, and there is no use in trying again.
func (r *EndpointSliceMirroringReconciler) written(verb string, slice *discoveryv1.EndpointSlice, err error) error {
	switch {
	case err == nil:
		r.owner.underWay.wrote(slice, r.owner.tracker)
		mirroredChanges.WithLabelValues(verb).Inc()
		return nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return nil
	}
	return fmt.Errorf("%s EndpointSlice %s%s: %w", verb, slice.Name, slice.GenerateName, err)
}

// SetupWithManager registers the watches.
func (r *EndpointSliceMirroringReconciler) SetupWithManager(mgr ctrl.Manager) error {
	ctx := context.Background()
	r.Options.Default()
	registerMirroringMetrics()
	if r.Client == nil {
		r.Client = mgr.GetClient()
	}
	r.Client = client.WithFieldOwner(r.Client, mirroringFieldManager)
	r.owner = newSliceOwner(EndpointSliceMirroringControllerName)
	r.recorder = legacyRecorder{mgr.GetEventRecorder(mirroringFieldManager)}
	r.lag = newCacheLag(time.Now)
	if err := r.owner.registerIndex(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("endpointslice-mirroring").
		WithOptions(r.Options.controller()).
		Watches(&corev1.Endpoints{}, mirrorSourceEvents(r.madeOfPods)).
		Watches(&corev1.Service{}, selectorChangeEvents()).
		Watches(&discoveryv1.EndpointSlice{}, r.owner.events(r.Options.BatchPeriod, nil)).
		Complete(r)
}

// madeOfPods says so of Endpoints of a Service with a selector. They are written
// with every pod that changes and have no mirror: when the Service loses its
// selector, that is an event of its own.
func (r *EndpointSliceMirroringReconciler) madeOfPods(ctx context.Context, endpoints client.Object) bool {
	service := &corev1.Service{}
	return managedEndpoints(endpoints) &&
		r.Client.Get(ctx, client.ObjectKeyFromObject(endpoints), service, client.UnsafeDisableDeepCopy) == nil && len(service.Spec.Selector) > 0
}

// mirrorSourceEvents queues Endpoints that are or were to be mirrored.
func mirrorSourceEvents(madeOfPods func(context.Context, client.Object) bool) handler.EventHandler {
	add := func(queue requestQueue, objects ...client.Object) {
		for _, object := range objects {
			if mayMirror(object) {
				queue.Add(requestFor(client.ObjectKeyFromObject(object)))
				return
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue requestQueue) { add(queue, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, queue requestQueue) {
			if !managedEndpoints(e.ObjectOld) || !madeOfPods(ctx, e.ObjectNew) {
				add(queue, e.ObjectNew, e.ObjectOld)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue requestQueue) { add(queue, e.Object) },
	}
}

// selectorChangeEvents queues Services that have no selector, or gained or lost
// it, or the annotation that keeps their endpoints.
func selectorChangeEvents() handler.EventHandler {
	selectorless := func(object client.Object) bool { return len(object.(*corev1.Service).Spec.Selector) == 0 }
	keeps := func(object client.Object) bool { return keepsEndpoints(object.(*corev1.Service)) }
	add := func(queue requestQueue, object client.Object) {
		queue.Add(requestFor(client.ObjectKeyFromObject(object)))
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue requestQueue) {
			if selectorless(e.Object) {
				add(queue, e.Object)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue requestQueue) {
			if selectorless(e.ObjectOld) != selectorless(e.ObjectNew) || keeps(e.ObjectOld) != keeps(e.ObjectNew) {
				add(queue, e.ObjectNew)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue requestQueue) {
			if selectorless(e.Object) {
				add(queue, e.Object)
			}
		},
	}
}

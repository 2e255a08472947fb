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
	endpointslicemetrics "k8s.io/endpointslice/metrics"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"switchyard.dev/switchyard/internal/endpointslices"
)

const (
	// EndpointSliceControllerName is the managed-by value of kube-controller-manager's
	// endpointslice-controller, whose place EndpointSliceReconciler takes.
	EndpointSliceControllerName = "endpointslice-controller.k8s.io"

	endpointSliceFieldManager = "switchyard-endpointslice-controller"
)

// +kubebuilder:rbac:groups="",resources=services;pods;nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=get;list;watch
// +kubebuilder:rbac:roleName=manager-endpoints-role,groups=discovery.k8s.io,resources=endpointslices,verbs=create;update;delete
// +kubebuilder:rbac:roleName=manager-endpoints-role,groups="",resources=services/finalizers,verbs=update
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// EndpointSliceReconciler keeps the EndpointSlices of every Service that has a
// selector. What a slice holds and how endpoints are packed into slices is
// internal/endpointslices' to decide; this type finds out which Service needs it
// and when, and for which of its pods.
type EndpointSliceReconciler struct {
	// Client reads from the manager's cache and deletes what is left over.
	Client client.Client
	// Live reads past the cache, what is about to be deleted.
	Live client.Reader
	// Options are the tunables; zero values are defaulted.
	Options EndpointsOptions

	owner    sliceOwner
	services *selectorIndex
	pods     podIndex
	dirty    *dirtyPods
	triggers *triggerTimes
	topology *zoneTopology
	writer   *sliceWriter
	recorder legacyRecorder
	lag      *cacheLag
	// conflicts are those of writes, and of deletions.
	conflicts conflicts
}

// Reconcile brings the slices of one Service in line with its pods. The empty
// request stands for the nodes and their zones, one without a namespace for a node.
func (r *EndpointSliceReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if err := r.topology.ensure(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if request == nodesRequest {
		return ctrl.Result{}, r.topology.refresh(ctx)
	}
	if request.Namespace == "" {
		return ctrl.Result{}, r.topology.gone(ctx, request.Name)
	}
	wait, err := r.dirty.work(request.NamespacedName, func(taken errand) (time.Duration, error) {
		if taken.done() {
			return 0, nil
		}
		return r.sync(ctx, request.NamespacedName, taken)
	})
	if wait == 0 && err == nil {
		r.conflicts.settled(request.NamespacedName)
	}
	endpointslicemetrics.EndpointSliceSyncs.WithLabelValues(syncResult(wait, err)).Inc()
	return ctrl.Result{RequeueAfter: wait}, err
}

// sync returns how long to wait when the cache has not caught up with our writes.
func (r *EndpointSliceReconciler) sync(ctx context.Context, key types.NamespacedName, taken errand) (time.Duration, error) {
	var service corev1.Service
	err := r.Client.Get(ctx, key, &service, client.UnsafeDisableDeepCopy)
	switch {
	case apierrors.IsNotFound(err):
		return 0, r.removeOrphans(ctx, key)
	case err != nil:
		return 0, err
	case !selectsPods(&service):
		return 0, r.letGo(ctx, &service)
	}
	return r.syncService(ctx, &service, taken)
}

func (r *EndpointSliceReconciler) syncService(ctx context.Context, service *corev1.Service, taken errand) (time.Duration, error) {
	key := client.ObjectKeyFromObject(service)
	existing, err := r.owner.list(ctx, r.Client, key)
	if err != nil {
		return 0, err
	}
	if r.owner.tracker.StaleSlices(service, existing) {
		if wait := r.lag.wait(key); wait > 0 {
			return wait, nil
		}
		// An expected slice was created and deleted between two looks of the
		// informer, or the watch is broken: what the cache says is the best there is.
		r.owner.tracker.DeleteService(key.Namespace, key.Name)
		taken.whole = true
	}
	r.lag.caughtUp(key)
	plans, trigger, err := r.plan(service, existing, taken)
	if err == nil {
		errs := r.writer.write(ctx, service, existing, plans, trigger)
		if onlyConflicts(errs) {
			if wait := r.conflicts.wait(key); wait > 0 {
				r.dirty.whole(key)
				return wait, nil
			}
		}
		err = errors.Join(errs...)
	}
	if err != nil {
		r.recorder.Eventf(service, corev1.EventTypeWarning, "FailedToUpdateEndpointSlices",
			"Error updating Endpoint Slices for Service %s: %v", key, err)
		return 0, fmt.Errorf("updating EndpointSlices of Service %s: %w", key, err)
	}
	return 0, nil
}

// plan is for the pods that have changed, or for all if they can not be planned
// alone.
func (r *EndpointSliceReconciler) plan(service *corev1.Service, existing []*discoveryv1.EndpointSlice, taken errand) (
	[]endpointslices.Plan, time.Time, error) {
	key := client.ObjectKeyFromObject(service)
	in := endpointslices.Input{
		Service: service, Node: r.topology.node, Existing: existing,
		ManagedBy: EndpointSliceControllerName, MaxEndpoints: int(r.Options.MaxEndpointsPerSlice),
	}
	if !taken.whole {
		changes, err := r.pods.changes(service, taken.pods)
		if err != nil {
			return nil, time.Time{}, err
		}
		if plans, ok := endpointslices.Increment(in, changes); ok {
			slicePlans.WithLabelValues(planOfPods).Inc()
			return plans, r.triggers.ofSome(key, changes), nil
		}
	}
	pods, err := r.pods.selected(service, r.services.Anchor(key))
	if err != nil {
		return nil, time.Time{}, err
	}
	in.Pods = pods
	slicePlans.WithLabelValues(planOfService).Inc()
	return endpointslices.Plans(in), r.triggers.of(service, pods), nil
}

func (r *EndpointSliceReconciler) forget(key types.NamespacedName) {
	r.dirty.whole(key)
	r.triggers.forget(key)
	r.writer.forget(key)
	r.owner.tracker.DeleteService(key.Namespace, key.Name)
	r.topology.forget(key)
	r.lag.caughtUp(key)
}

// SetupWithManager registers the watches. Slices are written by a clientset,
// whose answers tell their generations, and whose user agent makes the API
// server record our field manager.
func (r *EndpointSliceReconciler) SetupWithManager(mgr ctrl.Manager) error {
	ctx := context.Background()
	r.Options.Default()
	registerSliceMetrics()
	slices, err := sliceClient(configFor(mgr.GetConfig(), endpointSliceFieldManager))
	if err != nil {
		return fmt.Errorf("creating the EndpointSlice client: %w", err)
	}
	if r.Client == nil {
		r.Client = mgr.GetClient()
	}
	if r.Live == nil {
		r.Live = mgr.GetAPIReader()
	}
	r.owner = newSliceOwner(EndpointSliceControllerName)
	r.services = newSelectorIndex()
	if r.pods, err = newPodIndex(ctx, mgr); err != nil {
		return err
	}
	r.dirty = newDirtyPods()
	r.triggers = newTriggerTimes()
	r.recorder = legacyRecorder{mgr.GetEventRecorder(endpointSliceFieldManager)}
	r.lag = newCacheLag(time.Now)
	if r.topology, err = newZoneTopology(ctx, mgr, r.services, r.Options.NodeQuarantine); err != nil {
		return err
	}
	r.writer = &sliceWriter{
		client: slices, tracker: r.owner.tracker, underWay: r.owner.underWay, topology: r.topology.cache,
		metrics: endpointslicemetrics.NewCache(r.Options.MaxEndpointsPerSlice), recorder: r.recorder,
	}
	if err := r.owner.registerIndex(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	return r.watch(mgr)
}

func (r *EndpointSliceReconciler) watch(mgr ctrl.Manager) error {
	delay := max(sliceRepairDelay, r.Options.BatchPeriod)
	// A foreign slice matters only where ours may be in its way: letGo.
	foreign := func(service types.NamespacedName) bool { return !r.services.Has(service) }
	return ctrl.NewControllerManagedBy(mgr).
		Named("endpointslice").
		WithOptions(r.Options.controller()).
		Watches(&corev1.Service{}, r.dirty.wholes(serviceEvents(r.services))).
		Watches(&corev1.Pod{}, podEvents(r.services, r.Options.BatchPeriod, r.dirty.add)).
		Watches(&corev1.Node{}, r.dirty.wholes(r.topology.events())).
		Watches(&discoveryv1.EndpointSlice{}, r.dirty.wholes(r.owner.events(delay, foreign)), builder.WithPredicates(r.newOrStray())).
		WatchesRawSource(source.TypedChannel(r.topology.overloaded, queueGeneric(r.dirty))).
		Complete(r)
}

// newOrStray leaves out the slices that exist when the watch begins and belong to
// Services, which are queued anyway.
func (r *EndpointSliceReconciler) newOrStray() predicate.Predicate {
	return predicate.Funcs{CreateFunc: func(e event.CreateEvent) bool {
		slice, ok := e.Object.(*discoveryv1.EndpointSlice)
		return !e.IsInInitialList || ok && !r.services.Has(serviceOfSlice(slice))
	}}
}

// queueGeneric queues Services that come through a channel, each as a whole.
func queueGeneric(dirty *dirtyPods) handler.TypedEventHandler[types.NamespacedName, reconcile.Request] {
	return handler.TypedFuncs[types.NamespacedName, reconcile.Request]{
		GenericFunc: func(_ context.Context, e event.TypedGenericEvent[types.NamespacedName], queue requestQueue) {
			dirty.whole(e.Object)
			queue.Add(requestFor(e.Object))
		},
	}
}

func syncResult(wait time.Duration, err error) string {
	switch {
	case err != nil:
		return "error"
	case wait > 0:
		return "stale"
	default:
		return "success"
	}
}

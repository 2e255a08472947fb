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
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"switchyard.dev/switchyard/internal/subsets"
)

const (
	// EndpointsControllerName is the managed-by value of kube-controller-manager's
	// endpoints-controller, whose place EndpointsReconciler takes.
	EndpointsControllerName = "endpoint-controller"

	endpointsFieldManager = "switchyard-endpoints-controller"
)

// +kubebuilder:rbac:groups="",resources=services;pods,verbs=get;list;watch
// +kubebuilder:rbac:roleName=manager-endpoints-role,groups="",resources=endpoints,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:roleName=manager-endpoints-role,groups="",resources=endpoints/restricted,verbs=create
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// EndpointsReconciler keeps the legacy Endpoints object of every Service that has
// a selector, for those who still read it. All it decides is desiredEndpoints.
type EndpointsReconciler struct {
	// Client reads from the manager's cache and writes.
	Client client.Client
	// Live reads past the cache, what is about to be deleted.
	Live client.Reader
	// Options are the tunables; zero values are defaulted.
	Options EndpointsOptions

	services *selectorIndex
	pods     podIndex
	dirty    *dirtyPods
	triggers *triggerTimes
	ledgers  *endpointsLedgers
	writes   *writeTracker
	recorder legacyRecorder
	// conflicts are those of writes, and of deletions.
	conflicts conflicts
}

// Reconcile brings the Endpoints of one Service in line with its pods.
func (r *EndpointsReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	wait, err := r.dirty.work(request.NamespacedName, func(taken errand) (time.Duration, error) {
		return r.work(ctx, request.NamespacedName, taken)
	})
	if wait == 0 && err == nil {
		r.conflicts.settled(request.NamespacedName)
	}
	return ctrl.Result{RequeueAfter: wait}, err
}

func (r *EndpointsReconciler) work(ctx context.Context, key types.NamespacedName, taken errand) (time.Duration, error) {
	var service corev1.Service
	err := r.Client.Get(ctx, key, &service, client.UnsafeDisableDeepCopy)
	switch {
	case apierrors.IsNotFound(err):
		return 0, r.removeOrphan(ctx, key)
	case err != nil:
		return 0, err
	case !selectsPods(&service):
		return r.letGo(ctx, &service)
	}
	return r.sync(ctx, &service, taken)
}

// sync returns how long to wait when the cache has not caught up with our writes,
// or when large Endpoints have just been written and only pods have changed since.
// Somebody else may have changed the Endpoints even if no pod has.
func (r *EndpointsReconciler) sync(ctx context.Context, service *corev1.Service, taken errand) (time.Duration, error) {
	if wait := r.ledgers.of(service).pause(); wait > 0 && !taken.whole {
		return wait, nil
	}
	current, err := r.current(ctx, client.ObjectKeyFromObject(service))
	if err != nil {
		return 0, err
	}
	if current != nil && r.writes.superseded(current) {
		return lagRetry, nil
	}
	ledger, desired, trigger, err := r.desired(service, current, taken)
	if err != nil || desired == nil {
		return 0, err
	}
	if current == nil || ledger.differs(current) || !endpointsEqual(current, desired) {
		setTriggerTime(desired, trigger)
		var wait time.Duration
		if wait, err = r.write(ctx, service, current, desired); wait > 0 || err != nil {
			return wait, err
		}
		ledger.rest()
	}
	if ledger != nil {
		ledger.wrote(desired.ResourceVersion)
	}
	return 0, nil
}

// desired is nil if nothing is to be done. The pods that have changed are looked
// at alone where a ledger has the others.
func (r *EndpointsReconciler) desired(service *corev1.Service, current *corev1.Endpoints, taken errand) (
	ledger *endpointsLedger, desired *corev1.Endpoints, trigger time.Time, err error) {
	key := client.ObjectKeyFromObject(service)
	if ledger = r.ledgers.of(service); ledger != nil && !taken.whole {
		changes, err := r.pods.changes(service, taken.pods)
		if err != nil {
			return nil, nil, time.Time{}, err
		}
		if ledger.apply(service, changes) {
			trigger = r.triggers.ofSome(key, changes)
			if ledger.upToDate(current) {
				return nil, nil, time.Time{}, nil
			}
			return ledger, endpointsWith(current, service, ledger.view.Subsets(), ledger.view.Truncated), trigger, nil
		}
	}
	pods, err := r.pods.selected(service, r.services.Anchor(key))
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	trigger = r.triggers.of(service, pods)
	if ledger = r.ledgers.begin(service, pods); ledger != nil {
		return ledger, endpointsWith(current, service, ledger.view.Subsets(), ledger.view.Truncated), trigger, nil
	}
	return nil, desiredEndpoints(current, service, pods), trigger, nil
}

// current is the object of the cache, which is not to be changed.
func (r *EndpointsReconciler) current(ctx context.Context, key types.NamespacedName) (*corev1.Endpoints, error) {
	var endpoints corev1.Endpoints
	if err := r.Client.Get(ctx, key, &endpoints, client.UnsafeDisableDeepCopy); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return &endpoints, nil
}

func (r *EndpointsReconciler) forget(key types.NamespacedName) {
	r.dirty.whole(key)
	r.ledgers.forget(key)
	r.triggers.forget(key)
	r.writes.forget(key)
}

// endpointsEqual compares what we decide. Subsets are compared packed: another
// writer, or an earlier version, may order the same content differently.
func endpointsEqual(current, desired *corev1.Endpoints) bool {
	return apiequality.Semantic.DeepEqual(subsets.Repack(current.Subsets), subsets.Repack(desired.Subsets)) &&
		apiequality.Semantic.DeepEqual(current.Labels, desired.Labels) &&
		current.Annotations[corev1.EndpointsOverCapacity] == desired.Annotations[corev1.EndpointsOverCapacity]
}

func (r *EndpointsReconciler) write(ctx context.Context, service *corev1.Service, current, desired *corev1.Endpoints) (time.Duration, error) {
	key := client.ObjectKeyFromObject(service)
	verb, reason, write := "update", "FailedToUpdateEndpoint", func() error { return r.Client.Update(ctx, desired) }
	if current == nil {
		if service.DeletionTimestamp != nil {
			return 0, nil
		}
		verb, reason, write = "create", "FailedToCreateEndpoint", func() error { return r.Client.Create(ctx, desired) }
	}
	err := write()
	switch {
	case err == nil:
		r.writes.wrote(current, desired)
		ctrl.LoggerFrom(ctx).V(2).Info("Wrote Endpoints", "verb", verb, "subsets", len(desired.Subsets))
		r.tellTruncation(service, current, desired)
		return 0, nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return 0, nil
	case isConflict(err):
		// The cache is behind; what it is about to show has to be read first.
		if wait := r.conflicts.wait(key); wait > 0 {
			return wait, nil
		}
	}
	r.recorder.Eventf(service, corev1.EventTypeWarning, reason, "Failed to %s endpoint %s: %v", verb, key, err)
	return 0, fmt.Errorf("writing Endpoints %s: %w", key, err)
}

// tellTruncation says once that addresses are left out (row E24).
func (r *EndpointsReconciler) tellTruncation(service *corev1.Service, before, after *corev1.Endpoints) {
	const key = corev1.EndpointsOverCapacity
	if after.Annotations[key] == overCapacityTruncated && (before == nil || before.Annotations[key] != overCapacityTruncated) {
		r.recorder.Eventf(service, corev1.EventTypeWarning, "EndpointsTruncated",
			"Endpoints hold %d addresses at most: the others are in EndpointSlices alone, and who still reads Endpoints does not see them",
			maxEndpointsAddresses)
	}
}

// removeOrphan deletes Endpoints whose Service is gone. API servers older than 1.37
// do that too when they delete a Service, but we may have written after they did.
// Locks of old leader elections live in Endpoints without a Service.
func (r *EndpointsReconciler) removeOrphan(ctx context.Context, key types.NamespacedName) error {
	r.forget(key)
	orphan, err := r.current(ctx, key)
	if err != nil || orphan == nil || isLeaderLock(orphan) {
		return err
	}
	// Endpoints that somebody has made by hand are made again by nobody.
	if gone, err := serviceGone(ctx, r.Live, key); err != nil || !gone {
		return err
	}
	// What is at that name may be another object than the one we have looked at.
	same := client.Preconditions{UID: &orphan.UID, ResourceVersion: &orphan.ResourceVersion}
	err = r.Client.Delete(ctx, orphan, same)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting Endpoints %s without a Service: %w", key, err)
	}
	ctrl.LoggerFrom(ctx).V(2).Info("Deleted Endpoints without a Service")
	return nil
}

func isLeaderLock(object metav1.Object) bool {
	_, held := object.GetAnnotations()[resourcelock.LeaderElectionRecordAnnotationKey]
	return held
}

// SetupWithManager registers the watches.
func (r *EndpointsReconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.Options.Default()
	var err error
	if r.Client == nil {
		r.Client, err = endpointsClient(mgr.GetConfig(), client.Options{
			HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), Cache: &client.CacheOptions{Reader: mgr.GetCache()},
		})
		if err != nil {
			return fmt.Errorf("creating the Endpoints client: %w", err)
		}
	}
	if r.Live == nil {
		r.Live = mgr.GetAPIReader()
	}
	r.Client = client.WithFieldOwner(r.Client, endpointsFieldManager)
	r.services = newSelectorIndex()
	if r.pods, err = newPodIndex(context.Background(), mgr); err != nil {
		return err
	}
	r.dirty = newDirtyPods()
	r.triggers = newTriggerTimes()
	r.ledgers = newEndpointsLedgers()
	r.writes = newWriteTracker()
	r.recorder = legacyRecorder{mgr.GetEventRecorder(endpointsFieldManager)}
	return ctrl.NewControllerManagedBy(mgr).
		Named("endpoints").
		WithOptions(r.Options.controller()).
		Watches(&corev1.Service{}, r.dirty.wholes(serviceEvents(r.services))).
		Watches(&corev1.Pod{}, podEvents(r.services, r.Options.BatchPeriod, r.dirty.add)).
		Watches(&corev1.Endpoints{}, r.endpointsEvents()).
		Complete(r)
}

// endpointsEvents repairs what others did to our objects. All objects that exist
// at the start are queued, which finds those whose Service went while nobody
// looked; afterwards only those labelled as ours, since people may well create
// Endpoints before the Service they are for.
func (r *EndpointsReconciler) endpointsEvents() handler.EventHandler {
	add := func(queue requestQueue, object client.Object) {
		queue.AddAfter(requestFor(client.ObjectKeyFromObject(object)), r.Options.BatchPeriod)
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue requestQueue) {
			if e.IsInInitialList || managedEndpoints(e.Object) && !r.writes.isOwn(e.Object) {
				add(queue, e.Object)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue requestQueue) {
			ours := managedEndpoints(e.ObjectOld) || managedEndpoints(e.ObjectNew)
			if ours && !r.writes.isOwn(e.ObjectNew) {
				add(queue, e.ObjectNew)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue requestQueue) {
			add(queue, e.Object)
		},
	}
}

func managedEndpoints(object metav1.Object) bool {
	return object.GetLabels()[endpointsManagedByLabel] == EndpointsControllerName
}

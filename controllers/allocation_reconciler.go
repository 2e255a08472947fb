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
	"net/http"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"switchyard.dev/switchyard/allocator"
)

// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=servicecidrs,verbs=list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;list;watch;delete,namespace=switchyard-system

// AllocationReconciler keeps the index of numbers true, and says what is wrong.
//
// Every replica feeds its own index from the Services, the ServiceCIDRs and the
// claims (allocationFeed), because every replica serves the webhook: a Service
// that was created while the webhook was away is adopted by being seen. Only the
// leader reports numbers that two Services hold or that lie in no range, and
// collects claims.
//
//	what is found                          what is done
//	a number with one holder, in range     nothing
//	a number with two holders              an Event on both, the oldest keeps it
//	a number in no range                   an Event
//	a claim whose number has a holder      deleted once every replica has seen the holder
//	a claim whose number has none          deleted after 60 s: its request has failed
//	a claim whose number has one no more   deleted
//	a claim of a port that the API server  kept until it does: nobody is offered the
//	does not give, though nobody has it    port meanwhile
//	a port that a double has left free     an Event, if this leader has seen both begin
//	                                       and end; the API server takes it again
type AllocationReconciler struct {
	Client client.Client
	// Live reads past the cache. Both are taken from the manager when nil.
	Live  client.Reader
	Index *allocator.Services
	// Namespace is where claims are kept: the manager's own.
	Namespace string
	Recorder  events.EventRecorder
	// Now is the clock, time.Now when nil.
	Now func() time.Time

	mu       sync.Mutex
	reported map[types.NamespacedName]map[situation]bool
	probes   map[allocator.Number]probe // ports to be asked about
}

// SetupWithManager adds the feed of every replica and the leader's two loops.
func (r *AllocationReconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Index == nil || r.Namespace == "" {
		return fmt.Errorf("setting up the allocation controller: it needs an index and a namespace for claims")
	}
	r.setDefaults(mgr)
	claims, err := claimsCache(mgr, r.Namespace, allocator.ClaimLabel)
	if err != nil {
		return fmt.Errorf("setting up the cache of claims: %w", err)
	}
	allocationGauges.watch(r.Index)
	if err := errors.Join(mgr.Add(onEveryReplica{claims}), mgr.Add(newAllocationFeed(r, mgr, claims))); err != nil {
		return fmt.Errorf("setting up the index of Services: %w", err)
	}
	if err := ctrl.NewControllerManagedBy(mgr).Named("allocation").For(&corev1.Service{}).Complete(r); err != nil {
		return fmt.Errorf("setting up the allocation controller: %w", err)
	}
	collector := &claimCollector{index: r.Index, reader: claims, writer: r.Client, now: r.Now, namespace: r.Namespace}
	return ctrl.NewControllerManagedBy(mgr).Named("allocation-claims").
		WithOptions(controller.Options{MaxConcurrentReconciles: claimCollectors}).
		WatchesRawSource(source.Kind(claims, &coordinationv1.Lease{}, &handler.TypedEnqueueRequestForObject[*coordinationv1.Lease]{})).
		Complete(collector)
}

func (r *AllocationReconciler) setDefaults(mgr ctrl.Manager) {
	if r.Client == nil {
		r.Client = mgr.GetClient()
	}
	if r.Live == nil {
		r.Live = mgr.GetAPIReader()
	}
	if r.Recorder == nil {
		r.Recorder = mgr.GetEventRecorder("switchyard-allocation")
	}
	if r.Now == nil {
		r.Now = time.Now
	}
}

// onEveryReplica is a runnable that does not wait for the leader lock. A cache
// with settings by object does not say so by itself, and without claims no index
// is ready.
type onEveryReplica struct{ manager.Runnable }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (onEveryReplica) NeedLeaderElection() bool { return false }

// ReadyCheck is for /readyz: the webhook answers from the index only when it
// holds all Services.
func (r *AllocationReconciler) ReadyCheck(*http.Request) error {
	if !r.Index.Ready() {
		return fmt.Errorf("the index of ClusterIPs and NodePorts is still being built")
	}
	return nil
}

// Reconcile reports what is wrong with the numbers of one Service, on it and on
// the Services it shares a number with.
func (r *AllocationReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if !r.Index.Ready() {
		return ctrl.Result{RequeueAfter: time.Second}, nil
	}
	// The feed sees the same events, but perhaps after us, or while we read. That
	// there is no Service is what a cache may say that is behind: the webhook may
	// have seen past it that the Service was made again.
	found, _, err := r.look(ctx, r.Client, request.NamespacedName)
	if err == nil && !found && r.Index.Knows(request.NamespacedName) {
		var before allocator.Glimpse
		if found, before, err = r.look(ctx, r.Live, request.NamespacedName); err == nil && !found {
			r.Index.ForgetSeen(request.NamespacedName, before)
		}
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	for _, partner := range r.report(ctx, request.NamespacedName) {
		r.report(ctx, partner)
	}
	return ctrl.Result{RequeueAfter: r.probe(ctx)}, nil
}

// look tells the index what is read of a Service, and the caller what the index
// knew before, and whether there is one.
func (r *AllocationReconciler) look(ctx context.Context, reader client.Reader, key types.NamespacedName) (found bool, before allocator.Glimpse, err error) {
	before = r.Index.Glimpse(key)
	var service corev1.Service
	switch err := reader.Get(ctx, key, &service); {
	case apierrors.IsNotFound(err):
		return false, before, nil
	case err != nil:
		return false, before, fmt.Errorf("reading Service %s: %w", key, err)
	}
	r.Index.ObserveRead(&service, before)
	return true, before, nil
}

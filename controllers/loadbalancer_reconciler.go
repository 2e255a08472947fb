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
	"time"

	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/balancer"
)

// +kubebuilder:rbac:groups="",resources=services;nodes;namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=services/status,verbs=patch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=servicecidrs,verbs=list;watch
// +kubebuilder:rbac:groups=switchyard.dev,resources=addresspools,verbs=list;watch
// +kubebuilder:rbac:groups=switchyard.dev,resources=addressreservations,verbs=get;list;watch
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;list;watch;create;patch;delete,namespace=switchyard-system
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// loadBalancerFieldManager owns the addresses and the condition that we write.
const loadBalancerFieldManager = v1alpha1.LoadBalancerFieldManager

// LoadBalancerOptions say whom to serve, and how.
type LoadBalancerOptions struct {
	// Namespace is where claims are kept: the manager's own.
	Namespace string
	// Class says which Services are served.
	Class balancer.Class
	// PoolGrace is how long a pool has to be gone before its addresses are taken
	// back; 5 s if 0.
	PoolGrace time.Duration
	// Workers is how many claims and Services are written at a time; 8 if 0.
	Workers int
}

// LoadBalancerReconciler gives Services of type LoadBalancer addresses of the
// AddressPools for that use. Which ones is for balancer.Book to decide, and what
// may be written next for balancer.Ledger; this type feeds them, one event at a
// time, and its workers write:
//
//	the Lease of an address    who has it: the record from which the next leader goes on
//	the status of a Service    ingress and a condition, by server-side apply, for the
//	                           version of the Service that was decided upon
//
// Services of another class are never written. A Service has no finalizer for us:
// outside of the cluster there is nothing to clean up.
type LoadBalancerReconciler struct {
	Options LoadBalancerOptions
	// Client writes, Live reads past the caches; both are the manager's when nil.
	Client client.Client
	Live   client.Reader
	// Recorder tells users which addresses their Services get and lose.
	Recorder events.EventRecorder
	// Now is the clock, time.Now when nil.
	Now func() time.Time

	cache, claims cache.Cache
	synced        []toolscache.InformerSynced
	queue         balancerQueue

	mu   sync.Mutex // guards desk
	desk *balancerDesk
}

// SetupWithManager adds the controller, which works on the leader only.
func (r *LoadBalancerReconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Options.Namespace == "" || r.Options.Class == (balancer.Class{}) {
		return errors.New("setting up load balancers: a namespace for claims and a class of Services are needed")
	}
	r.setDefaults(mgr)
	var err error
	if r.claims, err = claimsCache(mgr, r.Options.Namespace, balancer.AddressLabel); err == nil {
		err = mgr.Add(onEveryReplica{r.claims})
	}
	if err != nil {
		return fmt.Errorf("setting up the claims of load balancers: %w", err)
	}
	c, err := controller.NewTyped("loadbalancer", mgr, controller.TypedOptions[balancerRequest]{
		Reconciler: r, MaxConcurrentReconciles: r.Options.Workers,
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[balancerRequest](100*time.Millisecond, retryLimit),
	})
	if err == nil {
		err = c.Watch(r)
	}
	if err != nil {
		return fmt.Errorf("setting up load balancers: %w", err)
	}
	return nil
}

func (r *LoadBalancerReconciler) setDefaults(mgr ctrl.Manager) {
	if r.Client == nil {
		r.Client = mgr.GetClient()
	}
	if r.Live == nil {
		r.Live = mgr.GetAPIReader()
	}
	if r.Recorder == nil {
		r.Recorder = mgr.GetEventRecorder(loadBalancerFieldManager)
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Options.PoolGrace == 0 {
		r.Options.PoolGrace = defaultPoolGrace
	}
	if r.Options.Workers == 0 {
		r.Options.Workers = 8
	}
	r.cache, r.desk = mgr.GetCache(), newBalancerDesk(r.Options.Class)
}

// Reconcile looks at one thing.
func (r *LoadBalancerReconciler) Reconcile(ctx context.Context, request balancerRequest) (ctrl.Result, error) {
	switch {
	case request.Duty == takePools:
		return ctrl.Result{}, r.takePools(ctx)
	case request.Duty == reload:
		loadBalancerReloads.Inc()
		return ctrl.Result{}, r.load(ctx)
	case request.Addr.IsValid():
		return ctrl.Result{}, r.writeClaim(ctx, request.Addr)
	}
	return ctrl.Result{}, r.writeStatus(ctx, request.Service)
}

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
	"reflect"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// +kubebuilder:rbac:groups=switchyard.dev,resources=portpools;addresspools,verbs=list;watch
// +kubebuilder:rbac:groups=switchyard.dev,resources=portreservations;addressreservations,verbs=get;list;watch
// +kubebuilder:rbac:groups=switchyard.dev,resources=portpools/status;addresspools/status,verbs=update
// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=servicecidrs,verbs=list;watch

const (
	// poolPace is the shortest time between two looks at pools. Counting takes
	// time in proportion to the Services, and a rollout changes many.
	poolPace = time.Second
	// poolLook is the longest: what the index learned late shows then.
	poolLook = 30 * time.Second
)

// poolStatuses is what the status controllers of both kinds of pools share.
type poolStatuses struct {
	client client.Client
	index  *allocator.Services
	now    func() time.Time
}

func (p *poolStatuses) setup(mgr ctrl.Manager) error {
	return errors.Join(
		ctrl.NewControllerManagedBy(mgr).Named("portpool").
			Watches(&v1alpha1.PortPool{}, soon).
			Watches(&v1alpha1.PortReservation{}, soon).
			Watches(&corev1.Service{}, soon).
			Complete(&portPoolReconciler{poolStatuses: p, pace: pace{now: p.now}}),
		ctrl.NewControllerManagedBy(mgr).Named("addresspool").
			Watches(&v1alpha1.AddressPool{}, soon).
			Watches(&v1alpha1.AddressReservation{}, soon).
			Watches(&networkingv1.ServiceCIDR{}, soon).
			Watches(&corev1.Service{}, soon).
			Complete(&addressPoolReconciler{poolStatuses: p, pace: pace{now: p.now}}),
	)
}

// soon asks for a look at all pools of a kind: a number more or less in one may be
// one in any, what becomes of one depends on the others, and counting them together
// costs as much as counting one. They are looked at a little later, so that the
// index has heard of the change as well, and once for many changes.
var soon = func() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	later := func(q queue) { q.AddAfter(reconcile.Request{}, poolPace) }
	return handler.Funcs{
		CreateFunc: func(_ context.Context, _ event.CreateEvent, q queue) { later(q) },
		UpdateFunc: func(_ context.Context, _ event.UpdateEvent, q queue) { later(q) },
		DeleteFunc: func(_ context.Context, _ event.DeleteEvent, q queue) { later(q) },
	}
}()

// pace keeps looks at the pools of a kind apart.
type pace struct {
	now    func() time.Time
	mu     sync.Mutex
	looked time.Time
}

// wait is how long to wait before the next look; zero starts it.
func (p *pace) wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if wait := p.looked.Add(poolPace).Sub(now); wait > 0 {
		return wait
	}
	p.looked = now
	return 0
}

// look brings the status of the pools of either kind up to date, at most once in a
// second. judge sets it in the list, which it is given filled, and says which pools
// have changed; known is false while the index has yet to hear of one.
func (p *poolStatuses) look(
	ctx context.Context, pace *pace, list client.ObjectList, judge func() (changed []client.Object, known bool),
) (ctrl.Result, error) {
	if !p.index.Ready() {
		return ctrl.Result{RequeueAfter: poolPace}, nil
	}
	if wait := pace.wait(); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	if err := p.client.List(ctx, list); err != nil {
		return ctrl.Result{}, fmt.Errorf("listing pools: %w", err)
	}
	if meta.LenList(list) == 0 {
		poolNumbers.forget(list)
		return ctrl.Result{}, nil
	}
	changed, known := judge()
	var errs []error
	for _, object := range changed {
		if err := p.client.Status().Update(ctx, object); client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("writing the status of %T %s: %w", object, object.GetName(), err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return ctrl.Result{}, err
	}
	if !known {
		return ctrl.Result{RequeueAfter: poolPace}, nil
	}
	return ctrl.Result{RequeueAfter: poolLook}, nil
}

// portPoolReconciler writes the status of PortPools.
type portPoolReconciler struct {
	*poolStatuses
	pace pace
}

// Reconcile looks at all of them.
func (r *portPoolReconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	var list v1alpha1.PortPoolList
	return r.look(ctx, &r.pace, &list, func() (changed []client.Object, known bool) {
		views, known := r.index.PortPools(), true
		poolNumbers.takePorts(views)
		limit := r.index.RangeOf(allocator.PortNumber(1))
		for i := range list.Items {
			object := &list.Items[i]
			next := *object.Status.DeepCopy()
			if pool, err := allocator.PortPoolOf(object); err != nil {
				next.ObservedGeneration = object.Generation
				invalidPool(&next.Conditions, err, object.Generation, r.now())
			} else {
				at := slices.IndexFunc(views, func(v allocator.PortPoolView) bool { return v.Name == object.Name })
				if at < 0 || !reflect.DeepEqual(views[at].PortPool, pool) {
					known = false
					continue
				}
				next = portPoolStatus(views[at], limit, object.Status, object.Generation, r.now())
			}
			if !equality.Semantic.DeepEqual(object.Status, next) {
				object.Status = next
				changed = append(changed, object)
			}
		}
		return changed, known
	})
}

// addressPoolReconciler writes the status of AddressPools.
type addressPoolReconciler struct {
	*poolStatuses
	pace pace
}

// Reconcile looks at all of them.
func (r *addressPoolReconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	var list v1alpha1.AddressPoolList
	return r.look(ctx, &r.pace, &list, func() (changed []client.Object, known bool) {
		views, known := r.index.AddrPools(), true
		poolNumbers.takeAddresses(views)
		for i := range list.Items {
			object := &list.Items[i]
			next := *object.Status.DeepCopy()
			if pool, err := allocator.AddrPoolOf(object); err != nil {
				next.ObservedGeneration = object.Generation
				invalidPool(&next.Conditions, err, object.Generation, r.now())
			} else {
				at := slices.IndexFunc(views, func(v allocator.AddrPoolView) bool { return v.Name == object.Name })
				if at < 0 || !reflect.DeepEqual(views[at].AddrPool, pool) {
					known = false
					continue
				}
				next = addressPoolStatus(views[at], "every ServiceCIDR that takes new Services", object.Status, object.Generation, r.now())
			}
			if !equality.Semantic.DeepEqual(object.Status, next) {
				object.Status = next
				changed = append(changed, object)
			}
		}
		return changed, known
	})
}

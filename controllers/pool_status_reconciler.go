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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// +kubebuilder:rbac:groups=switchyard.dev,resources=portpools;addresspools;portreservations;addressreservations,verbs=get;list;watch
// +kubebuilder:rbac:groups=switchyard.dev,resources=portpools/status;addresspools/status,verbs=update
// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=servicecidrs,verbs=get;list;watch

const (
	// poolPace is the shortest time between two looks at a pool. Counting takes
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
		ctrl.NewControllerManagedBy(mgr).Named("portpool").For(&v1alpha1.PortPool{}).
			Watches(&v1alpha1.PortPool{}, p.all(&v1alpha1.PortPoolList{})).
			Watches(&v1alpha1.PortReservation{}, p.all(&v1alpha1.PortPoolList{})).
			Watches(&corev1.Service{}, p.all(&v1alpha1.PortPoolList{})).
			Complete(&portPoolReconciler{poolStatuses: p, pace: pace{now: p.now}}),
		ctrl.NewControllerManagedBy(mgr).Named("addresspool").For(&v1alpha1.AddressPool{}).
			Watches(&v1alpha1.AddressPool{}, p.all(&v1alpha1.AddressPoolList{})).
			Watches(&v1alpha1.AddressReservation{}, p.all(&v1alpha1.AddressPoolList{})).
			Watches(&networkingv1.ServiceCIDR{}, p.all(&v1alpha1.AddressPoolList{})).
			Watches(&corev1.Service{}, p.all(&v1alpha1.AddressPoolList{})).
			Complete(&addressPoolReconciler{poolStatuses: p, pace: pace{now: p.now}}),
	)
}

// all pools of one kind: a number more or less in one may be one in any, and what
// becomes of one pool depends on the others. They are looked at a little later, so
// that the index has heard of the change as well, and once for many changes.
func (p *poolStatuses) all(kind client.ObjectList) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	later := func(ctx context.Context, q queue) {
		list := kind.DeepCopyObject().(client.ObjectList)
		if err := p.client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return // the cache has stopped
		}
		for _, name := range poolNames(list) {
			q.AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}, poolPace)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, _ event.CreateEvent, q queue) { later(ctx, q) },
		UpdateFunc: func(ctx context.Context, _ event.UpdateEvent, q queue) { later(ctx, q) },
		DeleteFunc: func(ctx context.Context, _ event.DeleteEvent, q queue) { later(ctx, q) },
	}
}

func poolNames(list client.ObjectList) []string {
	var names []string
	switch list := list.(type) {
	case *v1alpha1.PortPoolList:
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
	case *v1alpha1.AddressPoolList:
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
	}
	return names
}

// pace keeps looks at one pool apart.
type pace struct {
	now    func() time.Time
	mu     sync.Mutex
	looked map[string]time.Time
}

// wait is how long to wait before the next look; zero starts it.
func (p *pace) wait(name string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if wait := p.looked[name].Add(poolPace).Sub(now); wait > 0 {
		return wait
	}
	if p.looked == nil {
		p.looked = map[string]time.Time{}
	}
	p.looked[name] = now
	return 0
}

func (p *pace) forget(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.looked, name)
}

// look brings the status of one pool of either kind up to date, at most once in a
// second. next sets it; known is false while the index has yet to hear of the pool.
func (p *poolStatuses) look(ctx context.Context, pace *pace, object client.Object, name string, next func() (changed, known bool)) (ctrl.Result, error) {
	if err := p.client.Get(ctx, client.ObjectKey{Name: name}, object); err != nil {
		pace.forget(name)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !p.index.Ready() {
		return ctrl.Result{RequeueAfter: poolPace}, nil
	}
	if wait := pace.wait(name); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	switch changed, known := next(); {
	case !known:
		return ctrl.Result{RequeueAfter: poolPace}, nil
	case !changed:
		return ctrl.Result{RequeueAfter: poolLook}, nil
	}
	if err := p.client.Status().Update(ctx, object); err != nil {
		return ctrl.Result{}, fmt.Errorf("writing the status of %T %s: %w", object, name, err)
	}
	return ctrl.Result{RequeueAfter: poolLook}, nil
}

// portPoolReconciler writes the status of PortPools.
type portPoolReconciler struct {
	*poolStatuses
	pace pace
}

// Reconcile looks at one pool.
func (r *portPoolReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var object v1alpha1.PortPool
	return r.look(ctx, &r.pace, &object, request.Name, func() (changed, known bool) {
		next := *object.Status.DeepCopy()
		if pool, err := allocator.PortPoolOf(&object); err != nil {
			next.ObservedGeneration = object.Generation
			invalidPool(&next.Conditions, err, object.Generation, r.now())
		} else {
			views := r.index.PortPools()
			i := slices.IndexFunc(views, func(v allocator.PortPoolView) bool { return v.Name == object.Name })
			if i < 0 || !reflect.DeepEqual(views[i].PortPool, pool) {
				return false, false
			}
			next = portPoolStatus(views[i], r.index.RangeOf(allocator.PortNumber(1)), object.Status, object.Generation, r.now())
		}
		changed = !equality.Semantic.DeepEqual(object.Status, next)
		object.Status = next
		return changed, true
	})
}

// addressPoolReconciler writes the status of AddressPools.
type addressPoolReconciler struct {
	*poolStatuses
	pace pace
}

// Reconcile looks at one pool.
func (r *addressPoolReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var object v1alpha1.AddressPool
	return r.look(ctx, &r.pace, &object, request.Name, func() (changed, known bool) {
		next := *object.Status.DeepCopy()
		if pool, err := allocator.AddrPoolOf(&object); err != nil {
			next.ObservedGeneration = object.Generation
			invalidPool(&next.Conditions, err, object.Generation, r.now())
		} else {
			views := r.index.AddrPools()
			i := slices.IndexFunc(views, func(v allocator.AddrPoolView) bool { return v.Name == object.Name })
			if i < 0 || !reflect.DeepEqual(views[i].AddrPool, pool) {
				return false, false
			}
			next = addressPoolStatus(views[i], "every ServiceCIDR that takes new Services", object.Status, object.Generation, r.now())
		}
		changed = !equality.Semantic.DeepEqual(object.Status, next)
		object.Status = next
		return changed, true
	})
}

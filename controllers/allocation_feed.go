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
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

const (
	// allocationRepairPeriod is how often the index is compared with the Services.
	allocationRepairPeriod = 3 * time.Minute
	// allocationExpiryPeriod is how often claims that nobody collected are dropped.
	allocationExpiryPeriod = 30 * time.Second
)

// allocationFeed keeps the index of this replica, leader or not, in step with
// what exists. It declares the index ready once every Service, ServiceCIDR and
// claim that existed when it started has been taken in.
type allocationFeed struct {
	index    *allocator.Services
	services cache.Cache
	claims   cache.Cache
	reader   client.Reader
	now      func() time.Time

	// repairing keeps events from being taken in between the list and the rebuild
	// of a repair; what they say is not older than the list, so they come after.
	repairing sync.Mutex
}

// NeedLeaderElection is false: every replica serves the webhook.
func (f *allocationFeed) NeedLeaderElection() bool { return false }

// Start feeds the index until the context ends.
func (f *allocationFeed) Start(ctx context.Context) error {
	var synced []toolscache.InformerSynced
	for _, source := range []struct {
		cache   cache.Cache
		object  client.Object
		handler toolscache.ResourceEventHandler
	}{
		{f.services, &networkingv1.ServiceCIDR{}, f.onServiceCIDR(ctx)},
		{f.claims, &coordinationv1.Lease{}, f.onClaim()},
		{f.services, &corev1.Service{}, f.onService()},
	} {
		informer, err := source.cache.GetInformer(ctx, source.object)
		if err != nil {
			return fmt.Errorf("watching %T for the index of Services: %w", source.object, err)
		}
		registration, err := informer.AddEventHandler(source.handler)
		if err != nil {
			return fmt.Errorf("watching %T for the index of Services: %w", source.object, err)
		}
		synced = append(synced, registration.HasSynced)
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil // stopped before it was ready
	}
	if err := f.repair(ctx); err != nil {
		return err
	}
	f.index.SetReady()
	ctrl.LoggerFrom(ctx).Info("Index of ClusterIPs and NodePorts is ready")
	f.keepUp(ctx)
	return nil
}

func (f *allocationFeed) keepUp(ctx context.Context) {
	repair, expire := time.NewTicker(allocationRepairPeriod), time.NewTicker(allocationExpiryPeriod)
	defer repair.Stop()
	defer expire.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-expire.C:
			f.index.ExpireClaims(f.now().Add(-2 * allocator.ClaimLifetime))
		case <-repair.C:
			if err := f.repair(ctx); err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "Index of ClusterIPs and NodePorts was not compared with the Services")
			}
		}
	}
}

// repair rebuilds the index from the Services. It finds something only where an
// event was missed, which the metric tells.
func (f *allocationFeed) repair(ctx context.Context) error {
	f.repairing.Lock()
	defer f.repairing.Unlock()
	var services corev1.ServiceList
	if err := f.reader.List(ctx, &services, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing Services to repair the index: %w", err)
	}
	drift := f.index.Rebuild(services.Items)
	allocationRepairs.WithLabelValues("leak").Add(float64(drift.Leaked))
	allocationRepairs.WithLabelValues("missing").Add(float64(drift.Missing))
	return nil
}

func (f *allocationFeed) onService() toolscache.ResourceEventHandler {
	observe := func(object any) {
		if service, ok := object.(*corev1.Service); ok {
			f.repairing.Lock()
			defer f.repairing.Unlock()
			f.index.Observe(service)
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    observe,
		UpdateFunc: func(_, object any) { observe(object) },
		DeleteFunc: func(object any) {
			if service, ok := lastState[*corev1.Service](object); ok {
				f.repairing.Lock()
				defer f.repairing.Unlock()
				f.index.Forget(client.ObjectKeyFromObject(service), service.UID)
			}
		},
	}
}

func (f *allocationFeed) onClaim() toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) {
			if lease, ok := object.(*coordinationv1.Lease); ok {
				if claim, err := allocator.ClaimOfLease(lease); err == nil {
					f.index.Claim(claim)
				}
			}
		},
		DeleteFunc: func(object any) {
			if lease, ok := lastState[*coordinationv1.Lease](object); ok {
				if number, err := allocator.ParseObjectName(lease.Name); err == nil {
					f.index.Unclaim(number)
				}
			}
		},
	}
}

// onServiceCIDR takes in all of them at each change: there are only a few.
func (f *allocationFeed) onServiceCIDR(ctx context.Context) toolscache.ResourceEventHandler {
	changed := func() {
		var cidrs networkingv1.ServiceCIDRList
		err := f.reader.List(ctx, &cidrs)
		if err == nil {
			err = f.index.ObserveServiceCIDRs(cidrs.Items)
		}
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Ranges of ClusterIPs are incomplete")
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { changed() },
		UpdateFunc: func(_, _ any) { changed() },
		DeleteFunc: func(any) { changed() },
	}
}

// lastState unwraps what a watch that was interrupted knows of a deleted object.
func lastState[T client.Object](object any) (T, bool) {
	if tombstone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	typed, ok := object.(T)
	return typed, ok
}

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
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/placeholder"
)

const (
	// allocationRepairPeriod is how often the index is compared with the Services.
	allocationRepairPeriod = 3 * time.Minute
	// allocationExpiryPeriod is how often claims that nobody collected are dropped.
	allocationExpiryPeriod = 30 * time.Second
)

// allocationFeed keeps the index of this replica, leader or not, in step with
// what exists. It declares the index ready once every Service, ServiceCIDR, pool,
// reservation and claim that existed when it started has been taken in, and the
// labels of namespaces can be read.
type allocationFeed struct {
	index  *allocator.Services
	cache  cache.Cache // of the manager
	claims cache.Cache
	reader client.Reader
	now    func() time.Time

	// repairing keeps events from being taken in between the list and the rebuild
	// of a repair; what they say is not older than the list, so they come after.
	repairing sync.Mutex
	// pooling keeps an older list of pools from being taken in after a newer one.
	pooling sync.Mutex
}

func newAllocationFeed(r *AllocationReconciler, mgr ctrl.Manager, claims cache.Cache) *allocationFeed {
	r.Index.SetPlaceholders(r.isPlaceholder)
	return &allocationFeed{index: r.Index, cache: mgr.GetCache(), claims: claims, reader: mgr.GetClient(), now: r.Now}
}

// isPlaceholder tells Services that hold ports for reservations. Only those of our
// own namespace do: anybody may label a Service.
func (r *AllocationReconciler) isPlaceholder(service *corev1.Service) bool {
	return service.Namespace == r.Namespace && placeholder.IsPorts(service)
}

// NeedLeaderElection is false: every replica serves the webhook.
func (f *allocationFeed) NeedLeaderElection() bool { return false }

// Start feeds the index until the context ends.
func (f *allocationFeed) Start(ctx context.Context) error {
	namespaces := &metav1.PartialObjectMetadata{}
	namespaces.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	onPool := f.onChange(ctx, f.observePools)
	var synced []toolscache.InformerSynced
	for _, source := range []struct {
		cache   cache.Cache
		object  client.Object
		handler toolscache.ResourceEventHandler
	}{
		{f.cache, &networkingv1.ServiceCIDR{}, f.onChange(ctx, f.observeServiceCIDRs)},
		{f.cache, &v1alpha1.PortPool{}, onPool},
		{f.cache, &v1alpha1.AddressPool{}, onPool},
		{f.cache, &v1alpha1.PortReservation{}, f.onReservation(ctx)},
		{f.cache, &v1alpha1.AddressReservation{}, f.onReservation(ctx)},
		{f.cache, namespaces, toolscache.ResourceEventHandlerFuncs{}}, // the webhook reads them from the cache
		{f.claims, &coordinationv1.Lease{}, f.onClaim()},
		{f.cache, &corev1.Service{}, f.onService()},
	} {
		informer, err := source.cache.GetInformer(ctx, source.object)
		if meta.IsNoMatchError(err) {
			return fmt.Errorf("watching %T for the index of Services: %w: install the CustomResourceDefinitions of this version (config/crd)", source.object, err)
		}
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
			if err := f.expire(ctx); err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "Claims were not compared with their objects")
			}
		case <-repair.C:
			if err := f.repair(ctx); err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "Index of ClusterIPs and NodePorts was not compared with the Services")
			}
		}
	}
}

// expire drops claims that the cache has no object of any more. Those that are kept
// beyond their time have one.
func (f *allocationFeed) expire(ctx context.Context) error {
	before := f.now().Add(-2 * allocator.ClaimLifetime)
	var leases coordinationv1.LeaseList
	if err := f.claims.List(ctx, &leases, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing claims: %w", err)
	}
	exist := make(map[types.UID]bool, len(leases.Items))
	for i := range leases.Items {
		exist[leases.Items[i].UID] = true
	}
	f.index.ExpireClaims(before, func(uid types.UID) bool { return exist[uid] })
	return nil
}

// repair rebuilds the index from the Services. It finds something only where an
// event was missed, which the metric tells. What the webhook has read past the
// cache may have been old by the time it was taken in, so ranges and pools are
// looked at as well.
func (f *allocationFeed) repair(ctx context.Context) error {
	f.observeServiceCIDRs(ctx)
	f.observePools(ctx)
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

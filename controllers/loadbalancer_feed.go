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
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/balancer"
)

type balancerQueue = workqueue.TypedRateLimitingInterface[balancerRequest]

// Start watches all that decides which addresses load balancers have. It is part
// of source.TypedSyncingSource: the controller calls it once it leads, and looks at
// nothing before WaitForSync returns.
func (r *LoadBalancerReconciler) Start(ctx context.Context, queue balancerQueue) error {
	r.queue = queue
	namespaces := &metav1.PartialObjectMetadata{}
	namespaces.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	for _, watched := range []struct {
		cache   cache.Cache
		object  client.Object
		handler toolscache.ResourceEventHandler
	}{
		{r.cache, namespaces, r.onNamespace()},
		{r.cache, &v1alpha1.AddressPool{}, r.onAny(ctx, r.takePools)},
		{r.cache, &networkingv1.ServiceCIDR{}, r.onAny(ctx, r.takeServiceCIDRs)},
		{r.cache, &v1alpha1.AddressReservation{}, r.onReservation(ctx)},
		{r.cache, &corev1.Node{}, handlerOf(r, r.desk.observeNode, r.desk.forgetNode)},
		{r.cache, &corev1.Service{}, handlerOf(r, r.observeService, r.desk.forgetService)},
		{r.claims, &coordinationv1.Lease{}, r.onClaim()},
	} {
		informer, err := watched.cache.GetInformer(ctx, watched.object)
		if meta.IsNoMatchError(err) {
			return fmt.Errorf("watching %T for load balancers: %w: install the CustomResourceDefinitions of this version (config/crd), or run with --loadbalancers=off",
				watched.object, err)
		}
		if err != nil {
			return fmt.Errorf("watching %T for load balancers: %w", watched.object, err)
		}
		registration, err := informer.AddEventHandler(watched.handler)
		if err != nil {
			return fmt.Errorf("watching %T for load balancers: %w", watched.object, err)
		}
		r.synced = append(r.synced, registration.HasSynced)
	}
	return nil
}

// WaitForSync returns when all is known that there is, the addresses that Services
// have before any that they wait for.
func (r *LoadBalancerReconciler) WaitForSync(ctx context.Context) error {
	if !toolscache.WaitForCacheSync(ctx.Done(), r.synced...) {
		return fmt.Errorf("waiting for the caches of load balancers: %w", ctx.Err())
	}
	err := wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		if err := r.load(ctx); err != nil {
			ctrl.LoggerFrom(ctx).Info("Waiting to read what load balancers have", "reason", err.Error())
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("reading what load balancers have: %w", err)
	}
	return nil
}

// load begins with what the API server has now, past the caches: what another
// manager wrote last may not have come to them.
func (r *LoadBalancerReconciler) load(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	services, records, err := r.listed(ctx)
	if err == nil {
		err = r.learnNamespaces(ctx, services)
	}
	if err != nil {
		return fmt.Errorf("beginning with the addresses that load balancers have: %w", err)
	}
	if r.desk.book == nil && r.desk.pools.keepForAWhile(slices.Collect(maps.Keys(records)), r.Now()) {
		r.queue.AddAfter(balancerRequest{Duty: takePools}, r.Options.PoolGrace)
	}
	r.enqueue(r.desk.load(services, records))
	ctrl.LoggerFrom(ctx).Info("Addresses of load balancers are known", "claims", len(records))
	return nil
}

// listed are all Services and claims. Services are read before claims: whoever
// takes an address away changes them in the other order. A Service that has a claim
// and was made in between would pass for deleted, so both are read again.
func (r *LoadBalancerReconciler) listed(ctx context.Context) ([]corev1.Service, map[netip.Addr]balancer.Record, error) {
	for {
		var services corev1.ServiceList
		if err := r.Live.List(ctx, &services); err != nil {
			return nil, nil, fmt.Errorf("listing Services: %w", err)
		}
		var leases coordinationv1.LeaseList
		if err := r.Live.List(ctx, &leases, client.InNamespace(r.Options.Namespace)); err != nil {
			return nil, nil, fmt.Errorf("listing claims: %w", err)
		}
		r.desk.forgetLeases()
		records := map[netip.Addr]balancer.Record{}
		for i := range leases.Items {
			lease := &leases.Items[i]
			if _, named := balancer.AddrOfLease(lease.Name); !named {
				continue // a claim is known by its name: it may have lost its label
			}
			addr, record := r.recordOf(lease)
			records[addr] = record
		}
		complete, err := r.complete(ctx, services.Items, records)
		if complete || err != nil {
			return services.Items, records, err
		}
	}
}

// complete reports whether all Services that have a claim are listed, or gone: they
// are if they are in no list that is read after the claims.
func (r *LoadBalancerReconciler) complete(ctx context.Context, services []corev1.Service, records map[netip.Addr]balancer.Record) (bool, error) {
	missing := map[types.UID]bool{}
	for _, record := range records {
		for _, holder := range slices.Concat(record.Holders, record.Leaving) {
			missing[holder.UID] = true
		}
	}
	for i := range services {
		delete(missing, services[i].UID)
	}
	if len(missing) == 0 {
		return true, nil
	}
	var now metav1.PartialObjectMetadataList
	now.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceList"))
	if err := r.Live.List(ctx, &now); err != nil {
		return false, fmt.Errorf("looking for Services that have a claim: %w", err)
	}
	return !slices.ContainsFunc(now.Items, func(s metav1.PartialObjectMetadata) bool { return missing[s.UID] }), nil
}

// learnNamespaces reads those of our Services that the cache does not have yet.
func (r *LoadBalancerReconciler) learnNamespaces(ctx context.Context, services []corev1.Service) error {
	for i := range services {
		name := services[i].Namespace
		if _, known := r.desk.namespaces[name]; known {
			continue
		}
		var namespace corev1.Namespace
		if err := r.Live.Get(ctx, client.ObjectKey{Name: name}, &namespace); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("reading Namespace %s: %w", name, err)
		}
		if namespace.Name != "" {
			r.desk.namespaces[name] = namespace.Labels
		}
	}
	return nil
}

// recordOf reads a Lease that has the name of a claim. Of one that can not be read,
// nobody gets the address.
func (r *LoadBalancerReconciler) recordOf(lease *coordinationv1.Lease) (netip.Addr, balancer.Record) {
	record, err := readRecord(lease)
	addr, _ := balancer.AddrOfLease(lease.Name)
	if err == nil {
		r.desk.setUses(usesOfLease(lease.Name), nil)
		return addr, record
	}
	r.Recorder.Eventf(lease, nil, corev1.EventTypeWarning, "ClaimIllegible", "Read", "%s", boundedNote(err.Error()))
	r.desk.setUses(usesOfLease(lease.Name), []netip.Addr{addr})
	return addr, record
}

func readRecord(lease *coordinationv1.Lease) (balancer.Record, error) {
	claim, err := balancer.ClaimOf(lease)
	return balancer.Record{
		Version: lease.ResourceVersion, Holders: claim.Holders, Leaving: claim.Leaving, Illegible: err != nil, Unlabelled: !balancer.IsLabelled(lease),
	}, err
}

func usesOfLease(name string) balancer.Source {
	source := balancer.Source{Kind: "Lease"}
	source.Name.Name = name
	return source
}

func (r *LoadBalancerReconciler) enqueue(requests []balancerRequest) {
	for _, request := range requests {
		r.queue.Add(request)
	}
}

// handlerOf tells the desk of objects that come, change and go.
func handlerOf[T client.Object](r *LoadBalancerReconciler, observe, forget func(T) []balancerRequest) toolscache.ResourceEventHandler {
	take := func(object any, do func(T) []balancerRequest) {
		if typed, ok := lastState[T](object); ok {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.enqueue(do(typed))
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { take(object, observe) },
		UpdateFunc: func(_, object any) { take(object, observe) },
		DeleteFunc: func(object any) { take(object, forget) },
	}
}

// observeService takes in a Service, and notes whether somebody else writes its
// addresses.
func (r *LoadBalancerReconciler) observeService(service *corev1.Service) []balancerRequest {
	if r.desk.ledger.Overwritten(balancer.SightOf(service, r.Options.Class)) && r.desk.disputes.begin(keyOf(service), r.Now()) {
		r.Recorder.Eventf(serviceRef(keyOf(service), service.UID), nil, corev1.EventTypeWarning, "AddressOverwritten", "AssignAddress",
			"another controller writes the addresses of this Service: give it a spec.loadBalancerClass, or have one of the two not serve Services without one")
	}
	return r.desk.observeService(service)
}

func (r *LoadBalancerReconciler) onNamespace() toolscache.ResourceEventHandler {
	return handlerOf(r,
		func(object *metav1.PartialObjectMetadata) []balancerRequest {
			return r.desk.observeNamespace(object.Name, object.Labels)
		},
		func(object *metav1.PartialObjectMetadata) []balancerRequest {
			r.desk.forgetNamespace(object.Name)
			return nil
		})
}

// onReservation leaves one that can not be read as it was.
func (r *LoadBalancerReconciler) onReservation(ctx context.Context) toolscache.ResourceEventHandler {
	return handlerOf(r,
		func(object *v1alpha1.AddressReservation) []balancerRequest {
			reservation, err := allocator.ReservationOfAddress(object)
			if err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "Reservation stays as it was")
				return nil
			}
			return r.desk.observeReservation(reservation)
		},
		func(object *v1alpha1.AddressReservation) []balancerRequest {
			return r.desk.forgetReservation(object.Name)
		})
}

// onClaim has a claim read that is not as we have left it.
func (r *LoadBalancerReconciler) onClaim() toolscache.ResourceEventHandler {
	notice := func(name string, record balancer.Record) []balancerRequest {
		addr, named := balancer.AddrOfLease(name)
		if !named || r.desk.book == nil || !r.desk.ledger.Noticed(addr, record) {
			return nil
		}
		return []balancerRequest{{Addr: addr}}
	}
	return handlerOf(r,
		func(lease *coordinationv1.Lease) []balancerRequest {
			record, _ := readRecord(lease)
			return notice(lease.Name, record)
		},
		func(lease *coordinationv1.Lease) []balancerRequest { return notice(lease.Name, balancer.Record{}) })
}

// onAny takes in all objects at each change of one: there are only a few.
func (r *LoadBalancerReconciler) onAny(ctx context.Context, take func(context.Context) error) toolscache.ResourceEventHandler {
	do := func() {
		if err := take(ctx); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "What can not be read stays as it was")
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { do() }, UpdateFunc: func(_, _ any) { do() }, DeleteFunc: func(any) { do() },
	}
}

// takePools takes in the pools, and comes back for those that have gone.
func (r *LoadBalancerReconciler) takePools(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var pools v1alpha1.AddressPoolList
	if err := r.cache.List(ctx, &pools, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing AddressPools: %w", err)
	}
	seen := poolsSeen(pools.Items)
	requests, wait := r.desk.observePools(seen, r.Now(), r.Options.PoolGrace)
	r.enqueue(requests)
	for i := range seen {
		if r.desk.pools.isNewlyIllegible(&seen[i]) {
			ctrl.LoggerFrom(ctx).Error(seen[i].err, "AddressPool can not be read: who has an address keeps it, and nothing of this version is given")
			r.Recorder.Eventf(poolRef(&seen[i]), nil, corev1.EventTypeWarning, "AddressPoolIllegible", "Read",
				"%s", boundedNote(seen[i].err.Error()+": who has an address keeps it, and nothing of this version is given"))
		}
	}
	if wait > 0 {
		r.queue.AddAfter(balancerRequest{Duty: takePools}, wait)
	}
	return nil
}

func (r *LoadBalancerReconciler) takeServiceCIDRs(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var cidrs networkingv1.ServiceCIDRList
	if err := r.cache.List(ctx, &cidrs, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing ServiceCIDRs: %w", err)
	}
	r.enqueue(r.desk.observeServiceCIDRs(cidrs.Items))
	return nil
}

// String names a request in logs.
func (q balancerRequest) String() string {
	switch {
	case q.Duty != "":
		return string(q.Duty)
	case q.Addr.IsValid():
		return q.Addr.String()
	}
	return strings.TrimPrefix(q.Service.String(), "/")
}

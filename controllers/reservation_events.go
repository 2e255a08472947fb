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
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/placeholder"
)

// indexServiceRef finds the reservations of a Service in the cache.
const indexServiceRef = "reservation.serviceRef"

// Indexes of the cache: reservations by the namespace of their Service, Services by
// the addresses that they use without a ClusterIP's object.
const (
	indexServiceRefNamespace = "reservation.serviceRef.namespace"
	indexAddressUsers        = "service.addresses"
)

// reservationIndexes are what the reservation controllers look up in the cache.
var reservationIndexes = []struct {
	object client.Object
	name   string
	keys   client.IndexerFunc
}{
	{&v1alpha1.PortReservation{}, indexServiceRef, serviceRefKeys},
	{&v1alpha1.AddressReservation{}, indexServiceRef, serviceRefKeys},
	{&v1alpha1.PortReservation{}, indexServiceRefNamespace, namespaceRefKeys},
	{&v1alpha1.AddressReservation{}, indexServiceRefNamespace, namespaceRefKeys},
	{&corev1.Service{}, indexAddressUsers, addressUserKeys},
}

func namespaceRefKeys(object client.Object) []string {
	var keys []string
	for _, key := range serviceRefKeys(object) {
		namespace, _, _ := strings.Cut(key, "/")
		keys = append(keys, namespace)
	}
	return keys
}

func addressUserKeys(object client.Object) []string {
	service, ok := object.(*corev1.Service)
	if !ok {
		return nil
	}
	var keys []string
	for _, number := range addressesOf(service) {
		if key := number.String(); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// serviceRefKeys is the index function of both kinds.
func serviceRefKeys(object client.Object) []string {
	var ref *v1alpha1.ServiceReference
	switch reservation := object.(type) {
	case *v1alpha1.PortReservation:
		ref = reservation.Spec.ServiceRef
	case *v1alpha1.AddressReservation:
		ref = reservation.Spec.ServiceRef
	}
	if ref == nil {
		return nil
	}
	return []string{ref.Namespace + "/" + ref.Name}
}

// loadBalancerIPs lists the addresses that a load balancer has for a Service.
func loadBalancerIPs(service *corev1.Service) []allocator.Number {
	var texts []string
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		texts = append(texts, ingress.IP)
	}
	return addressNumbers(texts)
}

// addressesOf lists the addresses that a Service has besides its ClusterIPs.
func addressesOf(service *corev1.Service) []allocator.Number {
	if !allocator.IsServed(service) {
		return nil
	}
	return append(loadBalancerIPs(service), addressNumbers(service.Spec.ExternalIPs)...)
}

func addressNumbers(texts []string) []allocator.Number {
	var numbers []allocator.Number
	for _, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil {
			numbers = append(numbers, allocator.AddrNumber(addr))
		}
	}
	return numbers
}

// numbersOf lists all numbers that a Service has, some of them perhaps twice.
func numbersOf(service *corev1.Service) []allocator.Number {
	numbers := addressesOf(service)
	for _, holding := range allocator.HoldingsOf(service) {
		numbers = append(numbers, holding.Number)
	}
	return numbers
}

// reservationEvents leads from what has changed to the reservations of one kind
// that depend on it.
type reservationEvents struct {
	client    client.Client
	namespace string // where Services that hold ports are
	ports     bool   // PortReservations, AddressReservations otherwise
	list      func() client.ObjectList
	object    func() client.Object
}

// ofService are those for the Service, those of the numbers that it has, and the
// numbers that it holds for us, which may be for no reservation any more.
func (e reservationEvents) ofService() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
		service, ok := object.(*corev1.Service)
		if !ok {
			return nil
		}
		if e.ports && service.Namespace == e.namespace && placeholder.IsPorts(service) {
			return requestsFor(placeholder.NumbersOfPorts(service))
		}
		var numbers []allocator.Number
		for _, number := range numbersOf(service) {
			if number.IsPort() == e.ports && e.exists(ctx, number) {
				numbers = append(numbers, number)
			}
		}
		return append(requestsFor(numbers), e.forService(ctx, client.ObjectKeyFromObject(service))...)
	})
}

func (e reservationEvents) exists(ctx context.Context, number allocator.Number) bool {
	return e.client.Get(ctx, client.ObjectKey{Name: number.ReservationName()}, e.object()) == nil
}

func (e reservationEvents) forService(ctx context.Context, key client.ObjectKey) []reconcile.Request {
	list := e.list()
	if err := e.client.List(ctx, list, client.MatchingFields{indexServiceRef: key.String()}); err != nil {
		return nil // the cache has stopped
	}
	return requestsOf(list)
}

// ofAddress is the reservation of an IPAddress: the one it is held for, or the one
// that may be held now, or no longer.
func (e reservationEvents) ofAddress() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
		address, ok := object.(*networkingv1.IPAddress)
		if !ok {
			return nil
		}
		if number, ours := placeholder.NumberOfAddress(address); ours {
			return requestsFor([]allocator.Number{number})
		}
		addr, err := netip.ParseAddr(address.Name)
		if err != nil || !e.exists(ctx, allocator.AddrNumber(addr)) {
			return nil
		}
		return requestsFor([]allocator.Number{allocator.AddrNumber(addr)})
	})
}

// all of them, for ServiceCIDRs, which change rarely.
func (e reservationEvents) all() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, _ client.Object) []reconcile.Request {
		list := e.list()
		if err := e.client.List(ctx, list); err != nil {
			return nil // the cache has stopped
		}
		return requestsOf(list)
	})
}

func requestsFor(numbers []allocator.Number) []reconcile.Request {
	var requests []reconcile.Request
	for _, number := range numbers {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKey{Name: number.ReservationName()}})
	}
	return requests
}

func requestsOf(list client.ObjectList) []reconcile.Request {
	var requests []reconcile.Request
	switch list := list.(type) {
	case *v1alpha1.PortReservationList:
		for i := range list.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	case *v1alpha1.AddressReservationList:
		for i := range list.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return requests
}

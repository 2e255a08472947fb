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
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/placeholder"
)

// observe fills in what the reservation depends on.
func (r *reservations) observe(ctx context.Context, facts *reservationFacts) error {
	var service *corev1.Service
	var err error
	if facts.Service.Name != "" {
		if service, err = lookAt(ctx, r.client, r.index, facts.Service); err != nil {
			return err
		}
		if service != nil {
			facts.service = &serviceFact{uid: service.UID, created: service.CreationTimestamp.Time}
		}
	}
	if facts.holders, err = r.holdersOf(ctx, facts.Number); err != nil {
		return err
	}
	if err := r.observeRanges(ctx, facts); err != nil {
		return err
	}
	if facts.outside != "" {
		// Anybody may write any address into spec.externalIPs. Where an object of the
		// API server says who has the address, only that counts.
		users, err := r.usersOf(ctx, facts.Number)
		if err != nil {
			return err
		}
		facts.holders = append(facts.holders, users...)
	}
	facts.unguarded = r.whyUnguarded(facts.Service, service)
	facts.now = r.now()
	return nil
}

// holdersOf lists the Services that have a ClusterIP or a port of the node, without
// those that only hold it for us. The index may hear later than the cache that has
// brought us here that one is gone, and then nothing would bring us back.
func (r *reservations) holdersOf(ctx context.Context, number allocator.Number) ([]allocator.Holder, error) {
	var holders []allocator.Holder
	for _, holder := range r.index.Holders(number) {
		if number.IsPort() && placeholder.IsPortsKey(holder.Service, r.keeper.Namespace, number.Port) {
			continue
		}
		service, err := lookAt(ctx, r.client, r.index, holder.Service)
		if err != nil {
			return nil, err
		}
		if service != nil && holds(service, number) {
			holder.UID, holder.Created = service.UID, service.CreationTimestamp.Time
			holders = append(holders, holder)
		}
	}
	return holders, nil
}

// usersOf lists the Services that have an address as that of a load balancer or
// as an external IP, the oldest first. It asks the cache that has brought us here:
// nothing would bring us back when another index hears of the Service later.
func (r *reservations) usersOf(ctx context.Context, number allocator.Number) ([]allocator.Holder, error) {
	if number.IsPort() {
		return nil, nil
	}
	services, err := addressUsers(ctx, r.client, number)
	if err != nil {
		return nil, err
	}
	var holders []allocator.Holder
	for i := range services {
		s := &services[i]
		holders = append(holders, allocator.Holder{Service: client.ObjectKeyFromObject(s), UID: s.UID, Created: s.CreationTimestamp.Time})
	}
	slices.SortFunc(holders, func(a, b allocator.Holder) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Service.String(), b.Service.String()))
	})
	return holders, nil
}

// addressUsers lists the Services of the cache that have an address as that of a
// load balancer or as an external IP.
func addressUsers(ctx context.Context, reader client.Reader, number allocator.Number) ([]corev1.Service, error) {
	var services corev1.ServiceList
	if err := reader.List(ctx, &services, client.MatchingFields{indexAddressUsers: number.String()}); err != nil {
		return nil, fmt.Errorf("listing the Services that use %s: %w", number, err)
	}
	return services.Items, nil
}

// observeRanges tells whether an object would hold the number: a port where the API
// server gives ports from, by our own flag, and an address in a ServiceCIDR.
func (r *reservations) observeRanges(ctx context.Context, facts *reservationFacts) error {
	if facts.Number.IsPort() {
		if !r.index.GivesPort(facts.Number) {
			facts.outside = fmt.Sprintf("it lies outside of %s, from which the API server gives ports, so no object can hold it "+
				"(both have the flag --service-node-port-range)", r.index.RangeOf(facts.Number))
		}
		return nil
	}
	var cidrs networkingv1.ServiceCIDRList
	if err := r.client.List(ctx, &cidrs); err != nil {
		return fmt.Errorf("listing ServiceCIDRs: %w", err)
	}
	for i := range cidrs.Items {
		if cidrHolds(&cidrs.Items[i], facts.Number.Addr) {
			return nil
		}
	}
	facts.outside = "no ServiceCIDR that takes new Services contains it, so no object can hold it; " +
		"our load balancer gives it to nobody else, and rule X5 of our webhooks refuses it to others where it is on"
	return nil
}

// cidrHolds is false while the ServiceCIDR is being removed: it gives nothing any
// more, and an IPAddress in it would keep it from going (KEP-1880).
func cidrHolds(object *networkingv1.ServiceCIDR, addr netip.Addr) bool {
	for _, text := range object.Spec.CIDRs {
		if prefix, err := netip.ParsePrefix(text); err == nil && prefix.Contains(addr) {
			return object.DeletionTimestamp.IsZero() && !meta.IsStatusConditionFalse(object.Status.Conditions, networkingv1.ServiceCIDRConditionReady)
		}
	}
	return false
}

// whyUnguarded says why a number may not be held. What holds it is taken away by our
// mutating webhook when its Service asks. Where that is not asked, the Service would
// be refused its own number for as long as the reservation exists.
func (r *reservations) whyUnguarded(key types.NamespacedName, service *corev1.Service) unguarded {
	if r.noWebhook {
		return unguarded{notHeldNoWebhook, "no object holds it while the mutating webhook is off (--webhooks=off), as nobody could hand it over to its Service"}
	}
	if key.Name == "" || r.exempt == nil {
		return unguarded{}
	}
	if service == nil {
		// What is exempt by a label may have it when it comes.
		service = &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: map[string]string{clusterDNSLabel: clusterDNSName}}}
	}
	if r.exempt(service) {
		return unguarded{notHeldExempt, "no object holds it, as the mutating webhook is not asked for the Services that a cluster boots with " +
			"and could not hand it over"}
	}
	return unguarded{}
}

// The label of the cluster's DNS Service, by which it is exempt from webhooks.
const (
	clusterDNSLabel = "k8s-app"
	clusterDNSName  = "kube-dns"
)

// confirmGone looks past the cache for the Service that seems to be gone, and
// reports whether the cache was behind.
func (r *reservations) confirmGone(ctx context.Context, facts *reservationFacts) (stale bool, err error) {
	service, err := lookAt(ctx, r.live, r.index, facts.Service)
	if err != nil || service == nil {
		return facts.service != nil, err
	}
	return facts.service == nil || facts.service.uid != service.UID, nil
}

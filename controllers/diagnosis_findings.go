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
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/inventory"
)

// of are the findings about one Service, the most important first.
func (a *numberAudit) of(service types.NamespacedName) []audit.Finding {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.found[service]
}

// publish replaces the findings, and asks for a look at the Services that they
// have changed for.
func (a *numberAudit) publish(ctx context.Context, report audit.Report) {
	found := map[types.NamespacedName][]audit.Finding{}
	for _, f := range report.Findings {
		for _, service := range servicesIn(f) {
			found[service] = append(found[service], f)
		}
	}
	a.mu.Lock()
	before := a.found
	a.found = found
	a.mu.Unlock()
	for _, service := range differing(before, found) {
		select {
		case a.changed <- event.TypedGenericEvent[types.NamespacedName]{Object: service}:
		case <-ctx.Done():
			return
		}
	}
}

// differing are the Services of which something else is found than before.
func differing(before, after map[types.NamespacedName][]audit.Finding) (services []types.NamespacedName) {
	same := func(x, y audit.Finding) bool {
		return x.Kind == y.Kind && x.Number == y.Number && slices.Equal(x.Objects, y.Objects)
	}
	for service, found := range after {
		if !slices.EqualFunc(before[service], found, same) {
			services = append(services, service)
		}
	}
	for service := range before {
		if _, still := after[service]; !still {
			services = append(services, service)
		}
	}
	return services
}

func servicesIn(f audit.Finding) (services []types.NamespacedName) {
	for _, object := range f.Objects {
		if object.Kind == "Service" {
			services = append(services, types.NamespacedName{Namespace: object.Namespace, Name: object.Name})
		}
	}
	return services
}

// ofServices leaves out what no Service is concerned by.
func ofServices(report audit.Report) audit.Report {
	report.Findings = slices.DeleteFunc(report.Findings, func(f audit.Finding) bool { return len(servicesIn(f)) == 0 })
	return report
}

// read takes what the caches have, without copies.
func (a *numberAudit) read(ctx context.Context) (*inventory.Inventory, error) {
	inv := &inventory.Inventory{
		System: a.system, NodePorts: inventory.NodePorts{Span: a.span, From: inventory.FromFlag}, Namespaces: map[string]labels.Set{},
		Unread: []inventory.Unread{{Kind: inventory.Claims}, {Kind: inventory.EndpointSlices}, {Kind: inventory.Pods}},
	}
	services := &corev1.ServiceList{}
	if err := a.list(ctx, services); err != nil {
		return nil, err
	}
	inv.Services = services.Items
	if a.servicesOnly {
		for _, kind := range []inventory.Kind{inventory.IPAddresses, inventory.ServiceCIDRs, inventory.PortPools, inventory.AddressPools,
			inventory.PortReservations, inventory.AddressReservations, inventory.Namespaces} {
			inv.Unread = append(inv.Unread, inventory.Unread{Kind: kind})
		}
		return inv, nil
	}
	return inv, a.readAllocation(ctx, inv)
}

func (a *numberAudit) readAllocation(ctx context.Context, inv *inventory.Inventory) error {
	addresses, cidrs := &networkingv1.IPAddressList{}, &networkingv1.ServiceCIDRList{}
	portPools, addressPools := &v1alpha1.PortPoolList{}, &v1alpha1.AddressPoolList{}
	ports, reserved := &v1alpha1.PortReservationList{}, &v1alpha1.AddressReservationList{}
	namespaces := &metav1.PartialObjectMetadataList{}
	namespaces.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	for _, list := range []client.ObjectList{addresses, cidrs, portPools, addressPools, ports, reserved, namespaces} {
		if err := a.list(ctx, list); err != nil {
			return err
		}
	}
	inv.IPAddresses, inv.ServiceCIDRs = addresses.Items, cidrs.Items
	inv.PortPools, inv.AddressPools = portPools.Items, addressPools.Items
	inv.PortReservations, inv.AddressReservations = ports.Items, reserved.Items
	for i := range namespaces.Items {
		inv.Namespaces[namespaces.Items[i].Name] = namespaces.Items[i].Labels
	}
	return nil
}

func (a *numberAudit) list(ctx context.Context, list client.ObjectList) error {
	if err := a.client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("reading numbers: %T: %w", list, err)
	}
	return nil
}

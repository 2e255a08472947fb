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

package inventory

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/placeholder"
)

// Range is one that the API server itself gives numbers from.
type Range struct {
	// ServiceCIDR is the name of the object; empty for the range of NodePorts.
	ServiceCIDR string
	// Text is how users write it: 30000-32767, 10.96.0.0/12.
	Text string
	// Span are the numbers that are given.
	Span Span
	// Open is false for a ServiceCIDR that is being removed.
	Open bool
}

// Ranges are that of NodePorts and those of the ServiceCIDRs.
func (x *Index) Ranges() []Range {
	ranges := []Range{{Text: x.NodePorts.Span.String(), Span: PortSpans(x.NodePorts.Span)[0], Open: true}}
	for i := range x.ServiceCIDRs {
		object := &x.ServiceCIDRs[i]
		for _, text := range object.Spec.CIDRs {
			prefix, err := netip.ParsePrefix(text)
			if err == nil {
				_, err = allocator.NewAddrs(prefix)
			}
			if err != nil {
				continue // it is among the unreadable
			}
			open := object.DeletionTimestamp.IsZero() && !meta.IsStatusConditionFalse(object.Status.Conditions, networkingv1.ServiceCIDRConditionReady)
			ranges = append(ranges, Range{ServiceCIDR: object.Name, Text: prefix.String(), Span: Usable(prefix), Open: open})
		}
	}
	return ranges
}

// RangeOf is the range of the API server that the number lies in.
func (x *Index) RangeOf(n allocator.Number) (Range, bool) {
	for _, r := range x.Ranges() {
		if r.Span.Contains(n) {
			return r, true
		}
	}
	return Range{}, false
}

// Used lists the numbers that Services hold in the fields a use is about, in
// ascending order. For ports the use is empty.
func (x *Index) Used(use v1alpha1.AddressUse) []allocator.Number {
	var used []allocator.Number
	for i := range x.Services {
		service := &x.Services[i]
		if use == v1alpha1.UseLoadBalancer || use == v1alpha1.UseExternalIP {
			used = append(used, addressesOf(service, use)...)
			continue
		}
		for _, holding := range allocator.HoldingsOf(service) {
			isPort := holding.Number.IsPort()
			if isPort == (use == "") && !(isPort && x.IsPlaceholder(service)) {
				used = append(used, holding.Number)
			}
		}
	}
	slices.SortFunc(used, allocator.Number.Compare)
	return used
}

// Kept lists the numbers that are reserved, or that an IPAddress keeps for what
// is no Service, and those that are claimed, each in ascending order.
func (x *Index) Kept() (reserved, claimed []allocator.Number) {
	for _, r := range x.Numbers.Reservations() {
		reserved = append(reserved, r.Number)
	}
	for n, address := range x.Addresses {
		parent := placeholder.TakenError{Number: n, Parent: address.Spec.ParentRef}
		if _, isService := parent.Service(); !isService {
			reserved = append(reserved, n)
		}
	}
	slices.SortFunc(reserved, allocator.Number.Compare)
	reserved = slices.Compact(reserved)
	for n := range x.Claimed {
		claimed = append(claimed, n)
	}
	slices.SortFunc(claimed, allocator.Number.Compare)
	return reserved, claimed
}

// Address is one of a Service that several may have.
type Address struct {
	Use  v1alpha1.AddressUse
	Addr netip.Addr
}

// AddressesOf are the load-balancer addresses and external IPs of a Service. No
// node programs those of headless ones and aliases, so they hold none.
func AddressesOf(service *corev1.Service) []Address {
	if service.Spec.ClusterIP == corev1.ClusterIPNone || service.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	var all []Address
	add := func(use v1alpha1.AddressUse, text string) {
		if addr, err := netip.ParseAddr(text); err == nil {
			all = append(all, Address{use, addr.Unmap()})
		}
	}
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		add(v1alpha1.UseLoadBalancer, ingress.IP)
	}
	for _, ip := range service.Spec.ExternalIPs {
		add(v1alpha1.UseExternalIP, ip)
	}
	slices.SortStableFunc(all, func(a, b Address) int { return cmp.Compare(a.Use, b.Use) })
	return slices.Compact(all)
}

func addressesOf(service *corev1.Service, use v1alpha1.AddressUse) []allocator.Number {
	var numbers []allocator.Number
	for _, a := range AddressesOf(service) {
		if a.Use == use {
			numbers = append(numbers, allocator.AddrNumber(a.Addr))
		}
	}
	return numbers
}

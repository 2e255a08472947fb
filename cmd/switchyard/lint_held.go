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

package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/placeholder"
	"switchyard.dev/switchyard/internal/validation/lint"
)

// numbersIn knows which Service has which number. Ports of placeholders are
// reserved, which is a rule's to judge.
func numbersIn(ctx context.Context, reader client.Reader, options ...client.ListOption) (*allocator.Services, error) {
	var list corev1.ServiceList
	if err := reader.List(ctx, &list, options...); err != nil {
		return nil, fmt.Errorf("listing Services: %w", err)
	}
	numbers := allocator.NewServices(allocator.DefaultNodePorts)
	for i := range list.Items {
		if !placeholder.IsPorts(&list.Items[i]) {
			numbers.Observe(&list.Items[i])
		}
	}
	return numbers, nil
}

// taken are the numbers that a Service asks for, did not have before, and another
// has: the API server refuses them without a name.
func taken(numbers *allocator.Services, o lint.Object, before, after *corev1.Service) []lint.Finding {
	key := client.ObjectKeyFromObject(after)
	var had []allocator.Holding
	if before != nil {
		had = allocator.HoldingsOf(before)
	}
	var found []lint.Finding
	for _, holding := range allocator.HoldingsOf(after) {
		if slices.ContainsFunc(had, func(h allocator.Holding) bool { return h.Number == holding.Number }) {
			continue
		}
		holders := slices.DeleteFunc(numbers.Holders(holding.Number), func(h allocator.Holder) bool { return h.Service == key })
		if len(holders) == 0 {
			continue
		}
		path, value := placeOf(after, holding)
		err := field.Invalid(path, value, "held by Service "+holders[0].Service.String())
		found = append(found, o.NewFinding(lint.Error, "", err.Field, err.ErrorBody()))
	}
	return found
}

// placeOf is the field of a number, and what it holds.
func placeOf(svc *corev1.Service, holding allocator.Holding) (*field.Path, any) {
	spec := field.NewPath("spec")
	switch holding.Kind {
	case allocator.ClusterIP:
		ips := allocator.ClusterIPsOf(svc)
		i := slices.IndexFunc(ips, func(ip string) bool {
			addr, err := netip.ParseAddr(ip)
			return err == nil && allocator.AddrNumber(addr) == holding.Number
		})
		return spec.Child("clusterIPs").Index(i), ips[i]
	case allocator.NodePort:
		i := slices.IndexFunc(svc.Spec.Ports, func(port corev1.ServicePort) bool { return allocator.PortNumber(port.NodePort) == holding.Number })
		return spec.Child("ports").Index(i).Child("nodePort"), svc.Spec.Ports[i].NodePort
	}
	return spec.Child("healthCheckNodePort"), svc.Spec.HealthCheckNodePort
}

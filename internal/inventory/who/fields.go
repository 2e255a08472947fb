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

package who

import (
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/placeholder"
)

// fields are those of the Service that have the number, without the ones that
// its type makes nothing of.
func (a Asker) fields(service *corev1.Service, n allocator.Number) []Holder {
	var found []Holder
	for _, holding := range allocator.HoldingsOf(service) {
		if holding.Number != n {
			continue
		}
		switch holding.Kind {
		case allocator.ClusterIP:
			found = append(found, a.clusterIP(service, n))
		case allocator.HealthCheckNodePort:
			found = append(found, holder(service, "spec.healthCheckNodePort"))
		case allocator.NodePort:
			found = append(found, nodePort(service, n))
		}
	}
	return found
}

func holder(service *corev1.Service, field string, ports ...Port) Holder {
	if ports == nil {
		ports = []Port{}
	}
	return Holder{
		Namespace: service.Namespace, Name: service.Name, Field: field, Ports: ports,
		Since: service.CreationTimestamp.UTC(), SinceOf: "Service",
	}
}

// nodePort is one holder also where several protocols share the number; the
// field is that of the first.
func nodePort(service *corev1.Service, n allocator.Number) Holder {
	first := -1
	var ports []Port
	for i, port := range service.Spec.Ports {
		if port.NodePort == n.Port {
			ports = append(ports, Port{port.Name, port.Port, protocol(port.Protocol)})
			if first < 0 {
				first = i
			}
		}
	}
	return holder(service, fmt.Sprintf("spec.ports[%d].nodePort", first), ports...)
}

// clusterIP knows better since when: the second address of a Service may be
// younger than it, and the API server records when it gave it.
func (a Asker) clusterIP(service *corev1.Service, n allocator.Number) Holder {
	field := "spec.clusterIP"
	for i, ip := range service.Spec.ClusterIPs {
		if is(ip, n) {
			field = fmt.Sprintf("spec.clusterIPs[%d]", i)
		}
	}
	h := holder(service, field, portsOf(service)...)
	if address, ok := a.Addresses[n]; ok && address.CreationTimestamp.After(service.CreationTimestamp.Add(time.Second)) {
		parent := placeholder.TakenError{Parent: address.Spec.ParentRef}
		if key, isService := parent.Service(); isService && key == inventory.KeyOf(service) {
			h.Since, h.SinceOf = address.CreationTimestamp.UTC(), "IPAddress"
		}
	}
	return h
}

func addressFields(service *corev1.Service, use v1alpha1.AddressUse, n allocator.Number) []Holder {
	var found []Holder
	if use == v1alpha1.UseLoadBalancer {
		for i, ingress := range service.Status.LoadBalancer.Ingress {
			if is(ingress.IP, n) {
				found = append(found, holder(service, fmt.Sprintf("status.loadBalancer.ingress[%d].ip", i), portsOf(service)...))
			}
		}
	}
	if use == v1alpha1.UseExternalIP {
		for i, ip := range service.Spec.ExternalIPs {
			if is(ip, n) {
				found = append(found, holder(service, fmt.Sprintf("spec.externalIPs[%d]", i), portsOf(service)...))
			}
		}
	}
	return found
}

func is(text string, n allocator.Number) bool {
	addr, err := netip.ParseAddr(text)
	return err == nil && allocator.AddrNumber(addr) == n
}

func portsOf(service *corev1.Service) []Port {
	ports := make([]Port, 0, len(service.Spec.Ports))
	for _, port := range service.Spec.Ports {
		ports = append(ports, Port{port.Name, port.Port, protocol(port.Protocol)})
	}
	return ports
}

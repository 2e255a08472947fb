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

package allocator

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// HoldingsOf lists the numbers a Service holds, each once per field kind: two
// protocols may share one NodePort (A6). An ExternalName Service holds nothing,
// even where old fields are left in it; a Service being deleted still holds all.
func HoldingsOf(service *corev1.Service) []Holding {
	var held []Holding
	for _, ip := range ClusterIPsOf(service) {
		if addr, err := netip.ParseAddr(ip); err == nil {
			held = append(held, Holding{Kind: ClusterIP, Number: AddrNumber(addr)})
		}
	}
	if usesNodePorts(service) {
		held = appendNodePorts(held, service.Spec.Ports)
	}
	if needsHealthCheck(service) && service.Spec.HealthCheckNodePort != 0 {
		held = append(held, Holding{Kind: HealthCheckNodePort, Number: PortNumber(service.Spec.HealthCheckNodePort)})
	}
	return held
}

func appendNodePorts(held []Holding, ports []corev1.ServicePort) []Holding {
	taken := map[int32]bool{}
	for _, port := range ports {
		if port.NodePort != 0 && !taken[port.NodePort] {
			taken[port.NodePort] = true
			held = append(held, Holding{Kind: NodePort, Number: PortNumber(port.NodePort)})
		}
	}
	return held
}

// ClusterIPsOf lists the ClusterIPs of a Service, also where an old writer set
// only the singular field; nothing for headless and ExternalName Services.
func ClusterIPsOf(service *corev1.Service) []string {
	ips := service.Spec.ClusterIPs
	if len(ips) == 0 && service.Spec.ClusterIP != "" {
		ips = []string{service.Spec.ClusterIP}
	}
	if !usesClusterIP(service) || len(ips) > 0 && ips[0] == corev1.ClusterIPNone {
		return nil
	}
	return ips
}

func usesClusterIP(service *corev1.Service) bool {
	return service.Spec.Type != corev1.ServiceTypeExternalName
}

func usesNodePorts(service *corev1.Service) bool {
	return service.Spec.Type == corev1.ServiceTypeNodePort || service.Spec.Type == corev1.ServiceTypeLoadBalancer
}

// allocatesNodePorts says whether empty node ports are filled (A9).
func allocatesNodePorts(service *corev1.Service) bool {
	allocate := service.Spec.AllocateLoadBalancerNodePorts
	return usesNodePorts(service) && (service.Spec.Type == corev1.ServiceTypeNodePort || allocate == nil || *allocate)
}

func needsHealthCheck(service *corev1.Service) bool {
	return service.Spec.Type == corev1.ServiceTypeLoadBalancer &&
		service.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

func isHeadless(service *corev1.Service) bool {
	return service.Spec.ClusterIP == corev1.ClusterIPNone ||
		len(service.Spec.ClusterIPs) > 0 && service.Spec.ClusterIPs[0] == corev1.ClusterIPNone
}

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

package validation

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
)

// dropUnused empties, in place, the fields that the Service before had a use for
// and this one has not, unless the client has changed them as well: then they
// are refused.
func dropUnused(before, svc *corev1.Service) {
	had, has := &before.Spec, &svc.Spec
	if had.Type != corev1.ServiceTypeExternalName && has.Type == corev1.ServiceTypeExternalName {
		if had.ClusterIP == has.ClusterIP && slices.Equal(had.ClusterIPs, has.ClusterIPs) {
			has.ClusterIP, has.ClusterIPs = "", nil
		}
		if apiequality.Semantic.DeepEqual(had.IPFamilies, has.IPFamilies) {
			has.IPFamilies = nil
		}
		dropSame(had.IPFamilyPolicy, &has.IPFamilyPolicy)
	}
	if hasNodePorts(before) && !hasNodePorts(svc) && addsNoNodePort(had.Ports, has.Ports) {
		for i := range has.Ports {
			has.Ports[i].NodePort = 0
		}
	}
	if needsHealthCheck(before) && !needsHealthCheck(svc) && had.HealthCheckNodePort == has.HealthCheckNodePort {
		has.HealthCheckNodePort = 0
	}
	if had.Type == corev1.ServiceTypeLoadBalancer && has.Type != corev1.ServiceTypeLoadBalancer {
		dropSame(had.AllocateLoadBalancerNodePorts, &has.AllocateLoadBalancerNodePorts)
		dropSame(had.LoadBalancerClass, &has.LoadBalancerClass)
	}
	if isExternallyAccessible(before) && !isExternallyAccessible(svc) && had.ExternalTrafficPolicy == has.ExternalTrafficPolicy {
		has.ExternalTrafficPolicy = ""
	}
	if has.Type != corev1.ServiceTypeLoadBalancer {
		svc.Status.LoadBalancer = corev1.LoadBalancerStatus{}
	}
}

// dropSame empties a field that says what it said before.
func dropSame[T comparable](had *T, has **T) {
	if had != nil && *has != nil && *had == **has {
		*has = nil
	}
}

func hasNodePorts(svc *corev1.Service) bool {
	return svc.Spec.Type == corev1.ServiceTypeNodePort || svc.Spec.Type == corev1.ServiceTypeLoadBalancer
}

// addsNoNodePort says that each NodePort was there before, at whatever port.
func addsNoNodePort(had, has []corev1.ServicePort) bool {
	return !slices.ContainsFunc(has, func(port corev1.ServicePort) bool {
		return port.NodePort != 0 && !slices.ContainsFunc(had, func(p corev1.ServicePort) bool { return p.NodePort == port.NodePort })
	})
}

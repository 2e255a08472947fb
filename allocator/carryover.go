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
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// CarryOver is the Service as the API server will see it when it allocates: what
// the client left empty in an update is taken from the old object (A10). The
// server does this after mutating admission, so whoever chooses numbers in
// admission must do it too, or an update would change them. The new object is
// not touched; what is carried over needs no patch.
func CarryOver(old, updated *corev1.Service) *corev1.Service {
	work := *updated
	work.Spec.Ports = slices.Clone(updated.Spec.Ports)
	if old == nil || !usesClusterIP(old) {
		work.Spec.ClusterIPs = pluralClusterIPs(updated)
	} else if usesClusterIP(updated) {
		carryClusterIPs(old, &work)
	}
	if old == nil {
		return &work
	}
	if allocatesNodePorts(old) && allocatesNodePorts(updated) {
		carryNodePorts(old.Spec.Ports, work.Spec.Ports)
	}
	if needsHealthCheck(old) && needsHealthCheck(updated) && work.Spec.HealthCheckNodePort == 0 {
		work.Spec.HealthCheckNodePort = old.Spec.HealthCheckNodePort
	}
	return &work
}

// pluralClusterIPs reads the singular field of clients that know no other.
func pluralClusterIPs(service *corev1.Service) []string {
	if len(service.Spec.ClusterIPs) == 0 && service.Spec.ClusterIP != "" {
		return []string{service.Spec.ClusterIP}
	}
	return slices.Clone(service.Spec.ClusterIPs)
}

func carryClusterIPs(old, work *corev1.Service) {
	before := pluralClusterIPs(old)
	if work.Spec.ClusterIP == "" {
		work.Spec.ClusterIP = old.Spec.ClusterIP
	}
	if len(work.Spec.ClusterIPs) == 0 {
		work.Spec.ClusterIPs = before
	}
	// A client that changed only the singular field means both.
	if work.Spec.ClusterIP != old.Spec.ClusterIP && slices.Equal(work.Spec.ClusterIPs, before) {
		work.Spec.ClusterIPs = []string{work.Spec.ClusterIP}
	}
}

// carryNodePorts fills empty node ports by port name, except with a number that
// the client has moved to another port.
func carryNodePorts(old, work []corev1.ServicePort) {
	moved := map[int32]bool{}
	for _, port := range work {
		moved[port.NodePort] = port.NodePort != 0
	}
	byName := map[string]int32{}
	for _, port := range old {
		byName[port.Name] = port.NodePort
	}
	for i := range work {
		if before := byName[work[i].Name]; work[i].NodePort == 0 && !moved[before] {
			work[i].NodePort = before
		}
	}
}

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
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Endpoints are where Services lead, and whose that is.
type Endpoints struct {
	Slices []discoveryv1.EndpointSlice
	// Pods are the running ones, by addresses that are theirs alone.
	Pods map[netip.Addr][]types.NamespacedName
}

// keepPods remembers addresses: pods are large, and there are many.
func (e *Endpoints) keepPods(list *corev1.PodList) {
	for i := range list.Items {
		pod := &list.Items[i]
		if pod.Spec.HostNetwork || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		for _, ip := range pod.Status.PodIPs {
			if addr, err := netip.ParseAddr(ip.IP); err == nil {
				e.Pods[addr.Unmap()] = append(e.Pods[addr.Unmap()], types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name})
			}
		}
	}
}

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

package balancer

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
)

// UsesOfService are the addresses that nobody else's load balancer is to have: its
// ClusterIPs, its external IPs, and what another controller gave it.
func UsesOfService(object *corev1.Service, class Class) (Source, []netip.Addr) {
	source := Source{Kind: "Service", Name: types.NamespacedName{Namespace: object.Namespace, Name: object.Name}}
	if !allocator.IsServed(object) {
		return source, nil
	}
	texts := slices.Concat(object.Spec.ClusterIPs, object.Spec.ExternalIPs)
	if object.Spec.Type == corev1.ServiceTypeLoadBalancer && !class.Serves(object) {
		for _, ingress := range object.Status.LoadBalancer.Ingress {
			texts = append(texts, ingress.IP)
		}
	}
	return source, addrsIn(texts)
}

// UsesOfNode are a node's own addresses.
func UsesOfNode(node *corev1.Node) (Source, []netip.Addr) {
	var texts []string
	for _, address := range node.Status.Addresses {
		texts = append(texts, address.Address) // names of hosts are no addresses
	}
	return Source{Kind: "Node", Name: types.NamespacedName{Name: node.Name}}, addrsIn(texts)
}

func addrsIn(texts []string) []netip.Addr {
	var addrs []netip.Addr
	for _, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}

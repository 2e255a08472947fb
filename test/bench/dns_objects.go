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

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// build writes a namespace of Services and slices; each tenth Service is headless
// and has endpoints with names. Switching is one more headless one.
func (b *dnsBench) build(ctx context.Context) error {
	core, here := b.client.CoreV1(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := core.Namespaces().Create(ctx, here, metav1.CreateOptions{}); err != nil {
		return err
	}
	switched := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: switching.name}}
	switched.Spec.ClusterIP = corev1.ClusterIPNone
	if _, err := core.Services(namespace).Create(ctx, switched, metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := b.client.DiscoveryV1().EndpointSlices(namespace).Create(ctx, slice(switching.name, switching.endpoints()), metav1.CreateOptions{}); err != nil {
		return err
	}
	var puts []put
	h := &hamlet{services: b.options.dns}
	for i := range h.services {
		service := h.service(i)
		if isHeadless(i) {
			service.Spec.ClusterIP, service.Spec.ClusterIPs = corev1.ClusterIPNone, []string{corev1.ClusterIPNone}
		} else {
			puts = append(puts, addressOf(service, clusterIP(i)))
		}
		puts = append(puts, put{fmt.Sprintf("services/specs/%s/%s", namespace, service.Name), service}, dnsSlice(i))
	}
	if err := b.store.write(ctx, puts); err != nil {
		return err
	}
	return b.awaitAll(ctx, h.services+1, dnsEndpoints)
}

func dnsSlice(service int) put {
	var addresses []netip.Addr
	for n := range dnsEndpoints {
		addresses = append(addresses, endpointAddress(service, n, 0))
	}
	s := slice(serviceName(service), addresses)
	s.TypeMeta = metav1.TypeMeta{APIVersion: discoveryv1.SchemeGroupVersion.String(), Kind: "EndpointSlice"}
	stored(&s.ObjectMeta, s.Name)
	s.CreationTimestamp = metav1.Now()
	for n := range s.Endpoints {
		if isHeadless(service) {
			s.Endpoints[n].Hostname = new(hostOf(service, n))
		}
	}
	return put{fmt.Sprintf("endpointslices/%s/%s", namespace, s.Name), s}
}

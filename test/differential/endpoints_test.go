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

package differential

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func endpoints() []*corev1.Endpoints {
	return []*corev1.Endpoints{
		{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", ResourceVersion: "1"}},
		{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", ResourceVersion: "1"}, Subsets: []corev1.EndpointSubset{{
			Addresses:         []corev1.EndpointAddress{{IP: "10.1.0.1", Hostname: "web-0", NodeName: new("node-1")}},
			NotReadyAddresses: []corev1.EndpointAddress{{IP: "fd00::1"}},
			Ports:             []corev1.EndpointPort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}, {Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}},
		}}},
	}
}

// onSubset changes the first subset, and makes one if there is none.
func onSubset(do func(c chooser, subset *corev1.EndpointSubset)) change[*corev1.Endpoints] {
	return func(c chooser, e *corev1.Endpoints) {
		if len(e.Subsets) == 0 {
			e.Subsets = []corev1.EndpointSubset{{}}
		}
		do(c, &e.Subsets[0])
	}
}

func endpointsChanges() []change[*corev1.Endpoints] {
	address := func(c chooser) corev1.EndpointAddress {
		return corev1.EndpointAddress{IP: pick(c, ips), Hostname: pick(c, names), NodeName: maybe(c, names)}
	}
	changes := []change[*corev1.Endpoints]{
		func(c chooser, e *corev1.Endpoints) { e.Subsets = append(e.Subsets, corev1.EndpointSubset{}) },
		func(c chooser, e *corev1.Endpoints) {
			e.Labels = map[string]string{"endpoints.kubernetes.io/managed-by": pick(c, []string{"endpoint-controller", "me"})}
		},
		onSubset(func(c chooser, s *corev1.EndpointSubset) {
			s.Addresses = append(s.Addresses, corev1.EndpointAddress{IP: pick(c, ips)})
		}),
		onSubset(func(c chooser, s *corev1.EndpointSubset) { s.Addresses = append(s.Addresses, address(c)) }),
		onSubset(func(c chooser, s *corev1.EndpointSubset) {
			s.NotReadyAddresses = append(s.NotReadyAddresses, address(c))
		}),
		onSubset(func(c chooser, s *corev1.EndpointSubset) { s.Addresses, s.NotReadyAddresses = nil, nil }),
		onSubset(func(c chooser, s *corev1.EndpointSubset) {
			s.Ports = append(s.Ports, corev1.EndpointPort{Name: pick(c, portNames), Port: pick(c, ports), Protocol: pick(c, protocols), AppProtocol: maybe(c, appProtocols)})
		}),
		onSubset(func(c chooser, s *corev1.EndpointSubset) {
			s.Ports = []corev1.EndpointPort{{Port: pick(c, ports), Protocol: corev1.ProtocolTCP}}
		}),
	}
	return withMetadata(changes, func(e *corev1.Endpoints) *metav1.ObjectMeta { return &e.ObjectMeta })
}

func slices4to6() []*discoveryv1.EndpointSlice {
	with := func(addressType discoveryv1.AddressType, addresses ...string) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Name: "web-1", Namespace: "default", ResourceVersion: "1"},
			AddressType: addressType,
			Endpoints: []discoveryv1.Endpoint{{
				Addresses: addresses, Hostname: new("web-0"), NodeName: new("node-1"), Zone: new("a"),
				Hints: &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "a"}}, ForNodes: []discoveryv1.ForNode{{Name: "node-1"}}},
			}},
			Ports: []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(80)), Protocol: new(corev1.ProtocolTCP)}},
		}
	}
	empty := with(discoveryv1.AddressTypeIPv4)
	empty.Endpoints, empty.Ports = nil, nil
	return []*discoveryv1.EndpointSlice{
		with(discoveryv1.AddressTypeIPv4, "10.1.0.1"), with(discoveryv1.AddressTypeIPv6, "fd00::1"), with(discoveryv1.AddressTypeFQDN, "example.com"), empty,
	}
}

// onEndpoint changes the first endpoint, and makes one if there is none.
func onEndpoint(do func(c chooser, endpoint *discoveryv1.Endpoint)) change[*discoveryv1.EndpointSlice] {
	return func(c chooser, s *discoveryv1.EndpointSlice) {
		if len(s.Endpoints) == 0 {
			s.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}}}
		}
		do(c, &s.Endpoints[0])
	}
}

func sliceChanges() []change[*discoveryv1.EndpointSlice] {
	type slice = *discoveryv1.EndpointSlice
	changes := []change[slice]{
		func(c chooser, s slice) { s.AddressType = pick(c, addressTypes) },
		func(c chooser, s slice) {
			s.Labels = map[string]string{discoveryv1.LabelManagedBy: pick(c, []string{"endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io", "me"})}
		},
		func(c chooser, s slice) {
			s.Ports = append(s.Ports, discoveryv1.EndpointPort{
				Name: new(pick(c, portNames)), Port: maybe(c, ports), Protocol: maybe(c, protocols), AppProtocol: maybe(c, appProtocols),
			})
		},
		func(c chooser, s slice) {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: some(c, ips)})
		},
		onEndpoint(func(c chooser, e *discoveryv1.Endpoint) { e.Addresses = some(c, ips) }),
		onEndpoint(func(c chooser, e *discoveryv1.Endpoint) { e.Addresses = []string{pick(c, ips)} }),
		onEndpoint(func(c chooser, e *discoveryv1.Endpoint) { e.Addresses = some(c, fqdns) }),
		onEndpoint(func(c chooser, e *discoveryv1.Endpoint) { e.Hostname = maybe(c, names) }),
		onEndpoint(func(c chooser, e *discoveryv1.Endpoint) { e.NodeName = maybe(c, names) }),
		onEndpoint(func(c chooser, e *discoveryv1.Endpoint) { e.Hints = hints(c) }),
		onEndpoint(func(c chooser, e *discoveryv1.Endpoint) { e.DeprecatedTopology = labels(c) }),
	}
	return withMetadata(changes, func(s slice) *metav1.ObjectMeta { return &s.ObjectMeta })
}

func hints(c chooser) *discoveryv1.EndpointHints {
	hints := &discoveryv1.EndpointHints{}
	for range c.IntN(12) {
		hints.ForZones = append(hints.ForZones, discoveryv1.ForZone{Name: pick(c, append([]string{"a", "b"}, labelValues...))})
	}
	for range c.IntN(12) {
		hints.ForNodes = append(hints.ForNodes, discoveryv1.ForNode{Name: pick(c, names)})
	}
	return hints
}

// oversized are slices beyond each of the limits, and at them.
func oversized() []*discoveryv1.EndpointSlice {
	var list []*discoveryv1.EndpointSlice
	slice := func(endpoints, addresses, ports, topology int) {
		s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", ResourceVersion: "1"}, AddressType: discoveryv1.AddressTypeIPv4}
		for range endpoints {
			e := discoveryv1.Endpoint{DeprecatedTopology: map[string]string{}}
			for i := range addresses {
				e.Addresses = append(e.Addresses, fmt.Sprintf("10.1.%d.1", i))
			}
			for i := range topology {
				e.DeprecatedTopology[fmt.Sprintf("k%d", i)] = "v"
			}
			s.Endpoints = append(s.Endpoints, e)
		}
		for i := range ports {
			s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: new(fmt.Sprintf("p%d", i)), Protocol: new(corev1.ProtocolTCP)})
		}
		list = append(list, s)
	}
	slice(1000, 1, 0, 0)
	slice(1001, 1, 0, 0)
	slice(1001, 0, 0, 0)
	slice(1, 100, 0, 16)
	slice(1, 101, 0, 17)
	slice(1, 1, 20001, 0)
	return list
}

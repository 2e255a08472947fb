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

package webhooks

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Backend is one endpoint address as an Endpoints or an EndpointSlice object
// spells it, with the ports that go with it.
type Backend struct {
	Text string
	Addr netip.Addr
	// Ports are shared by all backends of a group, so that an object of many
	// addresses and many ports takes no more memory than it is long.
	Ports Ports

	group int
	path  func() *field.Path
}

// Path is the field that holds the address.
func (b Backend) Path() *field.Path { return b.path() }

// BackendsOfEndpoints are the addresses of an Endpoints object, ready or not.
func BackendsOfEndpoints(endpoints *corev1.Endpoints) []Backend {
	var backends []Backend
	for i, subset := range endpoints.Subsets {
		ports := subsetPorts(subset.Ports)
		add := func(name string, addresses []corev1.EndpointAddress) {
			for j, address := range addresses {
				backends = appendBackend(backends, Backend{Text: address.IP, Ports: ports, group: i, path: func() *field.Path {
					return field.NewPath("subsets").Index(i).Child(name).Index(j).Child("ip")
				}})
			}
		}
		add("addresses", subset.Addresses)
		add("notReadyAddresses", subset.NotReadyAddresses)
	}
	return backends
}

// BackendsOfSlice are the addresses of an EndpointSlice; one of DNS names has
// none.
func BackendsOfSlice(slice *discoveryv1.EndpointSlice) []Backend {
	var backends []Backend
	ports := slicePorts(slice.Ports)
	for i, endpoint := range slice.Endpoints {
		for j, text := range endpoint.Addresses {
			backends = appendBackend(backends, Backend{Text: text, Ports: ports, path: func() *field.Path {
				return field.NewPath("endpoints").Index(i).Child("addresses").Index(j)
			}})
		}
	}
	return backends
}

// servedBackends are the addresses of a slice as far as a proxy sends traffic
// there: none while the slice names no Service. Controllers of several clusters
// keep such slices (KEP-1645), with addresses of other clusters in them.
func servedBackends(slice *discoveryv1.EndpointSlice) []Backend {
	if slice.Labels[discoveryv1.LabelServiceName] == "" {
		return nil
	}
	return BackendsOfSlice(slice)
}

func appendBackend(backends []Backend, backend Backend) []Backend {
	addr, ok := parseAddr(backend.Text)
	if !ok {
		return backends
	}
	backend.Addr = addr
	return append(backends, backend)
}

func subsetPorts(list []corev1.EndpointPort) Ports {
	ports := Ports{}
	for _, port := range list {
		ports[PortKey{port.Port, protocolOf(port.Protocol)}] = true
	}
	return ports
}

// slicePorts leaves out ports without a number, which mean every port: an
// address alone is no reason to refuse (see servedByProxy).
func slicePorts(list []discoveryv1.EndpointPort) Ports {
	ports := Ports{}
	for _, port := range list {
		if port.Port == nil {
			continue
		}
		protocol := corev1.ProtocolTCP
		if port.Protocol != nil {
			protocol = *port.Protocol
		}
		ports[PortKey{*port.Port, protocol}] = true
	}
	return ports
}

// BackendChange is one write of an Endpoints or EndpointSlice object.
type BackendChange struct {
	Namespace string
	// Before is empty when the object is being created.
	Before, After []Backend
	// Slice is the EndpointSlice as it will be and OldSlice as it was; both are
	// nil for Endpoints.
	Slice, OldSlice *discoveryv1.EndpointSlice
}

// had tells which addresses the object had, and with which ports.
func (c BackendChange) had() map[netip.Addr][]Ports {
	had := map[netip.Addr][]Ports{}
	for _, b := range c.Before {
		had[b.Addr] = append(had[b.Addr], b.Ports)
	}
	return had
}

// distinct are the backends of the new object, each address once for a group of
// ports: a list that repeats itself is judged once.
func (c BackendChange) distinct() []Backend {
	type place struct {
		addr  netip.Addr
		group int
	}
	seen := make(map[place]bool, len(c.After))
	var backends []Backend
	for _, b := range c.After {
		if at := (place{b.Addr, b.group}); !seen[at] {
			seen[at] = true
			backends = append(backends, b)
		}
	}
	return backends
}

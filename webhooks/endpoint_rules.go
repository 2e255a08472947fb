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
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Backend is one endpoint address as an Endpoints or an EndpointSlice object
// spells it, with the ports that go with it.
type Backend struct {
	Path *field.Path
	Text string
	Addr netip.Addr
	// Ports are the address with each of its ports.
	Ports []Frontend
}

// BackendsOfEndpoints are the addresses of an Endpoints object, ready or not.
func BackendsOfEndpoints(endpoints *corev1.Endpoints) []Backend {
	var backends []Backend
	for i, subset := range endpoints.Subsets {
		path := field.NewPath("subsets").Index(i)
		add := func(field string, addresses []corev1.EndpointAddress) {
			for j, address := range addresses {
				backends = appendBackend(backends, path.Child(field).Index(j).Child("ip"), address.IP, func(addr netip.Addr) []Frontend {
					return subsetFrontends(addr, subset.Ports)
				})
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
	for i, endpoint := range slice.Endpoints {
		for j, text := range endpoint.Addresses {
			path := field.NewPath("endpoints").Index(i).Child("addresses").Index(j)
			backends = appendBackend(backends, path, text, func(addr netip.Addr) []Frontend {
				return sliceFrontends(addr, slice.Ports)
			})
		}
	}
	return backends
}

func appendBackend(backends []Backend, path *field.Path, text string, ports func(netip.Addr) []Frontend) []Backend {
	addr, ok := parseAddr(text)
	if !ok {
		return backends
	}
	return append(backends, Backend{Path: path, Text: text, Addr: addr, Ports: ports(addr)})
}

func subsetFrontends(addr netip.Addr, ports []corev1.EndpointPort) []Frontend {
	frontends := make([]Frontend, 0, len(ports))
	for _, port := range ports {
		frontends = append(frontends, Frontend{Addr: addr, Port: port.Port, Protocol: protocolOf(port.Protocol)})
	}
	return frontends
}

// sliceFrontends leaves out ports without a number, which mean every port: an
// address alone is no reason to refuse (see servedByProxy).
func sliceFrontends(addr netip.Addr, ports []discoveryv1.EndpointPort) []Frontend {
	var frontends []Frontend
	for _, port := range ports {
		if port.Port == nil {
			continue
		}
		protocol := corev1.ProtocolTCP
		if port.Protocol != nil {
			protocol = *port.Protocol
		}
		frontends = append(frontends, Frontend{Addr: addr, Port: *port.Port, Protocol: protocol})
	}
	return frontends
}

// ValidateBackends judges the addresses that a change adds to an Endpoints or
// EndpointSlice object; before is empty when it is being created.
func ValidateBackends(ctx context.Context, world World, severities Severities, before, after []Backend) (Verdict, error) {
	var verdict Verdict
	err := judge(&verdict, RuleEndpointIsService, severities, func() ([]Finding, error) {
		return checkEndpointIsService(ctx, world, before, after)
	})
	return verdict, err
}

// checkEndpointIsService is X8. A Service behind a Service is not forwarded: a
// packet's destination is translated once.
func checkEndpointIsService(ctx context.Context, world World, before, after []Backend) ([]Finding, error) {
	hadAddr, hadPort := heldByBackends(before)
	var found []Finding
	for _, b := range after {
		var detail string
		var err error
		if !hadAddr[b.Addr] {
			detail, err = reservedFor(ctx, world, b.Addr)
		}
		if err == nil && detail == "" {
			detail, err = servedByProxy(ctx, world, b, hadPort)
		}
		if err != nil {
			return found, err
		}
		if detail == "" {
			continue
		}
		found = append(found, Finding{Path: b.Path, Value: b.Text,
			Detail: detail + ", and a Service can not be an endpoint; use the addresses of its pods, or an ExternalName Service"})
		if len(found) >= maxFindings {
			break
		}
	}
	return found, nil
}

// heldByBackends are the addresses, and addresses with a port, of an object.
func heldByBackends(backends []Backend) (map[netip.Addr]bool, map[Frontend]bool) {
	addrs, ports := map[netip.Addr]bool{}, map[Frontend]bool{}
	for _, b := range backends {
		addrs[b.Addr] = true
		for _, port := range b.Ports {
			ports[port] = true
		}
	}
	return addrs, ports
}

// servedByProxy finds the Service that answers at the very address and port of
// an endpoint. The address alone would forbid too much: a node's own address
// is often an external IP and, at another port, a rightful endpoint. An
// address of ipMode Proxy is a real load balancer, which can be an endpoint.
func servedByProxy(ctx context.Context, world World, b Backend, had map[Frontend]bool) (string, error) {
	for _, port := range b.Ports {
		if had[port] {
			continue
		}
		holders, err := world.ServicesByFrontend(ctx, port)
		if err != nil {
			return "", err
		}
		for _, holder := range holders {
			if !onlyByLoadBalancer(holder, b.Addr) {
				return fmt.Sprintf("%s answers at port %d/%s of this address", world.NameOf(ctx, holder), port.Port, port.Protocol), nil
			}
		}
	}
	return "", nil
}

// onlyByLoadBalancer tells whether packets to the address leave the cluster
// for a real load balancer (ipMode Proxy, KEP-1860) and are not translated here.
func onlyByLoadBalancer(svc *corev1.Service, addr netip.Addr) bool {
	for _, v := range externalVIPs(svc) {
		if v.addr == addr {
			return false
		}
	}
	for _, ingress := range svc.Status.LoadBalancer.Ingress {
		at, ok := parseAddr(ingress.IP)
		if ok && at == addr && (ingress.IPMode == nil || *ingress.IPMode != corev1.LoadBalancerIPModeProxy) {
			return false
		}
	}
	return true
}

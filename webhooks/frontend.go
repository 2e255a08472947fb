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
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

// Frontend is what a packet is matched by: where a Service answers.
type Frontend struct {
	Addr     netip.Addr
	Port     int32
	Protocol corev1.Protocol
}

// String is the key of the frontend index, for example 192.0.2.1:80/TCP.
func (f Frontend) String() string {
	return fmt.Sprintf("%s/%s", netip.AddrPortFrom(f.Addr, uint16(f.Port)), f.Protocol)
}

// vip is an address of a Service that comes from outside the ServiceCIDRs,
// with the field that holds it.
type vip struct {
	path *field.Path
	text string
	addr netip.Addr
}

// parseAddr reads an address the way the API server always did, leading zeros
// included, because stored objects may still hold such; an IPv4 address written
// as IPv6 is the IPv4 address.
func parseAddr(text string) (netip.Addr, bool) {
	addr, ok := netip.AddrFromSlice(netutils.ParseIPSloppy(text))
	return addr.Unmap(), ok
}

// proxied tells whether anything is programmed for the Service at all: not for
// ExternalName, and not for headless Services, whose external IPs are ignored.
func proxied(svc *corev1.Service) bool {
	return svc.Spec.Type != corev1.ServiceTypeExternalName && svc.Spec.ClusterIP != corev1.ClusterIPNone
}

// externalVIPs are the Service's spec.externalIPs.
func externalVIPs(svc *corev1.Service) []vip {
	if svc == nil || !proxied(svc) {
		return nil
	}
	var vips []vip
	for i, text := range svc.Spec.ExternalIPs {
		if addr, ok := parseAddr(text); ok {
			vips = append(vips, vip{field.NewPath("spec", "externalIPs").Index(i), text, addr})
		}
	}
	return vips
}

// ingressVIPs are the addresses in status.loadBalancer, whoever wrote them.
func ingressVIPs(svc *corev1.Service) []vip {
	if svc == nil || svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return nil
	}
	var vips []vip
	for i, ingress := range svc.Status.LoadBalancer.Ingress {
		if addr, ok := parseAddr(ingress.IP); ok {
			path := field.NewPath("status", "loadBalancer", "ingress").Index(i).Child("ip")
			vips = append(vips, vip{path, ingress.IP, addr})
		}
	}
	return vips
}

// requestedVIP is spec.loadBalancerIP, a wish that a controller may grant.
func requestedVIP(svc *corev1.Service) []vip {
	if svc == nil || svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return nil
	}
	addr, ok := parseAddr(svc.Spec.LoadBalancerIP)
	if !ok {
		return nil
	}
	return []vip{{field.NewPath("spec", "loadBalancerIP"), svc.Spec.LoadBalancerIP, addr}}
}

// frontendsAt are the Service's ports at one address.
func frontendsAt(svc *corev1.Service, addr netip.Addr) []Frontend {
	frontends := make([]Frontend, 0, len(svc.Spec.Ports))
	for _, port := range svc.Spec.Ports {
		frontends = append(frontends, Frontend{Addr: addr, Port: port.Port, Protocol: protocolOf(port.Protocol)})
	}
	return frontends
}

// protocolOf fills in the API's default.
func protocolOf(p corev1.Protocol) corev1.Protocol {
	if p == "" {
		return corev1.ProtocolTCP
	}
	return p
}

// heldFrontends are those that the Service has outside the ServiceCIDRs: its
// external IPs and its load-balancer addresses.
func heldFrontends(svc *corev1.Service) map[Frontend]bool {
	held := map[Frontend]bool{}
	if svc == nil {
		return held
	}
	for _, v := range append(externalVIPs(svc), ingressVIPs(svc)...) {
		for _, frontend := range frontendsAt(svc, v.addr) {
			held[frontend] = true
		}
	}
	return held
}

// clusterAddrs are the Service's ClusterIPs.
func clusterAddrs(svc *corev1.Service) []netip.Addr {
	texts := svc.Spec.ClusterIPs
	if len(texts) == 0 {
		texts = []string{svc.Spec.ClusterIP}
	}
	var addrs []netip.Addr
	for _, text := range texts {
		if addr, ok := parseAddr(text); ok {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

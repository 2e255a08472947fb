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
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// PortKey is a port with its protocol.
type PortKey struct {
	Port     int32
	Protocol corev1.Protocol
}

// String is the port as messages and indexes have it, for example 80/TCP.
func (k PortKey) String() string { return fmt.Sprintf("%d/%s", k.Port, k.Protocol) }

// Ports are those of one Service, or of a group of endpoints.
type Ports map[PortKey]bool

// portsOf are the Service's ports.
func portsOf(svc *corev1.Service) Ports {
	ports := Ports{}
	if svc == nil {
		return ports
	}
	for _, port := range svc.Spec.Ports {
		ports[portKey(port)] = true
	}
	return ports
}

func portKey(port corev1.ServicePort) PortKey { return PortKey{port.Port, protocolOf(port.Protocol)} }

// without are the ports that the others lack.
func (p Ports) without(others Ports) Ports {
	left := Ports{}
	for port := range p {
		if !others[port] {
			left[port] = true
		}
	}
	return left
}

// servedBy is the first port of the Service that is one of these.
func (p Ports) servedBy(svc *corev1.Service) (PortKey, bool) {
	for _, port := range svc.Spec.Ports {
		if key := portKey(port); p[key] {
			return key, true
		}
	}
	return PortKey{}, false
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

// wishAnnotations are where load-balancer controllers read the addresses that a
// Service asks for, since spec.loadBalancerIP is deprecated and has one only.
var wishAnnotations = []string{
	v1alpha1.LoadBalancerIPsAnnotation,
	"metallb.io/loadBalancerIPs",
	"metallb.universe.tf/loadBalancerIPs",
	"kube-vip.io/loadbalancerIPs",
	"lbipam.cilium.io/ips",
	"io.cilium/lb-ipam-ips",
	"purelb.io/addresses",
	"projectcalico.org/loadBalancerIPs",
	"service.beta.kubernetes.io/azure-load-balancer-ipv4",
	"service.beta.kubernetes.io/azure-load-balancer-ipv6",
}

// requestedVIPs are spec.loadBalancerIP and the like of it in annotations: wishes
// that a controller may grant.
func requestedVIPs(svc *corev1.Service) []vip {
	if svc == nil || svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return nil
	}
	vips := appendWish(nil, field.NewPath("spec", "loadBalancerIP"), svc.Spec.LoadBalancerIP)
	for _, key := range wishAnnotations {
		if svc.Annotations[key] == "" {
			continue
		}
		path := field.NewPath("metadata", "annotations").Key(key)
		for _, text := range wishesIn(svc.Annotations[key]) {
			vips = appendWish(vips, path, strings.TrimSpace(text))
		}
	}
	return vips
}

// wishesIn takes a value apart at its commas, and Calico's as the JSON it is.
func wishesIn(value string) []string {
	var list []string
	if json.Unmarshal([]byte(value), &list) == nil {
		return list
	}
	return strings.Split(value, ",")
}

// appendWish leaves out 0.0.0.0 and ::, which ask kube-vip for an address by DHCP.
func appendWish(vips []vip, path *field.Path, text string) []vip {
	addr, ok := parseAddr(text)
	if !ok || addr.IsUnspecified() {
		return vips
	}
	return append(vips, vip{path, text, addr})
}

// protocolOf fills in the API's default.
func protocolOf(p corev1.Protocol) corev1.Protocol {
	if p == "" {
		return corev1.ProtocolTCP
	}
	return p
}

// heldAddrs are the addresses that the Service has outside the ServiceCIDRs:
// its external IPs and its load-balancer addresses.
func heldAddrs(svc *corev1.Service) map[netip.Addr]bool {
	held := map[netip.Addr]bool{}
	for _, v := range append(externalVIPs(svc), ingressVIPs(svc)...) {
		held[v.addr] = true
	}
	return held
}

// wantedAddrs are those that the Service holds and those it waits for: what it
// asked for, until a controller has given it any address. One that is being deleted
// waits for nothing, however long a finalizer keeps it.
func wantedAddrs(svc *corev1.Service) map[netip.Addr]bool {
	wanted := heldAddrs(svc)
	if len(ingressVIPs(svc)) == 0 && svc.DeletionTimestamp == nil {
		for _, v := range requestedVIPs(svc) {
			wanted[v.addr] = true
		}
	}
	return wanted
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

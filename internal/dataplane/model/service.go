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

package model

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// LabelServiceProxyName hands a Service to the proxy of that name.
const LabelServiceProxyName = "service.kubernetes.io/service-proxy-name"

// The API's default and limit for sessionAffinityConfig.
const (
	defaultAffinity    = time.Duration(corev1.DefaultClientIPServiceAffinitySeconds) * time.Second
	maxAffinitySeconds = 86400
)

// Proxied says whether svc has virtual IPs that the proxy of the given name
// answers for. The default proxy has no name, and nothing that has one is its.
func Proxied(svc *corev1.Service, proxyName string) bool {
	name, named := svc.Labels[LabelServiceProxyName]
	if named != (proxyName != "") || name != proxyName {
		return false
	}
	return svc.Spec.Type != corev1.ServiceTypeExternalName &&
		svc.Spec.ClusterIP != "" && svc.Spec.ClusterIP != corev1.ClusterIPNone
}

// service is what one Service object says.
type service struct {
	object   Object
	created  time.Time
	ports    []ServicePort
	problems []Problem
}

// equal is true for nil and nil.
func (s *service) equal(o *service) bool {
	if s == nil || o == nil {
		return s == o
	}
	return s.object == o.object && s.created.Equal(o.created) && slices.Equal(s.problems, o.problems) &&
		slices.EqualFunc(s.ports, o.ports, func(a, b ServicePort) bool { return a.equal(&b) })
}

func (s *service) touch(dirty map[ServicePortName]struct{}) {
	for i := range s.ports {
		dirty[s.ports[i].Name] = struct{}{}
	}
}

// readService takes from svc what can be used; a Service that is not proxied
// has no ports.
func readService(svc *corev1.Service, proxyName string) *service {
	read := &service{object: serviceObject(svc), created: svc.CreationTimestamp.Time}
	if !Proxied(svc, proxyName) {
		return read
	}
	found := &problems{object: read.object}
	shared := ServicePort{ClusterIPs: readClusterIPs(svc, found)}
	shared.ExternalIPs = readExternalIPs(svc, shared, found)
	shared.LoadBalancerIPs = readLoadBalancerIPs(svc, shared, found)
	shared.Pooled = len(shared.LoadBalancerIPs) > 0 && pooled(svc)
	shared.Traffic = readTraffic(svc, found)
	read.ports = readPorts(svc, shared, found)
	read.problems = found.all()
	return read
}

func serviceObject(svc *corev1.Service) Object {
	return Object{Kind: kindService, Namespace: svc.Namespace, Name: svc.Name, UID: string(svc.UID)}
}

func readClusterIPs(svc *corev1.Service, found *problems) []netip.Addr {
	texts := svc.Spec.ClusterIPs
	if len(texts) == 0 { // written before 1.20, and by clients that set only the old field
		texts = []string{svc.Spec.ClusterIP}
	}
	const remedy = "re-create the Service to have one allocated"
	var addrs []netip.Addr
	for i, text := range texts {
		field := fmt.Sprintf("spec.clusterIPs[%d]", i)
		addr, err := parseAddr(text)
		switch {
		case err != nil:
			found.add(field, remedy, "%v", err)
		case len(ofFamily(addrs, FamilyOf(addr))) > 0:
			found.add(field, remedy, "%s is a second %s address", addr, FamilyOf(addr))
		default:
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

func readExternalIPs(svc *corev1.Service, shared ServicePort, found *problems) []netip.Addr {
	var addrs []netip.Addr
	for i, text := range svc.Spec.ExternalIPs {
		field := fmt.Sprintf("spec.externalIPs[%d]", i)
		if addr, ok := readVIP(field, text, shared, found); ok {
			addrs = append(addrs, addr)
		}
	}
	return sortedSet(addrs)
}

func readLoadBalancerIPs(svc *corev1.Service, shared ServicePort, found *problems) []netip.Addr {
	var addrs []netip.Addr
	for i, ingress := range svc.Status.LoadBalancer.Ingress {
		if ingress.IP == "" || ingress.IPMode != nil && *ingress.IPMode != corev1.LoadBalancerIPModeVIP {
			continue // a host name, or a load balancer that wants to see the packets itself (KEP-1860)
		}
		field := fmt.Sprintf("status.loadBalancer.ingress[%d].ip", i)
		if addr, ok := readVIP(field, ingress.IP, shared, found); ok {
			addrs = append(addrs, addr)
		}
	}
	return sortedSet(addrs)
}

// readVIP reads an address outside of clusterIPs. Without a ClusterIP of its
// family a Service has no endpoints of that family either.
func readVIP(field, text string, shared ServicePort, found *problems) (netip.Addr, bool) {
	addr, err := parseAddr(text)
	if err != nil {
		found.add(field, "remove it or correct it", "%v", err)
		return addr, false
	}
	if _, ok := shared.ClusterIP(FamilyOf(addr)); !ok {
		found.add(field, "remove it, or set spec.ipFamilyPolicy to PreferDualStack",
			"%s is %s but the Service has no %[2]s ClusterIP", addr, FamilyOf(addr))
		return addr, false
	}
	if slices.Contains(shared.ClusterIPs, addr) {
		found.add(field, "remove it", "%s is the Service's own ClusterIP", addr)
		return addr, false
	}
	return addr, true
}

func readTraffic(svc *corev1.Service, found *problems) Traffic {
	traffic := Traffic{
		ExternalLocal: svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal,
		Affinity:      readAffinity(svc, found),
		SourceRanges:  readSourceRanges(svc, found),
	}
	if policy := svc.Spec.InternalTrafficPolicy; policy != nil {
		traffic.InternalLocal = *policy == corev1.ServiceInternalTrafficPolicyLocal
	}
	traffic.HealthCheckNodePort = readHealthCheckNodePort(svc, found)
	traffic.readScheduling(svc, found)
	return traffic
}

// readHealthCheckNodePort reads the port that load balancers ask for local
// endpoints. It has a meaning only where it matters where they are.
func readHealthCheckNodePort(svc *corev1.Service, found *problems) uint16 {
	number := svc.Spec.HealthCheckNodePort
	if number == 0 || svc.Spec.Type != corev1.ServiceTypeLoadBalancer ||
		svc.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal {
		return 0
	}
	port, ok := parsePort(number)
	if !ok {
		found.add("spec.healthCheckNodePort", "re-create the Service to have one allocated", "%d is not a port number", number)
	}
	return port
}

func readAffinity(svc *corev1.Service, found *problems) time.Duration {
	if svc.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		return 0
	}
	config := svc.Spec.SessionAffinityConfig
	if config == nil || config.ClientIP == nil || config.ClientIP.TimeoutSeconds == nil {
		return defaultAffinity
	}
	seconds := *config.ClientIP.TimeoutSeconds
	if seconds < 1 || seconds > maxAffinitySeconds {
		found.add("spec.sessionAffinityConfig.clientIP.timeoutSeconds", "choose 1-86400",
			"%d is out of range, %s is used", seconds, defaultAffinity)
		return defaultAffinity
	}
	return time.Duration(seconds) * time.Second
}

// readSourceRanges reads the field only. The annotation that came before it,
// service.beta.kubernetes.io/load-balancer-source-ranges, is for the load
// balancer: no kube-proxy has ever held a node's own clients to it.
func readSourceRanges(svc *corev1.Service, found *problems) []netip.Prefix {
	if len(svc.Spec.LoadBalancerSourceRanges) == 0 {
		return nil
	}
	ranges := []netip.Prefix{} // not nil: a list of nothing but mistakes must not open the door
	for i, text := range svc.Spec.LoadBalancerSourceRanges {
		prefix, err := parsePrefix(text)
		if err != nil {
			found.add(fmt.Sprintf("spec.loadBalancerSourceRanges[%d]", i), "correct it, as in 192.0.2.0/24", "%v", err)
			continue
		}
		ranges = append(ranges, prefix)
	}
	return ranges
}

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

package discovery

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Records are all records of a Service and of nothing else, in the order of a
// listing. Slices are those of the Service.
func Records(svc *corev1.Service, eps []*discoveryv1.EndpointSlice, o Options) []Record {
	l := listing{Options: o, name: fmt.Sprintf("%s.%s.svc.%s", svc.Name, svc.Namespace, o.Zone)}
	switch {
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		l.externalName(svc)
	case svc.Spec.ClusterIP == corev1.ClusterIPNone:
		l.endpoints(eps, true)
	case !o.IgnoreEmpty || slices.ContainsFunc(eps, hasReady):
		l.clusterIPs(svc)
		l.endpoints(eps, false)
	}
	slices.SortStableFunc(l.records, Record.compare)
	return slices.CompactFunc(l.records, func(a, b Record) bool { return a == b })
}

// listing gathers records.
type listing struct {
	Options
	// name is the Service's.
	name    string
	records []Record
}

func (l *listing) add(name string, t Type, data string) {
	l.records = append(l.records, Record{Name: name, TTL: l.TTL, Type: t, Data: data})
}

func (l *listing) address(name string, address netip.Addr) {
	t := AAAA
	if address.Is4() {
		t = A
	}
	l.add(name, t, address.String())
}

func (l *listing) externalName(svc *corev1.Service) {
	if target := cnameTarget(svc); target != "" {
		l.add(l.name, CNAME, target+".")
	}
}

// cnameTarget is where a CNAME is to lead, without the final dot; "" if it can
// not. An address is no name, and a name with a label of more than 63 characters,
// which the API server takes, can not be sent.
func cnameTarget(svc *corev1.Service) string {
	target := strings.TrimSuffix(svc.Spec.ExternalName, ".")
	if _, err := netip.ParseAddr(target); err == nil || !sendable(target) {
		return ""
	}
	return target
}

// sendable is false for a name with a label that is longer than DNS has them.
func sendable(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if len(label) > maxLabel {
			return false
		}
	}
	return true
}

func (l *listing) clusterIPs(svc *corev1.Service) {
	addresses := clusterIPs(svc)
	for _, address := range addresses {
		l.address(l.name, address)
		l.add(ReverseName(address), PTR, l.name)
	}
	for i := range svc.Spec.Ports {
		if port := &svc.Spec.Ports[i]; port.Name != "" {
			l.service(strings.ToLower(port.Name), string(port.Protocol), l.name, port.Port, len(addresses))
		}
	}
}

// clusterIPs are the Service's addresses, none if it is headless.
func clusterIPs(svc *corev1.Service) []netip.Addr {
	given := svc.Spec.ClusterIPs
	if len(given) == 0 {
		given = []string{svc.Spec.ClusterIP}
	}
	addresses := make([]netip.Addr, 0, len(given))
	for _, text := range given {
		if address, err := netip.ParseAddr(text); err == nil {
			addresses = append(addresses, address.Unmap())
		}
	}
	return addresses
}

// service adds an SRV record, one of as many as count.
func (l *listing) service(port, protocol, target string, number int32, count int) {
	l.add(fmt.Sprintf("_%s._%s.%s", port, strings.ToLower(protocol), l.name), SRV, fmt.Sprintf("0 %d %d %s", weight(count), number, target))
}

// weight is what an SRV record weighs among count.
func weight(count int) uint16 { return uint16(max(1, 100/max(1, count))) }

// endpoints adds the names of the endpoints, and those of the Service if it has
// no address of its own.
func (l *listing) endpoints(eps []*discoveryv1.EndpointSlice, headless bool) {
	targets := map[string]int{}
	for _, target := range namedEndpoints(eps, l.EndpointPodNames) {
		for _, port := range target.slice.Ports {
			targets[portKey(port)]++
		}
	}
	for _, e := range namedEndpoints(eps, l.EndpointPodNames) {
		name := e.name + "." + l.name
		l.address(name, e.address)
		l.add(ReverseName(e.address), PTR, name)
		if !headless {
			continue
		}
		l.address(l.name, e.address)
		for _, port := range e.slice.Ports {
			if port.Name != nil && *port.Name != "" && port.Port != nil && port.Protocol != nil {
				l.service(strings.ToLower(*port.Name), string(*port.Protocol), name, *port.Port, targets[portKey(port)])
			}
		}
	}
}

// portKey is what an SRV record is asked for by.
func portKey(port discoveryv1.EndpointPort) string {
	var name, protocol string
	if port.Name != nil {
		name = *port.Name
	}
	if port.Protocol != nil {
		protocol = string(*port.Protocol)
	}
	return strings.ToLower(name + "/" + protocol)
}

// namedEndpoint is one address of a ready endpoint.
type namedEndpoint struct {
	name    string
	address netip.Addr
	slice   *discoveryv1.EndpointSlice
}

// namedEndpoints are those that have names.
func namedEndpoints(eps []*discoveryv1.EndpointSlice, podNames bool) []namedEndpoint {
	var named []namedEndpoint
	for _, slice := range eps {
		for i := range slice.Endpoints {
			endpoint := &slice.Endpoints[i]
			if !ready(endpoint) {
				continue
			}
			for _, text := range endpoint.Addresses {
				if address, err := netip.ParseAddr(text); err == nil {
					name := cmp.Or(hostname(endpoint, podNames), dashed(address.Unmap()))
					named = append(named, namedEndpoint{name, address.Unmap(), slice})
				}
			}
		}
	}
	return named
}

// ready is true for an endpoint that says nothing about it, too.
func ready(endpoint *discoveryv1.Endpoint) bool {
	return endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
}

func hasReady(slice *discoveryv1.EndpointSlice) bool {
	return slices.ContainsFunc(slice.Endpoints, func(e discoveryv1.Endpoint) bool { return ready(&e) && len(e.Addresses) > 0 })
}

// hostname is the name that an endpoint has of its own, in lower case, or "".
func hostname(endpoint *discoveryv1.Endpoint, podNames bool) string {
	if endpoint.Hostname != nil && isLabel(*endpoint.Hostname) {
		return strings.ToLower(*endpoint.Hostname)
	}
	if pod := endpoint.TargetRef; podNames && pod != nil && isLabel(pod.Name) {
		return strings.ToLower(pod.Name)
	}
	return ""
}

// compare orders records as people read them: addresses first, what leads back
// last, and a name's parent before it.
func (r Record) compare(other Record) int {
	return cmp.Or(cmp.Compare(r.Type.rank(), other.Type.rank()), cmp.Compare(strings.Count(r.Name, "."), strings.Count(other.Name, ".")),
		cmp.Compare(r.Name, other.Name), cmp.Compare(r.Type, other.Type), cmp.Compare(r.Data, other.Data))
}

func (t Type) rank() int {
	switch t {
	case CNAME, A, AAAA:
		return 0
	case SRV:
		return 1
	}
	return 2
}

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

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// slice is what one EndpointSlice object says. Its endpoints, which are sorted,
// have no port number yet. Each of ports lends them one: names and protocols
// match those of a ServicePort, numbers need not, since a named targetPort may
// differ from pod to pod.
type slice struct {
	object    Object
	service   serviceKey
	family    Family
	ports     []slicePort
	endpoints []Endpoint
	problems  []Problem
}

type slicePort struct {
	name     string
	protocol Protocol
	number   uint16
}

// equal is false for nil.
func (s *slice) equal(o *slice) bool {
	return s != nil && o != nil && s.object == o.object && s.service == o.service && s.family == o.family &&
		slices.Equal(s.ports, o.ports) && slices.Equal(s.problems, o.problems) &&
		slices.EqualFunc(s.endpoints, o.endpoints, func(a, b Endpoint) bool { return a.equal(&b) })
}

// touches says whether an endpoint is in one of ranges.
func (s *slice) touches(ranges []netip.Prefix) bool {
	return slices.ContainsFunc(s.endpoints, func(e Endpoint) bool { return anyContains(ranges, e.Addr.Addr()) })
}

// readSlice takes from eps what can be used; ok is false for slices that are
// none of our business: headless, FQDN, of no Service. Which proxy a slice is
// for is up to its Service: slices follow its labels later, and those written
// by hand may never.
func readSlice(eps *discoveryv1.EndpointSlice, names interner) (read *slice, ok bool) {
	owner := eps.Labels[discoveryv1.LabelServiceName]
	_, headless := eps.Labels[corev1.IsHeadlessService]
	if owner == "" || headless || eps.AddressType == discoveryv1.AddressTypeFQDN {
		return nil, false
	}
	read = &slice{object: sliceObject(eps, names), service: serviceKey{names.intern(eps.Namespace), owner}}
	found := &problems{object: read.object}
	switch eps.AddressType {
	case discoveryv1.AddressTypeIPv4:
		read.family = IPv4
	case discoveryv1.AddressTypeIPv6:
		read.family = IPv6
	default:
		found.add("addressType", "choose IPv4, IPv6 or FQDN", "%q is not a type of addresses", clip(string(eps.AddressType)))
	}
	if read.family != 0 {
		read.ports = readSlicePorts(eps, found)
		read.endpoints = readEndpoints(eps, read.family, names, found)
	}
	read.problems = found.all()
	return read, true
}

func sliceObject(eps *discoveryv1.EndpointSlice, names interner) Object {
	return Object{Kind: kindSlice, Namespace: names.intern(eps.Namespace), Name: eps.Name, UID: string(eps.UID)}
}

func readSlicePorts(eps *discoveryv1.EndpointSlice, found *problems) []slicePort {
	var ports []slicePort
	for i, spec := range eps.Ports {
		field := fmt.Sprintf("ports[%d]", i)
		port := slicePort{protocol: TCP}
		if spec.Name != nil {
			port.name = *spec.Name
		}
		if spec.Protocol != nil {
			protocol, ok := readProtocol(string(*spec.Protocol))
			if !ok {
				found.add(field+".protocol", "choose TCP, UDP or SCTP", "%q is not a protocol of Services", clip(string(*spec.Protocol)))
				continue
			}
			port.protocol = protocol
		}
		if spec.Port == nil {
			// The API leaves its meaning to the consumer; a Service's port leads
			// to one port, never to all of them.
			found.add(field+".port", "choose 1-65535", "no port number is set")
			continue
		}
		number, ok := parsePort(*spec.Port)
		if !ok {
			found.add(field+".port", "choose 1-65535", "%d is not a port number", *spec.Port)
			continue
		}
		port.number = number
		ports = append(ports, port)
	}
	return ports
}

func readEndpoints(eps *discoveryv1.EndpointSlice, family Family, names interner, found *problems) []Endpoint {
	endpoints := make([]Endpoint, 0, len(eps.Endpoints))
	weight := readSliceWeight(eps, found)
	for i := range eps.Endpoints {
		spec := &eps.Endpoints[i]
		field := fmt.Sprintf("endpoints[%d].addresses", i)
		if len(spec.Addresses) == 0 {
			found.add(field, "give it one", "the endpoint has no address")
			continue
		}
		// The addresses of one endpoint are interchangeable: consumers take the
		// first.
		addr, err := parseAddr(spec.Addresses[0])
		if err == nil && FamilyOf(addr) != family {
			err = fmt.Errorf("%s is not of the slice's addressType %s", addr, family)
		}
		if err != nil {
			found.add(field+"[0]", "correct the address or remove the endpoint", "%v", err)
			continue
		}
		endpoint := readEndpoint(spec, addr, names)
		endpoint.Weight = weight
		endpoints = append(endpoints, endpoint)
	}
	slices.SortStableFunc(endpoints, func(a, b Endpoint) int { return a.compare(&b) })
	return endpoints
}

func readEndpoint(spec *discoveryv1.Endpoint, addr netip.Addr, names interner) Endpoint {
	endpoint := Endpoint{
		Addr:        netip.AddrPortFrom(addr, 0),
		Ready:       or(spec.Conditions.Ready, true),
		Serving:     or(spec.Conditions.Serving, true),
		Terminating: or(spec.Conditions.Terminating, false),
		NodeName:    names.intern(or(spec.NodeName, "")),
		Zone:        names.intern(or(spec.Zone, "")),
	}
	if target := spec.TargetRef; target != nil && target.Kind == "Pod" {
		endpoint.Pod = target.Name
	}
	endpoint.Hints = readHints(spec.Hints, names)
	return endpoint
}

func readHints(spec *discoveryv1.EndpointHints, names interner) *Hints {
	if spec == nil || len(spec.ForNodes)+len(spec.ForZones) == 0 {
		return nil
	}
	var hints Hints
	for _, node := range spec.ForNodes {
		hints.ForNodes = append(hints.ForNodes, names.intern(node.Name))
	}
	for _, zone := range spec.ForZones {
		hints.ForZones = append(hints.ForZones, names.intern(zone.Name))
	}
	return &hints
}

func or[T any](value *T, otherwise T) T {
	if value == nil {
		return otherwise
	}
	return *value
}

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
	"iter"
	"net/netip"
	"slices"
)

// Names are all ServicePorts there are, in order.
func (s *Store) Names() []ServicePortName {
	names := make([]ServicePortName, 0, len(s.services))
	for _, svc := range s.services {
		for i := range svc.ports {
			names = append(names, svc.ports[i].Name)
		}
	}
	slices.SortFunc(names, ServicePortName.Compare)
	return names
}

// Services are the namespaces and names of all Services that have
// ServicePorts, in no order.
func (s *Store) Services() iter.Seq2[string, string] {
	return func(yield func(namespace, name string) bool) {
		for key, svc := range s.services {
			if len(svc.ports) > 0 && !yield(key.namespace, key.name) {
				return
			}
		}
	}
}

// ServicePort is the named port with the destinations it owns; ok is false
// when it does not exist.
func (s *Store) ServicePort(name ServicePortName) (port ServicePort, ok bool) {
	svc := s.services[serviceKey{name.Namespace, name.Name}]
	if svc == nil {
		return ServicePort{}, false
	}
	for i := range svc.ports {
		if svc.ports[i].Name == name {
			return s.resolve(svc, i), true
		}
	}
	return ServicePort{}, false
}

// ServicePorts are all ports of one Service with the destinations they own,
// in the order of its spec; none when it does not exist or is not proxied.
func (s *Store) ServicePorts(namespace, name string) []ServicePort {
	svc := s.services[serviceKey{namespace, name}]
	if svc == nil {
		return nil
	}
	ports := make([]ServicePort, len(svc.ports))
	for i := range svc.ports {
		ports[i] = s.resolve(svc, i)
	}
	return ports
}

// Endpoints are the endpoints of the named port in one family, of all its
// slices, sorted and without duplicates.
func (s *Store) Endpoints(name ServicePortName, family Family) []Endpoint {
	return s.AppendEndpoints(nil, name, family)
}

// AppendEndpoints is Endpoints for those who have a buffer: it appends to list.
func (s *Store) AppendEndpoints(list []Endpoint, name ServicePortName, family Family) []Endpoint {
	m := &s.merger
	m.begin(list)
	for _, held := range s.slices.of(serviceKey{name.Namespace, name.Name}) {
		if held.family != family {
			continue
		}
		for _, port := range held.ports {
			if port.name == name.Port && port.protocol == name.Protocol {
				m.add(held.endpoints, port.number, s.serviceCIDRs)
			}
		}
	}
	return m.finish()
}

// HalfRenamed says whether no slice of the family names this port while one
// has endpoints for a port that its Service does not have: of a rename, the
// Service's half is here and the slices' is not, or the other way round.
func (s *Store) HalfRenamed(name ServicePortName, family Family) bool {
	key, orphans := serviceKey{name.Namespace, name.Name}, false
	svc := s.services[key]
	if svc == nil {
		return false
	}
	for _, held := range s.slices.of(key) {
		for _, port := range held.ports {
			switch {
			case held.family != family || port.protocol != name.Protocol:
			case port.name == name.Port:
				return false
			default:
				orphans = orphans || len(held.endpoints) > 0 && !svc.has(port.name, port.protocol)
			}
		}
	}
	return orphans
}

// Orphans are the endpoints that may hold flows and that slices of the family
// list for ports of name's protocol that its Service does not have: half of a
// rename. They are in no order and may be there twice; nil when there are none,
// as nearly always.
func (s *Store) Orphans(name ServicePortName, family Family) []netip.AddrPort {
	key := serviceKey{name.Namespace, name.Name}
	svc := s.services[key]
	if svc == nil {
		return nil
	}
	var orphans []netip.AddrPort
	for _, held := range s.slices.of(key) {
		for _, port := range held.ports {
			if held.family != family || port.protocol != name.Protocol || svc.has(port.name, port.protocol) {
				continue
			}
			for i := range held.endpoints {
				if e := &held.endpoints[i]; e.Ready || e.Serving {
					orphans = append(orphans, netip.AddrPortFrom(e.Addr.Addr(), port.number))
				}
			}
		}
	}
	return orphans
}

// Owner is the ServicePort that gets what is sent to port of addr, as one of
// its VIPs; an addr that is not valid stands for the node's own addresses and
// port for a NodePort. ok is false if it is nobody's.
func (s *Store) Owner(addr netip.Addr, protocol Protocol, port uint16) (name ServicePortName, ok bool) {
	key := claim{addr, protocol, port}
	if len(s.claims[key]) == 0 {
		return ServicePortName{}, false
	}
	ports := s.claims.owner(key).ports
	for i := range ports {
		number := ports[i].Port
		if !addr.IsValid() {
			number = ports[i].NodePort
		}
		if ports[i].Name.Protocol == protocol && number == port {
			return ports[i].Name, true
		}
	}
	return ServicePortName{}, false // a health-check node port
}

// ServiceObject names a Service for who reads about it, without a UID if it is
// not there.
func (s *Store) ServiceObject(namespace, name string) Object {
	if svc := s.services[serviceKey{namespace, name}]; svc != nil {
		return svc.object
	}
	return Object{Kind: kindService, Namespace: namespace, Name: name}
}

func (s *service) has(port string, protocol Protocol) bool {
	for i := range s.ports {
		if name := &s.ports[i].Name; name.Port == port && name.Protocol == protocol {
			return true
		}
	}
	return false
}

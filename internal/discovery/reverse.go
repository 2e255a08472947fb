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
	"net/netip"
	"slices"
	"strings"
)

// Reverse appends the names of address to names, of which zone is the end: that
// of the Service whose ClusterIP it is, else those of endpoints. None is that
// there is no such name.
func (x *Index) Reverse(address netip.Addr, zone string, names []string) []string {
	a := pack(address)
	for s := range x.ownersOf(a) {
		if e := s.entry.Load(); x.exposes(s) && slices.Contains(e.addresses, a) && !(x.options.IgnoreEmpty && e.empty()) {
			return append(names, s.key+".svc."+zone)
		}
	}
	for s := range x.ownersOf(a) {
		if x.exposes(s) {
			names = s.reverse(a, zone, names)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// exposes is true for a Service in a known namespace.
func (x *Index) exposes(s *service) bool {
	_, namespace, _ := strings.Cut(s.key, ".")
	_, known := x.namespaces.get(namespace)
	return known
}

// reverse appends the names of the endpoints that have the address.
func (s *service) reverse(a address, zone string, names []string) []string {
	e := s.entry.Load()
	if e.kind != clusterIP && e.kind != headless {
		return names // names of endpoints of such do not exist
	}
	for _, slice := range e.slices {
		for i, other := range slice.addresses {
			if other == a {
				names = append(names, slice.host(i).label()+"."+s.key+".svc."+zone)
			}
		}
	}
	return names
}

// Place is a Service that has an endpoint with some address.
type Place struct {
	// Name is that of the Service, fully qualified.
	Name string
	// Addresses are those that the Service is reached at.
	Addresses []netip.Addr
}

// Around are the Services that address is an endpoint of: to a DNS server those
// by which it is reached itself.
func (x *Index) Around(address netip.Addr, zone string) []Place {
	a := pack(address)
	var places []Place
	for s := range x.ownersOf(a) {
		e := s.entry.Load()
		if e.empty() || e.kind == absent || e.kind == externalName {
			continue
		}
		place := Place{Name: s.key + ".svc." + zone}
		for _, own := range e.addresses {
			place.Addresses = append(place.Addresses, own.unpack())
		}
		if e.kind == clusterIP {
			places = append(places, place)
			continue
		}
		for _, slice := range e.slices {
			for i := range slice.addresses {
				h := slice.host(i)
				places = append(places, Place{Name: h.label() + "." + place.Name, Addresses: []netip.Addr{h.address.unpack()}})
			}
		}
	}
	return places
}

// Headless says whether a Service is, and whether it exists.
func (x *Index) Headless(namespace, name string) (is, exists bool) {
	s, found := x.services.get(name + "." + namespace)
	if !found {
		return false, false
	}
	e := s.entry.Load()
	return e.kind == headless, e.kind != absent
}

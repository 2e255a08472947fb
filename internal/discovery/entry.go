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
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"unique"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// kind is what a Service is to DNS.
type kind uint8

const (
	// absent is one that only slices tell of: it has no names.
	absent kind = iota
	clusterIP
	headless
	externalName
)

// entry is what is known of a Service. It does not change.
type entry struct {
	kind kind
	// addresses are its ClusterIPs.
	addresses []address
	ports     []port
	// target is an ExternalName, without the final dot.
	target string
	slices []*slice
}

// port is one of a Service's or a slice's. All of it is as a query is compared
// with it: in lower case.
type port struct {
	name     word
	protocol word
	// number is -1 where none is given.
	number int32
}

// word is one that thousands of objects have in common.
type word = unique.Handle[string]

func wordOf(s string) word { return unique.Make(strings.ToLower(s)) }

// noPorts stands for the ports of who has none: addresses are asked for by
// port, too, and some ask for any.
var noPorts = []port{{name: wordOf(""), protocol: wordOf(""), number: -1}}

// slice is the ready part of an EndpointSlice.
type slice struct {
	name  string
	ports []port
	// addresses are ordered: first those without a host, by address, then the
	// others by host and address.
	addresses []address
	// hosts are the names that endpoints have of their own, one for each
	// address; nil if none has one.
	hosts []string
}

// withService is e as svc is now.
func (e *entry) withService(svc *corev1.Service) *entry {
	now := &entry{kind: clusterIP, slices: e.slices}
	switch {
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		now.kind = externalName
		now.target = cnameTarget(svc)
		return now
	case svc.Spec.ClusterIP == corev1.ClusterIPNone:
		now.kind = headless
		return now
	}
	for _, a := range clusterIPs(svc) {
		now.addresses = append(now.addresses, pack(a))
	}
	now.ports = noPorts
	if len(svc.Spec.Ports) > 0 {
		now.ports = make([]port, len(svc.Spec.Ports))
		for i := range svc.Spec.Ports {
			p := &svc.Spec.Ports[i]
			now.ports[i] = port{wordOf(p.Name), wordOf(string(p.Protocol)), p.Port}
		}
	}
	return now
}

// withSlice is e with s in place of its slice of that name; without it if s is nil.
func (e *entry) withSlice(name string, s *slice) *entry {
	now := *e
	at, found := slices.BinarySearchFunc(e.slices, name, func(s *slice, name string) int { return cmp.Compare(s.name, name) })
	var replaced, added int
	if found {
		replaced = 1
	}
	if s != nil {
		added = 1
	}
	now.slices = make([]*slice, 0, len(e.slices)-replaced+added)
	now.slices = append(now.slices, e.slices[:at]...)
	if s != nil {
		now.slices = append(now.slices, s)
	}
	now.slices = append(now.slices, e.slices[at+replaced:]...)
	return &now
}

func (e *entry) slice(name string) *slice {
	at, found := slices.BinarySearchFunc(e.slices, name, func(s *slice, name string) int { return cmp.Compare(s.name, name) })
	if !found {
		return nil
	}
	return e.slices[at]
}

// has is true if a is an address of the Service or of one of its endpoints.
func (e *entry) has(a address) bool {
	return slices.Contains(e.addresses, a) || slices.ContainsFunc(e.slices, func(s *slice) bool { return slices.Contains(s.addresses, a) })
}

func (e *entry) empty() bool {
	return !slices.ContainsFunc(e.slices, func(s *slice) bool { return len(s.addresses) > 0 })
}

// newSlice is what matters of an EndpointSlice.
func newSlice(eps *discoveryv1.EndpointSlice, podNames bool) *slice {
	s := &slice{name: eps.Name, ports: noPorts}
	if len(eps.Ports) > 0 {
		s.ports = make([]port, len(eps.Ports))
		for i, p := range eps.Ports {
			s.ports[i] = noPorts[0]
			if p.Name != nil {
				s.ports[i].name = wordOf(*p.Name)
			}
			if p.Protocol != nil {
				s.ports[i].protocol = wordOf(string(*p.Protocol))
			}
			if p.Port != nil {
				s.ports[i].number = *p.Port
			}
		}
	}
	s.setEndpoints(eps, podNames)
	return s
}

// host is an endpoint while they are being ordered.
type host struct {
	name    string
	address address
}

func (s *slice) setEndpoints(eps *discoveryv1.EndpointSlice, podNames bool) {
	ordered := make([]host, 0, len(eps.Endpoints))
	named := false
	for i := range eps.Endpoints {
		endpoint := &eps.Endpoints[i]
		if !ready(endpoint) {
			continue
		}
		name := hostname(endpoint, podNames)
		for _, text := range endpoint.Addresses {
			if a, err := netip.ParseAddr(text); err == nil {
				ordered = append(ordered, host{name, pack(a)})
				named = named || name != ""
			}
		}
	}
	slices.SortFunc(ordered, host.compare)
	s.addresses = make([]address, len(ordered))
	if named {
		s.hosts = make([]string, len(ordered))
	}
	for i, h := range ordered {
		s.addresses[i] = h.address
		if named {
			s.hosts[i] = h.name
		}
	}
}

func (h host) compare(other host) int {
	return cmp.Or(cmp.Compare(h.name, other.name), bytes.Compare(h.address[:], other.address[:]))
}

func (s *slice) host(i int) host {
	h := host{address: s.addresses[i]}
	if s.hosts != nil {
		h.name = s.hosts[i]
	}
	return h
}

// label is the name of the endpoint.
func (h host) label() string {
	if h.name != "" {
		return h.name
	}
	return dashed(h.address.unpack())
}

// span is a part of a slice's endpoints.
type span struct{ from, to int }

// find is where the endpoints called label are in s: those of that host, and the
// one without host whose address is meant.
func (s *slice) find(label string, meant host) (found [2]span) {
	if s.hosts != nil {
		from, _ := slices.BinarySearch(s.hosts, label)
		to := from
		for to < len(s.hosts) && s.hosts[to] == label {
			to++
		}
		found[0] = span{from, to}
	}
	if meant.address == (address{}) {
		return found
	}
	unnamed := len(s.addresses)
	if s.hosts != nil {
		unnamed, _ = slices.BinarySearch(s.hosts, "\x00")
	}
	from, _ := slices.BinarySearchFunc(s.addresses[:unnamed], meant.address, func(a, b address) int { return bytes.Compare(a[:], b[:]) })
	to := from
	for to < unnamed && s.addresses[to] == meant.address {
		to++
	}
	found[1] = span{from, to}
	return found
}

// meaning is the endpoint without host that is called label, if one can be.
func meaning(label string) host {
	if a, is := undashed(label); is && dashed(a) == label {
		return host{address: pack(a)}
	}
	return host{}
}

// asked is true for the port that a query names; what it leaves out is any.
func (p port) asked(name, protocol string) bool {
	return (name == "" || name == p.name.Value()) && (protocol == "" || protocol == p.protocol.Value())
}

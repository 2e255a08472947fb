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

// Lookup answers q into answer, and says whether the name exists: one that does
// and has nothing of the type is no error (NODATA), one that does not is
// (NXDOMAIN).
func (x *Index) Lookup(q Question, answer *Answer) (exists bool) {
	answer.reset()
	switch q.Name {
	case "", "svc", "pod", "dns", "ns.dns", "dns-version":
		return true // the zone, and what is above names that there are
	}
	if strings.Contains(q.Name, `\`) {
		return false // a character that no object's name has
	}
	rest, last := cutLast(q.Name)
	switch last {
	case "svc":
		return x.lookupService(q, rest, answer)
	case "pod":
		return x.lookupPod(q, rest, answer)
	}
	return false
}

// cutLast cuts the last label off name.
func cutLast(name string) (before, last string) {
	at := strings.LastIndexByte(name, '.')
	if at < 0 {
		return "", name
	}
	return name[:at], name[at+1:]
}

// lookupService answers to name: "ns", "svc.ns", "endpoint.svc.ns" or
// "_port._protocol.svc.ns".
func (x *Index) lookupService(q Question, name string, answer *Answer) bool {
	before, namespace := cutLast(name)
	if _, known := x.namespaces.get(namespace); !known {
		return false
	}
	if before == "" {
		return true
	}
	labels, svc := cutLast(before)
	s, found := x.services.get(name[len(name)-len(svc)-1-len(namespace):])
	if !found {
		return false
	}
	return s.entry.Load().lookup(s.key, q, labels, x.options.IgnoreEmpty, answer)
}

// search is a look-up in one Service.
type search struct {
	q      Question
	key    string
	answer *Answer
	// endpoint is the one that is asked for, "" for all.
	endpoint string
	// port and protocol are those asked for, "" for any.
	port, protocol string
	// count is how many pairs of an address and a port there are.
	count int
}

// lookup answers to what stands before the Service's name.
func (e *entry) lookup(key string, q Question, labels string, ignoreEmpty bool, answer *Answer) bool {
	s := search{q: q, key: key, answer: answer}
	if labels != "" {
		first, second, two := strings.Cut(labels, ".")
		switch {
		case strings.Contains(second, "."):
			return false
		case two:
			s.port, s.protocol = strings.TrimPrefix(first, "_"), strings.TrimPrefix(second, "_")
		default:
			s.endpoint = first
		}
	}
	switch {
	case e.kind == absent, e.kind == clusterIP && ignoreEmpty && e.empty():
		return false
	case e.kind == externalName:
		return labels == "" && e.target != "" && s.external(e)
	case e.kind == headless || s.endpoint != "":
		return s.endpoints(e) || strings.HasPrefix(s.endpoint, "_") && e.hasProtocol(s.endpoint[1:])
	}
	return s.clusterIPs(e)
}

func (s *search) external(e *entry) bool {
	switch s.q.Type {
	case A, AAAA, CNAME:
		s.answer.Target = e.target + "."
	}
	return true
}

func (s *search) clusterIPs(e *entry) bool {
	exists := false
	for _, p := range e.ports {
		if !p.asked(s.port, s.protocol) {
			continue
		}
		exists = true
		for _, a := range e.addresses {
			s.add(a.unpack(), "", p)
		}
		if s.q.Type != SRV {
			break // the same addresses again
		}
	}
	s.finish()
	return exists
}

func (s *search) endpoints(e *entry) bool {
	var meant host
	if s.endpoint != "" {
		meant = meaning(s.endpoint)
	}
	exists := false
	for _, slice := range e.slices {
		asked := [2]span{{0, len(slice.addresses)}}
		if s.endpoint != "" {
			asked = slice.find(s.endpoint, meant)
		}
		if asked[0].from == asked[0].to && asked[1].from == asked[1].to {
			continue
		}
		for _, p := range slice.ports {
			if !p.asked(s.port, s.protocol) {
				continue
			}
			exists = true
			s.addAll(slice, asked[0], p)
			s.addAll(slice, asked[1], p)
			if s.q.Type != SRV {
				break // the same addresses again
			}
		}
	}
	s.finish()
	return exists
}

func (s *search) addAll(slice *slice, asked span, p port) {
	for i := asked.from; i < asked.to; i++ {
		label := ""
		if s.q.Type == SRV {
			label = slice.host(i).label()
		}
		s.add(slice.addresses[i].unpack(), label, p)
	}
}

// add takes an address of the Service, of its endpoint called label if there is
// one, and a port.
func (s *search) add(a netip.Addr, label string, p port) {
	s.count++
	switch s.q.Type {
	case A, AAAA:
		if a.Is4() == (s.q.Type == A) {
			s.answer.Addresses = append(s.answer.Addresses, a)
		}
	case SRV:
		if p.number < 0 {
			return
		}
		target := s.target(label)
		s.answer.Services = append(s.answer.Services, Service{Target: target, Port: uint16(p.number)})
		s.answer.Glue = append(s.answer.Glue, Glue{Name: target, Address: a})
	}
}

// target is the name of the Service, or of its endpoint called label.
func (s *search) target(label string) string {
	if label == "" {
		return s.key + ".svc." + s.q.Zone
	}
	return label + "." + s.key + ".svc." + s.q.Zone
}

// finish weighs the SRV records and drops what is there twice.
func (s *search) finish() {
	for i := range s.answer.Services {
		s.answer.Services[i].Weight = weight(s.count)
	}
	s.answer.settle()
}

// hasProtocol is true if there are names below _protocol: "_http._tcp.web.shop".
func (e *entry) hasProtocol(protocol string) bool {
	named := func(p port) bool { return p.name.Value() != "" && p.protocol.Value() == protocol }
	if e.kind == headless {
		return slices.ContainsFunc(e.slices, func(s *slice) bool { return len(s.addresses) > 0 && slices.ContainsFunc(s.ports, named) })
	}
	return slices.ContainsFunc(e.ports, named)
}

// lookupPod answers to name: "ns" or "address.ns".
func (x *Index) lookupPod(q Question, name string, answer *Answer) bool {
	label, namespace := cutLast(name)
	_, known := x.namespaces.get(namespace)
	if !known || x.options.Pods == "" || x.options.Pods == PodsDisabled {
		return false
	}
	if label == "" {
		return true
	}
	a, is := undashed(label)
	if !is {
		return false
	}
	if x.options.Pods == PodsVerified {
		if namespaces, _ := x.pods.get(pack(a)); !slices.Contains(namespaces, namespace) {
			return false
		}
	}
	if q.Type == A && a.Is4() || q.Type == AAAA && !a.Is4() {
		answer.Addresses = append(answer.Addresses, a)
	}
	return true
}

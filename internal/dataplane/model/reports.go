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
	"slices"
	"strings"
)

// reports remembers which Problems have been handed out, so that each is
// reported once and not with every event of its object.
type reports struct {
	touched  map[reportKey]struct{}
	reported map[reportKey][]Problem
}

type reportKey struct{ kind, namespace, name string }

func newReports() reports {
	return reports{touched: map[reportKey]struct{}{}, reported: map[reportKey][]Problem{}}
}

func (r *reports) touch(kind, namespace, name string) {
	r.touched[reportKey{kind, namespace, name}] = struct{}{}
}

// TakeProblems returns, in order, the Problems that appeared since the last
// call. One that was solved and comes back is reported again.
func (s *Store) TakeProblems() []Problem {
	var fresh []Problem
	for key := range s.reports.touched {
		now := s.problems(key)
		for _, problem := range now {
			if !slices.Contains(s.reports.reported[key], problem) {
				fresh = append(fresh, problem)
			}
		}
		if len(now) == 0 {
			delete(s.reports.reported, key)
		} else {
			s.reports.reported[key] = now
		}
	}
	s.reports.touched = emptied(s.reports.touched)
	slices.SortFunc(fresh, func(a, b Problem) int { return strings.Compare(a.String(), b.String()) })
	return fresh
}

// problems is everything that is wrong with one object now.
func (s *Store) problems(key reportKey) []Problem {
	if key.kind == kindService {
		svc := s.services[serviceKey{key.namespace, key.name}]
		if svc == nil {
			return nil
		}
		return slices.Concat(svc.problems, s.contests(svc), s.crowds(svc))
	}
	held := s.slices.get(key.namespace, key.name)
	if held == nil || s.services[held.service] == nil {
		return nil // another proxy, or nobody, is to use it
	}
	return slices.Concat(held.problems, s.strays(held))
}

// crowds tells of ports that have more endpoints than can be used.
func (s *Store) crowds(svc *service) []Problem {
	if s.slices.size(serviceKey{svc.object.Namespace, svc.object.Name}) <= MaxEndpoints {
		return nil
	}
	found := &problems{object: svc.object}
	for i := range svc.ports {
		port := &svc.ports[i]
		for _, family := range []Family{IPv4, IPv6} {
			if n := len(s.Endpoints(port.Name, family)); n > MaxEndpoints {
				found.add("spec.ports", "spread them over several Services",
					"%s port %d has %d %s endpoints, no more than %d of them take connections", port.Name.Protocol, port.Port, n, family, MaxEndpoints)
			}
		}
	}
	return found.all()
}

// strays tells of endpoints that are in the range of Services.
func (s *Store) strays(held *slice) []Problem {
	found := &problems{object: held.object}
	for _, e := range held.endpoints {
		addr := e.Addr.Addr()
		for _, cidr := range s.serviceCIDRs {
			if cidr.Contains(addr) {
				found.add("endpoints", "list the endpoints of that Service in its place",
					"%s is in the cluster's service CIDR %s: a Service can not be the endpoint of another", addr, cidr)
				break
			}
		}
	}
	return found.all()
}

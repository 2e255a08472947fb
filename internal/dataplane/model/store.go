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
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Store knows all Services and EndpointSlices of the cluster and which
// ServicePorts an event concerns, at a cost that does not depend on how many
// others there are. What it answers is a function of the objects it holds, not
// of the order in which they came. It is not safe for concurrent use.
type Store struct {
	options  Options
	services map[serviceKey]*service
	// slices holds the slices of each Service by name, whether or not the
	// Service is there yet.
	slices  map[serviceKey]map[string]*slice
	ownerOf map[sliceKey]serviceKey
	claims  claims
	dirty   map[ServicePortName]struct{}
	reports reports
}

type (
	serviceKey struct{ namespace, name string }
	sliceKey   struct{ namespace, name string }
)

// Options are what a Store has to know of its proxy.
type Options struct {
	// ProxyName is the value of the label service.kubernetes.io/service-proxy-name
	// of Services that are ours; empty for those without the label.
	ProxyName string
}

// NewStore is a Store that holds nothing.
func NewStore(options Options) *Store {
	return &Store{
		options:  options,
		services: map[serviceKey]*service{},
		slices:   map[serviceKey]map[string]*slice{},
		ownerOf:  map[sliceKey]serviceKey{},
		claims:   claims{},
		dirty:    map[ServicePortName]struct{}{},
		reports:  newReports(),
	}
}

// SetService takes svc as it is now, proxied or not.
func (s *Store) SetService(svc *corev1.Service) {
	read := readService(svc, s.options.ProxyName)
	s.replaceService(serviceKey{svc.Namespace, svc.Name}, &read)
}

// DeleteService forgets a Service; one that is not held is no error.
func (s *Store) DeleteService(namespace, name string) {
	s.replaceService(serviceKey{namespace, name}, nil)
}

func (s *Store) replaceService(key serviceKey, next *service) {
	if next != nil && len(next.ports) == 0 && len(next.problems) == 0 {
		next = nil
	}
	previous := s.services[key]
	if reflect.DeepEqual(previous, next) {
		return
	}
	s.reports.touch(previous.objectOr(next))
	s.disclaim(previous)
	delete(s.services, key)
	if next != nil {
		s.services[key] = next
		s.claim(next)
	}
}

func (s *service) objectOr(other *service) Object {
	if s == nil {
		return other.object
	}
	return s.object
}

func (s *Store) claim(svc *service) {
	for _, port := range svc.ports {
		s.dirty[port.Name] = struct{}{}
		for _, key := range claimsOf(port) {
			s.contend(key, func() { s.claims.add(key, claimant{svc.created, port.Name}) })
		}
	}
}

func (s *Store) disclaim(svc *service) {
	if svc == nil {
		return
	}
	for _, port := range svc.ports {
		s.dirty[port.Name] = struct{}{}
		for _, key := range claimsOf(port) {
			s.contend(key, func() { s.claims.remove(key, claimant{svc.created, port.Name}) })
		}
	}
}

// SetSlice takes eps as it is now.
func (s *Store) SetSlice(eps *discoveryv1.EndpointSlice) {
	key := sliceKey{eps.Namespace, eps.Name}
	read, ok := readSlice(eps, s.options.ProxyName)
	if !ok {
		s.replaceSlice(key, nil)
		return
	}
	s.replaceSlice(key, &read)
}

// DeleteSlice forgets a slice; one that is not held is no error.
func (s *Store) DeleteSlice(namespace, name string) {
	s.replaceSlice(sliceKey{namespace, name}, nil)
}

func (s *Store) replaceSlice(key sliceKey, next *slice) {
	owner, held := s.ownerOf[key]
	if held {
		previous := s.slices[owner][key.name]
		if next != nil && reflect.DeepEqual(previous, next) {
			return
		}
		s.reports.touch(previous.object)
		delete(s.slices[owner], key.name)
		if len(s.slices[owner]) == 0 {
			delete(s.slices, owner)
		}
		delete(s.ownerOf, key)
		s.touchPorts(owner)
	}
	if next == nil {
		return
	}
	if s.slices[next.service] == nil {
		s.slices[next.service] = map[string]*slice{}
	}
	s.slices[next.service][key.name] = next
	s.ownerOf[key] = next.service
	s.reports.touch(next.object)
	s.touchPorts(next.service)
}

func (s *Store) touchPorts(key serviceKey) {
	if svc := s.services[key]; svc != nil {
		for _, port := range svc.ports {
			s.dirty[port.Name] = struct{}{}
		}
	}
}

// TakeDirty names, in order, every ServicePort that may have changed since the
// last call, those that are gone included.
func (s *Store) TakeDirty() []ServicePortName {
	names := slices.SortedFunc(maps.Keys(s.dirty), ServicePortName.Compare)
	clear(s.dirty)
	return names
}

// Names are all ServicePorts there are, in order.
func (s *Store) Names() []ServicePortName {
	var names []ServicePortName
	for _, svc := range s.services {
		for _, port := range svc.ports {
			names = append(names, port.Name)
		}
	}
	slices.SortFunc(names, ServicePortName.Compare)
	return names
}

// ServicePort is the named port with the destinations it owns; ok is false
// when it does not exist.
func (s *Store) ServicePort(name ServicePortName) (port ServicePort, ok bool) {
	svc := s.services[serviceKey{name.Namespace, name.Name}]
	if svc == nil {
		return ServicePort{}, false
	}
	for _, port := range svc.ports {
		if port.Name == name {
			return s.resolve(port), true
		}
	}
	return ServicePort{}, false
}

// Endpoints are the endpoints of the named port in one family, of all its
// slices, sorted and without duplicates.
func (s *Store) Endpoints(name ServicePortName, family Family) []Endpoint {
	bySliceName := s.slices[serviceKey{name.Namespace, name.Name}]
	sorted := slices.SortedFunc(maps.Values(bySliceName), func(a, b *slice) int {
		return strings.Compare(a.object.Name, b.object.Name)
	})
	return merge(sorted, name.Port, name.Protocol, family)
}

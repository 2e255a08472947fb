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
	"net/netip"
	"slices"

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
	slices   sliceIndex
	claims   claims
	vips     vipCounts
	// serviceCIDRs hold no endpoints: what is sent there is for Services.
	serviceCIDRs []netip.Prefix
	dirty        map[ServicePortName]struct{}
	reports      reports
	names        interner
	merger       merger
}

// Options are what a Store has to know of its proxy.
type Options struct {
	// ProxyName is the value of the label service.kubernetes.io/service-proxy-name
	// of Services that are ours; empty for those without the label.
	ProxyName string
}

type serviceKey struct{ namespace, name string }

// NewStore is a Store that holds nothing.
func NewStore(options Options) *Store {
	return &Store{
		options:  options,
		services: map[serviceKey]*service{},
		slices:   newSliceIndex(),
		claims:   claims{},
		vips:     vipCounts{},
		dirty:    map[ServicePortName]struct{}{},
		reports:  newReports(),
		names:    interner{},
	}
}

// SetService takes svc as it is now, proxied or not.
func (s *Store) SetService(svc *corev1.Service) {
	read := readService(svc, s.options.ProxyName)
	s.replaceService(serviceKey{svc.Namespace, svc.Name}, read)
}

// DeleteService forgets a Service; one that is not held is no error.
func (s *Store) DeleteService(namespace, name string) {
	s.replaceService(serviceKey{namespace, name}, nil)
}

// replaceService takes nil for a Service that is gone.
func (s *Store) replaceService(key serviceKey, next *service) {
	if next != nil && len(next.ports) == 0 && len(next.problems) == 0 {
		next = nil
	}
	previous := s.services[key]
	if previous.equal(next) {
		return
	}
	s.reports.touch(kindService, key.namespace, key.name)
	s.disclaim(previous)
	delete(s.services, key)
	if next != nil {
		s.services[key] = next
		s.claim(next)
	}
	if (previous == nil) != (next == nil) {
		for _, held := range s.slices.of(key) { // their Problems matter from now on, or no more
			s.reports.touch(kindSlice, held.object.Namespace, held.object.Name)
		}
	}
}

// SetSlice takes eps as it is now.
func (s *Store) SetSlice(eps *discoveryv1.EndpointSlice) {
	read, ok := readSlice(eps, s.names)
	if !ok {
		s.DeleteSlice(eps.Namespace, eps.Name)
		return
	}
	previous := s.slices.get(eps.Namespace, eps.Name)
	if previous.equal(read) {
		return
	}
	s.removeSlice(previous)
	s.slices.add(read)
	s.touchSlice(read)
}

// DeleteSlice forgets a slice; one that is not held is no error.
func (s *Store) DeleteSlice(namespace, name string) {
	s.removeSlice(s.slices.get(namespace, name))
}

func (s *Store) removeSlice(held *slice) {
	if held != nil {
		s.touchSlice(held) // before, too: a crowd that shrinks
		s.slices.remove(held)
		s.touchSlice(held)
	}
}

// touchSlice marks all that the slice bears upon.
func (s *Store) touchSlice(read *slice) {
	s.reports.touch(kindSlice, read.object.Namespace, read.object.Name)
	svc := s.services[read.service]
	if svc == nil {
		return
	}
	svc.touch(s.dirty)
	if s.slices.size(read.service) > MaxEndpoints {
		s.reports.touch(kindService, read.service.namespace, read.service.name)
	}
}

// SetServiceCIDRs takes the ranges of ClusterIPs as they are now. Endpoints in
// them are not used: their packets would be looked up as those of a Service.
func (s *Store) SetServiceCIDRs(cidrs []netip.Prefix) {
	before := s.serviceCIDRs
	if slices.Equal(before, cidrs) {
		return
	}
	s.serviceCIDRs = slices.Clone(cidrs)
	for held := range s.slices.all() {
		if held.touches(before) || held.touches(cidrs) {
			s.touchSlice(held)
		}
	}
}

// TakeDirty names, in order, every ServicePort that may have changed since the
// last call, those that are gone included.
func (s *Store) TakeDirty() []ServicePortName {
	names := slices.SortedFunc(maps.Keys(s.dirty), ServicePortName.Compare)
	s.dirty = emptied(s.dirty)
	return names
}

// emptied is m without its elements. Go never shrinks a map, and the first list
// of a cluster marks everything.
func emptied[K comparable, V any](m map[K]V) map[K]V {
	if len(m) > 1024 {
		return map[K]V{}
	}
	clear(m)
	return m
}

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

package balancer

import (
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
)

// server is an API server with Services and claims, which takes a write only of
// the version that it is meant for.
type server struct {
	t        *testing.T
	version  int
	services map[types.NamespacedName]*stored
	claims   map[netip.Addr]Record
	pools    []allocator.AddrPool
	// news are what watches tell, in order; nil is a Service that is gone.
	serviceNews []stored
	claimNews   []netip.Addr
	// late are statuses of managers that are as good as dead, and arrive when they
	// do the most harm.
	late []StatusStep
}

type stored struct {
	Service
	sight Sight
	gone  bool
}

func (s *server) next() string { s.version++; return strconv.Itoa(s.version) }

func (s *server) put(service Service) {
	now := &stored{Service: service, sight: Sight{Key: service.Key, UID: service.UID}}
	if old := s.services[service.Key]; old != nil {
		now.sight = old.sight
	}
	now.sight.Version, now.sight.Served, now.sight.Deleting = s.next(), service.Served, service.Deleting
	s.keep(now)
}

func (s *server) keep(now *stored) {
	now.Status = now.sight.Addrs
	s.services[now.Key] = now
	s.serviceNews = append(s.serviceNews, *now)
}

func (s *server) remove(key types.NamespacedName) {
	gone := *s.services[key]
	delete(s.services, key)
	gone.sight.Version, gone.gone = s.next(), true
	s.serviceNews = append(s.serviceNews, gone)
}

// write is a status, and the whole point: nobody is given what another has.
func (s *server) write(step StatusStep) bool {
	old := s.services[step.Key]
	if old == nil || old.UID != step.UID || old.sight.Version != step.Version {
		return false
	}
	for key, other := range s.services {
		for _, addr := range step.Addrs {
			if key != step.Key && slices.Contains(other.sight.Addrs, addr) && (old.SharingKey == "" || other.SharingKey != old.SharingKey) {
				s.t.Errorf("%s is given %s, which %s has", step.Key, addr, key)
			}
		}
	}
	now := *old
	now.sight.Addrs, now.sight.Condition = step.Addrs, step.Condition
	if now.sight.Version = old.sight.Version; step.Touch || !slices.Equal(old.sight.Addrs, step.Addrs) || !sameCondition(old.sight.Condition, step.Condition) {
		now.sight.Version = s.next()
	}
	s.keep(&now)
	return true
}

// deliver is when a late status arrives: once another Service has the address.
func (s *server) deliver() {
	for _, step := range s.late {
		others := func(addr netip.Addr) bool {
			for key, other := range s.services {
				if key != step.Key && slices.Contains(other.sight.Addrs, addr) {
					return true
				}
			}
			return false
		}
		if slices.ContainsFunc(step.Addrs, others) {
			s.write(step)
		}
	}
}

func (s *server) claim(step ClaimStep) bool {
	if s.claims[step.Addr].Version != step.Version {
		return false
	}
	if delete(s.claims, step.Addr); step.Write != ClaimDelete {
		s.claims[step.Addr] = Record{Version: s.next(), Holders: step.Holders, Leaving: step.Leaving}
	}
	s.claimNews = append(s.claimNews, step.Addr)
	return true
}

// wouldAdd reports whether a status would arrive, and show what is not there yet.
func (s *server) wouldAdd(step StatusStep) bool {
	now := s.services[step.Key]
	return now != nil && now.sight.Version == step.Version && len(step.Addrs) > len(now.sight.Addrs)
}

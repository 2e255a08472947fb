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
	claimNews   []claimNews
	// late are statuses of managers that are as good as dead, and arrive when they
	// do the most harm.
	late []StatusStep
	// gifts are the addresses that claims gave to Services.
	gifts map[gift]*gifted
}

type gift struct {
	addr netip.Addr
	to   types.UID
}

// gifted is when a claim last began to say so, and when it last ceased to.
type gifted struct{ given, left int }

type claimNews struct {
	addr netip.Addr
	Record
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
	for _, addr := range s.wouldTake(step) {
		if s.isUnjust(old, addr) {
			s.t.Errorf("%s loses %s, which its claim says that it has: %+v, and the Service has version %s",
				step.Key, addr, s.gifts[gift{addr, old.UID}], old.sight.Version)
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

// isUnjust reports whether a Service can not lose an address any longer, as its claim
// gives it to the Service. It can if that has begun since the Service is as it is, and
// had ended before: then a manager may have read in between that it is to lose it.
func (s *server) isUnjust(service *stored, addr netip.Addr) bool {
	if !holds(s.claims[addr].Holders, service.Key, service.UID) {
		return false
	}
	version, _ := strconv.Atoi(service.sight.Version)
	when := s.gifts[gift{addr, service.UID}]
	return version > when.given || version < when.left
}

// deliver is when a late status arrives: once another Service has the address that it
// gives, or the Service itself the one that it takes away.
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
		again := func(addr netip.Addr) bool { return holds(s.claims[addr].Holders, step.Key, step.UID) }
		if slices.ContainsFunc(step.Addrs, others) || slices.ContainsFunc(s.wouldTake(step), again) {
			s.write(step)
		}
	}
}

func (s *server) claim(step ClaimStep) bool {
	if s.claims[step.Addr].Version != step.Version {
		return false
	}
	before, version := s.claims[step.Addr].Holders, s.next()
	if delete(s.claims, step.Addr); step.Write != ClaimDelete {
		s.claims[step.Addr] = Record{Version: version, Holders: step.Holders, Leaving: step.Leaving}
	}
	s.noteGifts(step.Addr, before, s.claims[step.Addr].Holders)
	s.claimNews = append(s.claimNews, claimNews{step.Addr, s.claims[step.Addr]})
	return true
}

func (s *server) noteGifts(addr netip.Addr, before, now []Holder) {
	for _, h := range slices.Concat(before, now) {
		of := gift{addr, h.UID}
		if s.gifts[of] == nil {
			s.gifts[of] = &gifted{}
		}
		switch was, is := holds(before, h.Service, h.UID), holds(now, h.Service, h.UID); {
		case is && !was:
			s.gifts[of].given = s.version
		case was && !is:
			s.gifts[of].left = s.version
		}
	}
}

// wouldTake are the addresses that a status would take away if it arrived now.
func (s *server) wouldTake(step StatusStep) []netip.Addr {
	now := s.services[step.Key]
	if now == nil || now.UID != step.UID || now.sight.Version != step.Version {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(now.sight.Addrs), func(addr netip.Addr) bool { return slices.Contains(step.Addrs, addr) })
}

// wouldAdd reports whether a status would arrive, and show what is not there yet.
func (s *server) wouldAdd(step StatusStep) bool {
	now := s.services[step.Key]
	return now != nil && now.sight.Version == step.Version && len(step.Addrs) > len(now.sight.Addrs)
}

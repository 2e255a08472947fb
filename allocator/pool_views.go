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

package allocator

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// PoolCount counts the numbers of a pool, of one family where it has several.
// Free is Capacity without Allocated and Reserved; a claim counts as free.
type PoolCount struct {
	Capacity  uint64 // numbers that can be given; 2^64-1 where there are more
	Allocated uint64 // held by Services
	Reserved  uint64 // kept by a reservation and held by no Service
	Free      uint64
}

func (c *PoolCount) settle() { c.Free = c.Capacity - min(c.Capacity, c.Allocated+c.Reserved) }

// PortPoolView is a port pool and what has become of it.
type PortPoolView struct {
	PortPool
	// Effective are the ports that are the pool's own; of them, those Outside of
	// the server's range are never given and not counted.
	Effective, Outside []PortSpan
	Conflicts          []PortConflict
	Count              PoolCount
}

// PortConflict is ports that another pool, which has precedence, has as well.
type PortConflict struct {
	With string // the name of that pool
	Span PortSpan
}

// AddrPoolView is an address pool and what has become of it.
type AddrPoolView struct {
	AddrPool
	// Effective are the addresses that are the pool's own; of them, those Outside
	// of every ServiceCIDR that takes new Services are never given as ClusterIPs
	// and not counted. It is empty for other uses.
	Effective, Outside []AddrSpan
	Conflicts          []AddrConflict
	IPv4, IPv6         PoolCount
}

// AddrConflict is addresses that another pool of the same use, which has
// precedence, has as well.
type AddrConflict struct {
	With string // the name of that pool
	Span AddrSpan
}

// PortPools lists the port pools by name. It counts, which takes time in
// proportion to the Services.
func (s *Services) PortPools() []PortPoolView {
	s.mu.RLock()
	defer s.mu.RUnlock()
	server := s.ranges.portSpan()
	var views []PortPoolView
	for _, pool := range s.pools.ports.pools {
		usable := pool.effective.and(server)
		view := PortPoolView{
			PortPool: pool.pool, Effective: publicPorts(pool.effective), Outside: publicPorts(pool.effective.without(server)),
			Count: PoolCount{Capacity: countPorts(usable)},
		}
		for _, c := range pool.conflicts {
			view.Conflicts = append(view.Conflicts, PortConflict{With: c.with, Span: PortSpan{int32(c.span.first), int32(c.span.last)}})
		}
		views = append(views, view)
	}
	count := func(n Number, reserved bool) {
		if i, ok := s.pools.ports.ownerOf(orderedPort(n.Port)); n.IsPort() && ok && server.contains(orderedPort(n.Port)) {
			views[i].Count.add(reserved)
		}
	}
	s.eachUsed(count)
	for i := range views {
		views[i].Count.settle()
	}
	return views
}

// AddrPools lists the address pools by name. It counts, which takes time in
// proportion to the Services.
func (s *Services) AddrPools() []AddrPoolView {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var views []AddrPoolView
	for _, use := range addressUses {
		views = append(views, s.addrPoolsOfUse(use)...)
	}
	slices.SortFunc(views, func(a, b AddrPoolView) int { return cmp.Compare(a.Name, b.Name) })
	return views
}

var addressUses = []v1alpha1.AddressUse{v1alpha1.UseClusterIP, v1alpha1.UseLoadBalancer, v1alpha1.UseExternalIP}

func (s *Services) addrPoolsOfUse(use v1alpha1.AddressUse) []AddrPoolView {
	set := s.pools.addrs[use]
	usable, outside := set.all, spanSet[netip.Addr](nil)
	if use == v1alpha1.UseClusterIP {
		open := s.ranges.openSpans()
		usable, outside = set.all.and(open), set.all.without(open)
	}
	var views []AddrPoolView
	for _, pool := range set.pools {
		view := AddrPoolView{AddrPool: pool.pool, Effective: publicAddrs(pool.effective), Outside: publicAddrs(pool.effective.and(outside))}
		for _, c := range pool.conflicts {
			view.Conflicts = append(view.Conflicts, AddrConflict{With: c.with, Span: AddrSpan{c.span.first, c.span.last}})
		}
		view.IPv4.Capacity, view.IPv6.Capacity = countAddrs(pool.effective.and(usable))
		views = append(views, view)
	}
	s.eachUsedAddr(use, func(addr netip.Addr, reserved bool) {
		if i, ok := set.ownerOf(addr); ok && usable.contains(addr) {
			views[i].countOf(addr).add(reserved)
		}
	})
	for i := range views {
		views[i].IPv4.settle()
		views[i].IPv6.settle()
	}
	return views
}

func (v *AddrPoolView) countOf(addr netip.Addr) *PoolCount {
	if addr.Is4() {
		return &v.IPv4
	}
	return &v.IPv6
}

func (c *PoolCount) add(reserved bool) {
	if reserved {
		c.Reserved++
		return
	}
	c.Allocated++
}

// eachUsed visits each number that a Service holds, and each that is reserved
// and held by none.
func (s *Services) eachUsed(visit func(n Number, reserved bool)) {
	for n := range s.holders {
		visit(n, false)
	}
	for n := range s.reservations {
		if len(s.holders[n]) == 0 {
			visit(n, true)
		}
	}
}

// eachUsedAddr is eachUsed for the field that a use is about. An address that is
// reserved counts in each use, as it may be meant for any.
func (s *Services) eachUsedAddr(use v1alpha1.AddressUse, visit func(addr netip.Addr, reserved bool)) {
	if use == v1alpha1.UseClusterIP {
		s.eachUsed(func(n Number, reserved bool) {
			if !n.IsPort() {
				visit(n.Addr, reserved)
			}
		})
		return
	}
	for key := range s.users {
		if key.use == use {
			visit(key.addr, false)
		}
	}
	for n := range s.reservations {
		if _, used := s.users[useKey{use, n.Addr}]; !n.IsPort() && !used {
			visit(n.Addr, true)
		}
	}
}

// PortPoolOf is the pool that a port belongs to.
func (s *Services) PortPoolOf(number int32) (PortPool, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, ok := s.pools.ports.ownerOf(orderedPort(number))
	if !ok {
		return PortPool{}, false
	}
	return s.pools.ports.pools[i].pool, true
}

// AddrPoolsOf are the pools that an address belongs to, at most one for each use.
func (s *Services) AddrPoolsOf(addr netip.Addr) []AddrPool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var pools []AddrPool
	for _, use := range addressUses {
		set := s.pools.addrs[use]
		if i, ok := set.ownerOf(addr.Unmap()); ok {
			pools = append(pools, set.pools[i].pool)
		}
	}
	return pools
}

// PortPoolsFor are the pools of a namespace with these labels, in the order in
// which they give ports: by priority, then name.
func (s *Services) PortPoolsFor(namespace labels.Set) []PortPool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var pools []PortPool
	for _, pool := range s.pools.ports.pools { // by name
		if pool.pool.Selects(namespace) {
			pools = append(pools, pool.pool)
		}
	}
	slices.SortStableFunc(pools, func(a, b PortPool) int { return cmp.Compare(b.Priority, a.Priority) })
	return pools
}

// AddrPoolsFor are the pools of a use for a Service with these labels in a
// namespace with those, in the order in which they give addresses.
func (s *Services) AddrPoolsFor(use v1alpha1.AddressUse, namespace, service labels.Set) []AddrPool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var pools []AddrPool
	for _, pool := range s.pools.addrs[use].pools { // by name
		if pool.pool.Selects(namespace, service) {
			pools = append(pools, pool.pool)
		}
	}
	slices.SortStableFunc(pools, func(a, b AddrPool) int { return cmp.Compare(b.Priority, a.Priority) })
	return pools
}

func countPorts(set spanSet[orderedPort]) uint64 {
	var count uint64
	for _, s := range set {
		count += uint64(s.last-s.first) + 1
	}
	return count
}

// countAddrs counts per family, up to 2^64-1.
func countAddrs(set spanSet[netip.Addr]) (ipv4, ipv6 uint64) {
	for _, s := range set {
		total := &ipv6
		if familyOf(s.first) == corev1.IPv4Protocol {
			total = &ipv4
		}
		*total = saturatingAdd(*total, distance(s))
	}
	return ipv4, ipv6
}

func saturatingAdd(a, b uint64) uint64 {
	if a+b < a {
		return ^uint64(0)
	}
	return a + b
}

// distance is how many addresses a span has, up to 2^64-1.
func distance(s span[netip.Addr]) uint64 {
	if high64(s.first) != high64(s.last) && (high64(s.last)-high64(s.first) > 1 || low64(s.last) >= low64(s.first)) {
		return ^uint64(0)
	}
	return saturatingAdd(low64(s.last)-low64(s.first), 1)
}

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
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// PortPool is a set of ports for the Services of some namespaces.
type PortPool struct {
	Name     string
	Priority int32     // 0 to 1000, the highest first
	Created  time.Time // among equals the older has precedence
	// Ranges are its ports; Reserved those of them that are given only by number.
	Ranges, Reserved []PortSpan
	// AutoAssign is false where all of them are given only by number.
	AutoAssign bool
	// AllocateLoadBalancerNodePorts is the default of the field; nil leaves it.
	AllocateLoadBalancerNodePorts *bool
	// Namespaces selects by the labels of the namespace; nil selects all.
	Namespaces labels.Selector
}

// Selects reports whether the pool is for a namespace with these labels.
func (p PortPool) Selects(namespace labels.Set) bool { return selects(p.Namespaces, namespace) }

// AddrPool is a set of addresses for one field of some Services.
type AddrPool struct {
	Name     string
	Use      v1alpha1.AddressUse
	Priority int32     // 0 to 1000, the highest first
	Created  time.Time // among equals the older has precedence
	// Ranges are its addresses; Reserved those of them that are given only by value.
	Ranges, Reserved []AddrSpan
	// AutoAssign is false where all of them are given only by value.
	AutoAssign bool
	// Disabled is true where none of them is given to another Service.
	Disabled bool
	// AvoidBuggyIPs leaves out IPv4 addresses that end in .0 or .255.
	AvoidBuggyIPs bool
	// Sharing is for load balancers.
	Sharing v1alpha1.AddressSharing
	// Namespaces and Services select by labels; nil selects all.
	Namespaces, Services labels.Selector
}

// Selects reports whether the pool is for a Service with these labels in a
// namespace with those.
func (p AddrPool) Selects(namespace, service labels.Set) bool {
	return selects(p.Namespaces, namespace) && selects(p.Services, service)
}

func selects(selector labels.Selector, set labels.Set) bool {
	return selector == nil || selector.Matches(set)
}

// poolSet is all pools of one use, resolved: which numbers are whose.
//
//	pool a, priority 9   |-----------|
//	pool b, priority 5         |-----------|
//	pool c, priority 5                 |--------|
//	owned                aaaaaaaaaaaaabbbbbcccccc
type poolSet[P any, N ordered[N]] struct {
	pools  []resolvedPool[P, N] // by name
	all    spanSet[N]           // the numbers of all of them
	owners []ownedSpan[N]       // ascending
}

// resolvedPool is a pool with the numbers that are its own.
type resolvedPool[P any, N ordered[N]] struct {
	pool      P
	name      string
	rank      int // in the order of precedence
	effective spanSet[N]
	automatic spanSet[N] // of the effective ones, those not reserved; none without AutoAssign
	conflicts []conflict[N]
}

// conflict is with the pool of this rank, which has precedence.
type conflict[N ordered[N]] struct {
	with string
	rank int
	span span[N]
}

func (c conflict[N]) compare(other conflict[N]) int {
	return cmp.Or(cmp.Compare(c.rank, other.rank), c.span.first.Compare(other.span.first))
}

type ownedSpan[N ordered[N]] struct {
	span[N]
	pool int // an index into pools
}

// poolShape is what of a pool decides which numbers are its own.
type poolShape[N ordered[N]] struct {
	name             string
	priority         int32
	created          time.Time
	autoAssign       bool
	ranges, reserved spanSet[N]
}

// precedes orders pools that overlap: the higher priority, then the older, then
// the first by name.
func (a poolShape[N]) precedes(b poolShape[N]) int {
	return cmp.Or(cmp.Compare(b.priority, a.priority), a.created.Compare(b.created), cmp.Compare(a.name, b.name))
}

// resolvePools gives each number to one pool.
func resolvePools[P any, N ordered[N]](pools []P, shapeOf func(P) poolShape[N]) poolSet[P, N] {
	type shaped struct {
		pool  P
		shape poolShape[N]
	}
	sorted := make([]shaped, len(pools))
	for i, pool := range pools {
		sorted[i] = shaped{pool, shapeOf(pool)}
	}
	slices.SortFunc(sorted, func(a, b shaped) int { return a.shape.precedes(b.shape) })
	ranges := make([]spanSet[N], len(sorted))
	set := poolSet[P, N]{pools: make([]resolvedPool[P, N], len(sorted))}
	for rank, this := range sorted {
		ranges[rank] = this.shape.ranges
		set.pools[rank] = resolvedPool[P, N]{pool: this.pool, name: this.shape.name, rank: rank}
	}
	spans := rankedSpans(ranges)
	owned := ownedSpans(spans, len(sorted))
	for _, s := range owned {
		set.pools[s.rank].effective = append(set.pools[s.rank].effective, s.span)
	}
	overlaps(spans, func(rank, with int, both span[N]) {
		set.pools[rank].conflicts = append(set.pools[rank].conflicts, conflict[N]{with: sorted[with].shape.name, rank: with, span: both})
	})
	for rank, this := range sorted {
		resolved := &set.pools[rank]
		slices.SortFunc(resolved.conflicts, conflict[N].compare)
		if this.shape.autoAssign {
			resolved.automatic = resolved.effective.without(this.shape.reserved)
		}
	}
	set.own(owned)
	return set
}

// own orders the pools by name, and notes what each has.
func (set *poolSet[P, N]) own(owned []rankedSpan[N]) {
	slices.SortStableFunc(set.pools, func(a, b resolvedPool[P, N]) int { return cmp.Compare(a.name, b.name) })
	index := make([]int, len(set.pools))
	for i, pool := range set.pools {
		index[pool.rank] = i
	}
	for _, s := range owned {
		set.owners = append(set.owners, ownedSpan[N]{s.span, index[s.rank]})
		set.all = set.all.with(s.span)
	}
}

// ownerOf is the pool that a number belongs to.
func (set poolSet[P, N]) ownerOf(n N) (int, bool) {
	i, exact := slices.BinarySearchFunc(set.owners, n, func(s ownedSpan[N], n N) int { return s.first.Compare(n) })
	if !exact {
		i--
	}
	if i < 0 || n.Compare(set.owners[i].last) > 0 {
		return 0, false
	}
	return set.owners[i].pool, true
}

// pools are those of a cluster. Addresses of different uses do not conflict.
type pools struct {
	ports poolSet[PortPool, orderedPort]
	addrs map[v1alpha1.AddressUse]poolSet[AddrPool, netip.Addr]
}

func newPools(ports []PortPool, addrs []AddrPool) pools {
	byUse := map[v1alpha1.AddressUse][]AddrPool{}
	for _, pool := range addrs {
		byUse[pool.Use] = append(byUse[pool.Use], pool)
	}
	resolved := pools{
		ports: resolvePools(ports, func(p PortPool) poolShape[orderedPort] {
			return poolShape[orderedPort]{p.Name, p.Priority, p.Created, p.AutoAssign, portSpans(p.Ranges), portSpans(p.Reserved)}
		}),
		addrs: map[v1alpha1.AddressUse]poolSet[AddrPool, netip.Addr]{},
	}
	for use, pools := range byUse {
		resolved.addrs[use] = resolveAddrPools(pools)
	}
	return resolved
}

// resolveAddrPools takes pools of one use.
func resolveAddrPools(pools []AddrPool) poolSet[AddrPool, netip.Addr] {
	return resolvePools(pools, func(p AddrPool) poolShape[netip.Addr] {
		return poolShape[netip.Addr]{p.Name, p.Priority, p.Created, p.AutoAssign, addrSpans(p.Ranges), addrSpans(p.Reserved)}
	})
}

// SetPools replaces all pools.
func (s *Services) SetPools(ports []PortPool, addrs []AddrPool) {
	resolved := newPools(ports, addrs)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pools = resolved
	s.ranges.usePools(resolved)
}

// HasPools reports whether there is any, so that the labels of a namespace matter.
func (s *Services) HasPools() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.pools.ports.pools)+len(s.pools.addrs) > 0
}

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

package webhooks

import (
	"context"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// standing is how a Service stands to an address that it asks for.
type standing int

const (
	mayHaveIt standing = iota
	keptForAnother
	ofAPoolForOthers
	// ofBalancers is an external IP in a pool of load balancers.
	ofBalancers
	outsideAllPools
	withoutAPool
)

// pooledAddress is an address with what pools and reservations say of it, whoever
// asks for it.
type pooledAddress struct {
	addr        netip.Addr
	use         v1alpha1.AddressUse
	reservation *allocator.Reservation
	// owners are the pools with the address, for any use.
	owners []allocator.AddrPool
	// pooled tells that the use has pools, and required that it has to have them.
	pooled, required bool
}

func poolsOver(ctx context.Context, world World, pools *Pools, addr netip.Addr, use v1alpha1.AddressUse) (pooledAddress, error) {
	reservation, err := world.ReservationOf(ctx, allocator.AddrNumber(addr))
	return pooledAddress{
		addr: addr, use: use, reservation: reservation, owners: pools.AddrPoolsOf(addr),
		pooled: pools.Uses[use], required: world.PoolsRequired(use),
	}, err
}

// standingOf decides rule X5; before is the Service as it was, or nil. A reservation
// says whose an address is first, and of ClusterIPs that settles it. Who may use one
// that comes from outside is for the pools to say: many may write reservations, the
// annotation to retain makes them for anybody, and few may write pools. The pool that
// stands in the way comes along.
func (a pooledAddress) standingOf(svc, before *corev1.Service, selected func(allocator.AddrPool) bool) (standing, allocator.AddrPool) {
	if a.reservation != nil {
		switch {
		case !a.reservation.For(client.ObjectKeyFromObject(svc)):
			return keptForAnother, allocator.AddrPool{}
		case a.use == v1alpha1.UseClusterIP, a.use == v1alpha1.UseLoadBalancer && addrsOf(ingressVIPs(before))[a.addr]:
			return mayHaveIt, allocator.AddrPool{}
		}
	}
	if owner, owned := a.ownerFor(a.use); owned {
		if selected(owner) {
			return mayHaveIt, owner
		}
		return ofAPoolForOthers, owner
	}
	// What a load balancer has given is announced, with all its ports: as an external
	// IP another tenant would get those that are free.
	balancers, balanced := a.ownerFor(v1alpha1.UseLoadBalancer)
	switch {
	case a.use == v1alpha1.UseClusterIP:
		return mayHaveIt, allocator.AddrPool{}
	case a.use == v1alpha1.UseExternalIP && balanced:
		return ofBalancers, balancers
	case a.pooled:
		return outsideAllPools, allocator.AddrPool{}
	case a.required:
		return withoutAPool, allocator.AddrPool{}
	}
	return mayHaveIt, allocator.AddrPool{}
}

func (a pooledAddress) ownerFor(use v1alpha1.AddressUse) (allocator.AddrPool, bool) {
	i := slices.IndexFunc(a.owners, func(pool allocator.AddrPool) bool { return pool.Use == use })
	if i < 0 {
		return allocator.AddrPool{}, false
	}
	return a.owners[i], true
}

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
	"cmp"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
)

// reservations are those of addresses.
type reservations struct {
	of   map[netip.Addr]allocator.Reservation
	mine map[types.NamespacedName][]netip.Addr // the oldest first
}

func newReservations() reservations {
	return reservations{map[netip.Addr]allocator.Reservation{}, map[types.NamespacedName][]netip.Addr{}}
}

func (r *reservations) set(reservation allocator.Reservation) {
	addr := reservation.Number.Addr
	r.remove(addr)
	r.of[addr] = reservation
	if reservation.Service.Name == "" {
		return
	}
	addrs := append(r.mine[reservation.Service], addr)
	slices.SortFunc(addrs, func(a, b netip.Addr) int { return cmp.Or(r.of[a].Created.Compare(r.of[b].Created), a.Compare(b)) })
	r.mine[reservation.Service] = addrs
}

func (r *reservations) remove(addr netip.Addr) {
	old, known := r.of[addr]
	if !known {
		return
	}
	delete(r.of, addr)
	left := slices.DeleteFunc(r.mine[old.Service], func(other netip.Addr) bool { return other == addr })
	if r.mine[old.Service] = left; len(left) == 0 {
		delete(r.mine, old.Service)
	}
}

// bars reports whether an address is kept from a Service.
func (r *reservations) bars(addr netip.Addr, service types.NamespacedName) bool {
	reservation, reserved := r.of[addr]
	return reserved && !reservation.For(service)
}

// Source is who uses an address that is given to nobody. Kind is Node, or
// Service for its external IPs and for what another controller gave it.
type Source struct {
	Kind string
	Name types.NamespacedName
}

// uses are the addresses that others have.
type uses struct {
	by map[netip.Addr]map[Source]bool
	of map[Source][]netip.Addr
}

func newUses() uses {
	return uses{map[netip.Addr]map[Source]bool{}, map[Source][]netip.Addr{}}
}

// replace says which addresses nobody uses any longer.
func (u *uses) replace(source Source, addrs []netip.Addr) (unused []netip.Addr) {
	before := u.of[source]
	if delete(u.of, source); len(addrs) > 0 {
		u.of[source] = slices.Clone(addrs)
	}
	for _, addr := range addrs {
		if u.by[addr] == nil {
			u.by[addr] = map[Source]bool{}
		}
		u.by[addr][source] = true
	}
	for _, addr := range before {
		if slices.Contains(addrs, addr) {
			continue
		}
		if delete(u.by[addr], source); len(u.by[addr]) == 0 {
			delete(u.by, addr)
			unused = append(unused, addr)
		}
	}
	return unused
}

// elsewhere reports whether anybody but the Service itself uses the address.
func (u *uses) elsewhere(addr netip.Addr, service types.NamespacedName) bool {
	for source := range u.by[addr] {
		if source != (Source{"Service", service}) {
			return true
		}
	}
	return false
}

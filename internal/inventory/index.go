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

package inventory

import (
	"net/netip"
	"slices"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/placeholder"
)

// Index is an Inventory with the allocator's view of it, and ways to find objects.
type Index struct {
	*Inventory
	// Numbers knows who holds, claims and reserved what, and the pools.
	Numbers *allocator.Services
	// Unreadable are objects that the allocator can make nothing of, which it
	// therefore ignores.
	Unreadable []Unreadable
	// Addresses are the IPAddress objects by what they stand for.
	Addresses map[allocator.Number]*networkingv1.IPAddress
	// Claimed are the claims by number.
	Claimed map[allocator.Number]Claim
	// HeldPorts are the ports that placeholder Services hold for reservations, and
	// which of them does.
	HeldPorts map[allocator.Number]types.NamespacedName

	services map[types.NamespacedName]*corev1.Service
}

// Claim is a claim and the Lease it is.
type Claim struct {
	allocator.Claim
	Lease *coordinationv1.Lease
}

// Unreadable is an object that makes no sense.
type Unreadable struct {
	Kind, Namespace, Name string
	Err                   error
}

// Index builds the view.
func (inv *Inventory) Index() *Index {
	x := &Index{
		Inventory: inv, Numbers: allocator.NewServices(inv.NodePorts.Span),
		Addresses: map[allocator.Number]*networkingv1.IPAddress{},
		Claimed:   map[allocator.Number]Claim{},
		HeldPorts: map[allocator.Number]types.NamespacedName{},
		services:  make(map[types.NamespacedName]*corev1.Service, len(inv.Services)),
	}
	x.addServiceCIDRs()
	x.addServices()
	x.addPools()
	x.addReservations()
	x.addClaims()
	x.addAddresses()
	x.Numbers.SetReady()
	return x
}

// addServiceCIDRs looks at each CIDR as well, to name the object of one that no
// address can be given from: the API server accepts such, too.
func (x *Index) addServiceCIDRs() {
	_ = x.Numbers.ObserveServiceCIDRs(x.ServiceCIDRs) // the others are taken in all the same
	for i := range x.ServiceCIDRs {
		for _, text := range x.ServiceCIDRs[i].Spec.CIDRs {
			prefix, err := netip.ParsePrefix(text)
			if err == nil {
				_, err = allocator.NewAddrs(prefix)
			}
			x.readable("ServiceCIDR", "", x.ServiceCIDRs[i].Name, err)
		}
	}
}

// addServices leaves the ports of placeholders out: they are reserved, not held.
func (x *Index) addServices() {
	for i := range x.Services {
		service := &x.Services[i]
		key := KeyOf(service)
		x.services[key] = service
		if !x.IsPlaceholder(service) {
			x.Numbers.Observe(service)
			continue
		}
		for _, n := range placeholder.NumbersOfPorts(service) {
			x.HeldPorts[n] = key
		}
		portless := *service
		portless.Spec.Type = corev1.ServiceTypeClusterIP
		x.Numbers.Observe(&portless)
	}
}

// IsPlaceholder tells whether a Service holds ports for reservations. Only the
// manager's own do: a label must not hide anybody's Service.
func (inv *Inventory) IsPlaceholder(service *corev1.Service) bool {
	return service.Namespace == inv.System && placeholder.IsPorts(service)
}

func (x *Index) addPools() {
	var ports []allocator.PortPool
	for i := range x.PortPools {
		pool, err := allocator.PortPoolOf(&x.PortPools[i])
		if x.readable("PortPool", "", x.PortPools[i].Name, err) {
			ports = append(ports, pool)
		}
	}
	var addrs []allocator.AddrPool
	for i := range x.AddressPools {
		pool, err := allocator.AddrPoolOf(&x.AddressPools[i])
		if x.readable("AddressPool", "", x.AddressPools[i].Name, err) {
			addrs = append(addrs, pool)
		}
	}
	x.Numbers.SetPools(ports, addrs)
}

func (x *Index) addReservations() {
	for i := range x.PortReservations {
		reservation, err := allocator.ReservationOfPort(&x.PortReservations[i])
		if x.readable("PortReservation", "", x.PortReservations[i].Name, err) {
			x.Numbers.Reserve(reservation)
		}
	}
	for i := range x.AddressReservations {
		reservation, err := allocator.ReservationOfAddress(&x.AddressReservations[i])
		if x.readable("AddressReservation", "", x.AddressReservations[i].Name, err) {
			x.Numbers.Reserve(reservation)
		}
	}
}

func (x *Index) addClaims() {
	for i := range x.Claims {
		lease := &x.Claims[i]
		claim, err := allocator.ClaimOfLease(lease)
		if x.readable("Lease", lease.Namespace, lease.Name, err) {
			x.Numbers.Claim(claim)
			x.Claimed[claim.Number] = Claim{Claim: claim, Lease: lease}
		}
	}
}

func (x *Index) addAddresses() {
	for i := range x.IPAddresses {
		address := &x.IPAddresses[i]
		if addr, err := netip.ParseAddr(address.Name); err == nil {
			x.Addresses[allocator.AddrNumber(addr)] = address
		}
	}
}

func (x *Index) readable(kind, namespace, name string, err error) bool {
	if err != nil {
		x.Unreadable = append(x.Unreadable, Unreadable{kind, namespace, name, err})
	}
	return err == nil
}

// Service finds a Service by its name.
func (x *Index) Service(key types.NamespacedName) (*corev1.Service, bool) {
	service, ok := x.services[key]
	return service, ok
}

// KeyOf is the name of a Service.
func KeyOf(service *corev1.Service) types.NamespacedName {
	return types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
}

// HeldFor tells whether an object of ours holds the number for its reservation.
func (x *Index) HeldFor(n allocator.Number) bool {
	if n.IsPort() {
		_, held := x.HeldPorts[n]
		return held
	}
	address, ok := x.Addresses[n]
	if !ok {
		return false
	}
	_, ours := placeholder.NumberOfAddress(address)
	return ours
}

// Holds tells whether the Service holds the number in a field that only one
// Service may have it in.
func (x *Index) Holds(key types.NamespacedName, n allocator.Number) bool {
	return slices.ContainsFunc(x.Numbers.Holders(n), func(h allocator.Holder) bool { return h.Service == key })
}

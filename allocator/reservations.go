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
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Reservation keeps one number for one Service, or from everybody.
type Reservation struct {
	Number Number
	// Object is the name of the PortReservation or AddressReservation.
	Object string
	// Service is the only one that gets the number; without a name, nobody does.
	Service types.NamespacedName
	// HealthCheck is for spec.healthCheckNodePort, PortNames for the node ports of
	// ports with these names; without both, for the first node port asked for.
	HealthCheck bool
	PortNames   []string
	Created     time.Time
}

// ReservationName is the name of the PortReservation or AddressReservation of
// the number: 30080, 10.96.0.7, fd00-0010-0096-0000-0000-0000-0000-0007.
func (n Number) ReservationName() string {
	if n.IsPort() || n.Addr.Is4() {
		return n.String()
	}
	return strings.ReplaceAll(n.Addr.StringExpanded(), ":", "-")
}

// ParseReservationName is the reverse of ReservationName.
func ParseReservationName(name string) (Number, error) {
	n := Number{}
	if port, err := strconv.ParseUint(name, 10, 16); err == nil {
		n = PortNumber(int32(port))
	} else if addr, err := parseAddr(strings.ReplaceAll(name, "-", ":")); err == nil {
		n = AddrNumber(addr)
	}
	if n.IsZero() || n.ReservationName() != name {
		return Number{}, fmt.Errorf("%q is the name of no reservation: it is a port or an address", name)
	}
	return n, nil
}

// Kind is the kind of the object: PortReservation or AddressReservation.
func (r Reservation) Kind() string {
	if r.Number.IsPort() {
		return "PortReservation"
	}
	return "AddressReservation"
}

// For reports whether the reservation lets the Service have the number.
func (r Reservation) For(service types.NamespacedName) bool {
	return service.Name != "" && r.Service == service
}

// Reserve keeps a number, in place of what was known of its reservation. A
// Service that holds the number goes on holding it.
func (s *Services) Reserve(r Reservation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserve(r)
}

func (s *Services) reserve(r Reservation) {
	if r.Number.IsZero() {
		return
	}
	s.reserving.note(r.Number)
	s.dropReservation(r.Number)
	r.PortNames = slices.Clone(r.PortNames)
	s.reservations[r.Number] = r
	s.reservedFor[r.Service] = append(s.reservedFor[r.Service], r.Number)
	s.ranges.mark(r.Number, true)
}

// Unreserve takes back the reservation of a number, if there is one.
func (s *Services) Unreserve(n Number) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unreserve(n)
}

func (s *Services) unreserve(n Number) {
	s.reserving.note(n)
	s.dropReservation(n)
	s.unmarkUnused(n)
}

func (s *Services) dropReservation(n Number) {
	old, known := s.reservations[n]
	if !known {
		return
	}
	delete(s.reservations, n)
	left := slices.DeleteFunc(s.reservedFor[old.Service], func(other Number) bool { return other == n })
	if s.reservedFor[old.Service] = left; len(left) == 0 {
		delete(s.reservedFor, old.Service)
	}
}

// ReservationOf is the reservation of a number.
func (s *Services) ReservationOf(n Number) (Reservation, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, ok := s.reservations[n]
	return r, ok
}

// Reservations lists all of them, by number.
func (s *Services) Reservations() []Reservation {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]Reservation, 0, len(s.reservations))
	for _, r := range s.reservations {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Reservation) int { return a.Number.Compare(b.Number) })
	return all
}

// reservedNumbers are those kept for a Service, the oldest first: those of younger
// ones may be what it was given instead while we were away.
func (s *Services) reservedNumbers(service types.NamespacedName) []Number {
	if service.Name == "" {
		return nil
	}
	return slices.SortedFunc(slices.Values(s.reservedFor[service]), func(a, b Number) int {
		return cmp.Or(s.reservations[a].Created.Compare(s.reservations[b].Created), a.Compare(b))
	})
}

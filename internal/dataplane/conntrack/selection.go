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

package conntrack

import (
	"iter"
	"net/netip"
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Destination is where a client sends its packets: a VIP or a node address.
type Destination struct {
	Protocol model.Protocol
	Addr     netip.AddrPort
}

// Stale says which flows to one ServicePort may stay.
type Stale struct {
	Protocol model.Protocol
	// Addrs are the original destinations concerned: the ServicePort's VIPs
	// when Port is its port, the node's NodePort addresses when Port is its
	// NodePort.
	Addrs []netip.Addr
	Port  uint16
	// Allowed are the endpoints whose flows stay; with none, all flows go.
	Allowed []netip.AddrPort
	// UnrepliedOnly spares flows that were ever answered. TCP and SCTP flows
	// that were are spared in any case: their ends notice, and may still have
	// something to say to each other.
	UnrepliedOnly bool
	// Amends is true of what is no reason for a walk: it takes the place of a
	// request for the same destination that waits for one, if there is any.
	Amends bool
}

func (s Stale) destinations() iter.Seq[Destination] {
	return func(yield func(Destination) bool) {
		for _, addr := range s.Addrs {
			if !yield(Destination{s.Protocol, netip.AddrPortFrom(addr.Unmap(), s.Port)}) {
				return
			}
		}
	}
}

// and joins what is said of one destination: what either spares, stays.
func (s Stale) and(o Stale) Stale {
	s.Allowed = slices.Concat(s.Allowed, o.Allowed)
	s.UnrepliedOnly = s.UnrepliedOnly || o.UnrepliedOnly
	s.Amends = s.Amends && o.Amends
	return s
}

// Sweep is what one walk through the entries looks for.
type Sweep struct {
	// Stale destinations lose the entries that do not lead where they may.
	Stale []Stale
	// Untranslated destinations lose the entries that were let through as they
	// were before there was a rule for them; of TCP and SCTP only those that
	// were never answered.
	Untranslated []Destination

	// newer tells what was asked for since, nil for nothing. It is asked after
	// the entries were listed: what it spares stays.
	newer func() []Stale
}

// rule is what of the entries to one destination has to go.
type rule struct {
	untranslated bool
	// endpoint is true if entries go unless their endpoint is in allowed.
	endpoint bool
	allowed  map[netip.AddrPort]struct{}
	// unreplied is true if answered ones stay.
	unreplied bool
}

// selection has the rules of a Sweep by destination.
type selection map[Destination]*rule

// byDestination takes the Stale apart. Those of one change may speak of the same
// destination: that of a port whose name has changed, or of an address that
// moves to another Service, is lost to one ServicePort and belongs to another.
func (s Sweep) byDestination() map[Destination]Stale {
	all := make(map[Destination]Stale, len(s.Stale))
	for _, stale := range s.Stale {
		for to := range stale.destinations() {
			if earlier, known := all[to]; known {
				all[to] = earlier.and(stale)
			} else {
				all[to] = stale
			}
		}
	}
	return all
}

func (s Sweep) selection() selection {
	all := make(selection, len(s.Stale)+len(s.Untranslated))
	for to, stale := range s.byDestination() {
		r := all.rule(to)
		r.endpoint, r.unreplied = true, stale.UnrepliedOnly
		r.allowed = make(map[netip.AddrPort]struct{}, len(stale.Allowed))
		for _, endpoint := range stale.Allowed {
			r.allowed[endpoint] = struct{}{}
		}
	}
	for _, to := range s.Untranslated {
		all.rule(to).untranslated = true
	}
	return all
}

func (s selection) rule(to Destination) *rule {
	if s[to] == nil {
		s[to] = &rule{}
	}
	return s[to]
}

// doomed says whether an entry has to go.
func (s selection) doomed(e entry) bool {
	r := s[e.sentTo]
	if r == nil || e.replied() && spared(e.sentTo.Protocol) {
		return false
	}
	if r.untranslated && !e.translated() {
		return true
	}
	if !r.endpoint || r.unreplied && e.replied() {
		return false
	}
	_, allowed := r.allowed[e.answering]
	return !allowed
}

// spares says whether an entry leads where it may.
func (s selection) spares(e entry) bool {
	r := s[e.sentTo]
	if r == nil || !r.endpoint {
		return false
	}
	_, allowed := r.allowed[e.answering]
	return allowed
}

// spared says whether flows of a protocol stay once they were answered.
func spared(protocol model.Protocol) bool { return protocol != model.UDP }

// groups parts a selection into what is worth one walk each. A walk visits the
// whole table whatever it is after, so there are at most two for each family:
// UDP, of which answered entries count, and the rest, of which they do not.
func (s selection) groups() map[group]selection {
	parts := map[group]selection{}
	for to, r := range s {
		g := group{model.FamilyOf(to.Addr.Addr()), spared(to.Protocol)}
		if parts[g] == nil {
			parts[g] = selection{}
		}
		parts[g][to] = r
	}
	return parts
}

type group struct {
	family model.Family
	// unreplied is true if only entries that were never answered matter.
	unreplied bool
}

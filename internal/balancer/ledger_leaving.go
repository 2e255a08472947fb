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

	"k8s.io/apimachinery/pkg/types"
)

// leavers are the Services that have to be out of reach of old writes before the
// addresses that they had are given on. A manager that leads no longer and does not
// know it, or that was stopped, may have begun to write an address into a status when
// the claim still named the Service. Nobody can tell whether that write is yet to
// arrive. It fails once the Service has another version, and a write to that version
// finds the claim. So a claim first says who is leaving, the Service is written then,
// and the address is given on after that. As the claim says it, the next manager
// goes on with it. One that is to keep the address after all is written first as well:
// the write that was to take it out may be on its way.
type leavers struct {
	leavingOf map[types.NamespacedName]map[netip.Addr]bool
	moved     map[types.NamespacedName]move
}

// move is the last time at which a write to what a Service was before could no longer
// be made.
type move struct {
	uid types.UID
	at  uint64
}

func newLeavers() leavers {
	return leavers{map[types.NamespacedName]map[netip.Addr]bool{}, map[types.NamespacedName]move{}}
}

// keep replaces what is known of a claim.
func (l *Ledger) keep(addr netip.Addr, now *claimRecord) {
	before := l.record(addr)
	if l.claims[addr] = now; len(l.showing[addr]) == 0 {
		l.forgetAbsent(addr)
	}
	for _, h := range l.record(addr).leaving {
		if l.leavingOf[h.Service] == nil {
			l.leavingOf[h.Service] = map[netip.Addr]bool{}
		}
		l.leavingOf[h.Service][addr] = true
	}
	for _, h := range before.leaving {
		if slices.ContainsFunc(l.record(addr).leaving, func(now Holder) bool { return now.Service == h.Service }) {
			continue
		}
		if delete(l.leavingOf[h.Service], addr); len(l.leavingOf[h.Service]) == 0 {
			delete(l.leavingOf, h.Service)
			delete(l.moved, h.Service)
		}
	}
	left := slices.Concat(l.record(addr).holders, l.record(addr).leaving)
	gone := func(h Holder) bool { return !holds(left, h.Service, h.UID) }
	if slices.ContainsFunc(before.holders, gone) || slices.ContainsFunc(before.leaving, gone) {
		l.freed[addr] = true
	}
}

// leaving are those that a claim has and is not to have, or says that they are leaving,
// and that a write may yet come to. Who is gone has none.
func (l *Ledger) leaving(record *claimRecord, wanted []Holder) []Holder {
	var left []Holder
	for _, h := range slices.Concat(record.holders, record.leaving) {
		there := l.uidOf(h.Service) == h.UID
		stays := holds(wanted, h.Service, h.UID) && !holds(record.leaving, h.Service, h.UID)
		if there && !stays && !holds(left, h.Service, h.UID) && !l.hasLeft(record, h.Service, h.UID) {
			left = append(left, Holder{Service: h.Service, UID: h.UID})
		}
	}
	return left
}

// hasLeft reports whether a Service has moved since its claim says that it is leaving.
func (l *Ledger) hasLeft(record *claimRecord, key types.NamespacedName, uid types.UID) bool {
	last, known := l.moved[key]
	return known && last.uid == uid && holds(record.leaving, key, uid) && !record.doubtful && last.at >= record.seen
}

// leaves reports whether a Service has to move, as a claim that is known for certain
// says that it is leaving.
func (l *Ledger) leaves(key types.NamespacedName) bool {
	uid := l.uidOf(key)
	for addr := range l.leavingOf[key] {
		record := l.claims[addr]
		if holds(record.leaving, key, uid) && !record.doubtful && !l.hasLeft(record, key, uid) {
			return true
		}
	}
	return false
}

// hasMoved takes in that a step has given its Service another version, or has found
// that it is not ours.
func (l *Ledger) hasMoved(step StatusStep) {
	if len(l.leavingOf[step.Key]) > 0 {
		l.moved[step.Key] = move{step.UID, step.begun}
		l.freeLeft(step.Key)
	}
}

// LookedAt takes in that a Service was read for a step, after SawService. One that is
// not ours gets nothing written to that version, nor to any before.
func (l *Ledger) LookedAt(step StatusStep) {
	if l.others[step.Key] == step.UID {
		l.hasMoved(step)
	}
}

// freeLeft has the claims looked at that say that a Service is leaving.
func (l *Ledger) freeLeft(key types.NamespacedName) {
	for addr := range l.leavingOf[key] {
		l.freed[addr] = true
	}
}

// uidOf is that of a Service which exists, as far as is known.
func (l *Ledger) uidOf(key types.NamespacedName) types.UID {
	if now := l.shows[key]; now != nil {
		return now.UID
	}
	return l.others[key]
}

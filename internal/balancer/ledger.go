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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Ledger is what is known to be written in the cluster, and says what may be
// written next so that it becomes what the Book has. It is not safe for concurrent
// use. Who writes asks for a step, makes it, and reports what came of it; steps of
// different addresses and Services may be made at the same time.
//
// An address is never in the status of two Services that do not share it, also if
// there are two managers, or one that was away for a while:
//
//	who loses it    claim changed: it is leaving -> status changed -> claim changed
//	who gets it     no status of others has it, nobody is leaving -> claim changed -> status changed
//
// A claim is changed only as it was last read, and a status likewise. An address is
// added to a status only if its claim was written or read after that version of the
// Service was: whoever takes the address away changes the claim first and the
// Service then, so that one of the two is found out, however late the write comes.
// It is taken out on the same terms, since whoever gave it has changed both likewise.
type Ledger struct {
	book   *Book
	claims map[netip.Addr]*claimRecord
	leavers
	shows map[types.NamespacedName]*shown
	// others are Services that are not ours, and were not.
	others  map[types.NamespacedName]types.UID
	showing map[netip.Addr]map[types.NamespacedName]bool
	freed   map[netip.Addr]bool // which no status has any longer
	learnt  uint64              // counts what is read and written
	loaded  uint64              // when all claims were read
	stale   bool                // somebody else has changed a claim
}

// Follow replaces the Book that is to be written. Of its own accord it gives no
// address that others still show.
func (l *Ledger) Follow(book *Book) { l.book, book.shown = book, l.isShown }

// isShown reports whether somebody else shows an address that it has no longer, or
// may yet do so.
func (l *Ledger) isShown(addr netip.Addr, to types.NamespacedName) bool {
	holders := l.book.holdersOf(addr)
	for key := range l.showing[addr] {
		if key != to && !holds(holders, key, l.shows[key].UID) {
			return true
		}
	}
	return slices.ContainsFunc(l.leaving(l.record(addr), holders), func(h Holder) bool { return h.Service != to })
}

// Sight is what is written in a Service.
type Sight struct {
	Key        types.NamespacedName
	UID        types.UID
	Version    string
	Generation int64
	// Served is true for a Service that is ours.
	Served, Deleting bool
	Addrs            []netip.Addr
	// Strange is true if there is more to the addresses than we write: another mode,
	// ports, or names of hosts.
	Strange bool
	// Condition is ours, nil where there is none. A Service that has it and is not
	// served has been.
	Condition *metav1.Condition
}

// shown is the last sight of a Service.
type shown struct {
	Sight
	seen    uint64
	doubted []netip.Addr // written perhaps
	written bool         // the addresses are as we have written them
	wrote   []netip.Addr // the last that we have written, in this Service
	// past is true once the API server is read: what it says is right, also if it
	// has an older version, as after a restore from a backup.
	past bool
	// settled is the step after which the Service was this version: the rest is
	// written by others, and stays.
	settled *StatusStep
}

// NewLedger is one that knows of nothing that is written.
func NewLedger(book *Book) *Ledger {
	l := &Ledger{
		claims: map[netip.Addr]*claimRecord{}, leavers: newLeavers(),
		shows: map[types.NamespacedName]*shown{}, others: map[types.NamespacedName]types.UID{},
		showing: map[netip.Addr]map[types.NamespacedName]bool{}, freed: map[netip.Addr]bool{},
	}
	l.Follow(book)
	return l
}

// SawService takes in what is read of a Service, unless it is older than what is
// known, which it reports.
func (l *Ledger) SawService(sight Sight) (news bool) {
	old := l.shows[sight.Key]
	if old != nil && !old.past && isOlder(sight.Version, old.Version) {
		return false
	}
	if l.uidOf(sight.Key) != sight.UID {
		l.freeLeft(sight.Key) // who was called so before is gone
	}
	if l.isOthers(sight) {
		return true
	}
	now := &shown{Sight: sight}
	if old != nil && old.Version == sight.Version {
		now.seen, now.settled, now.doubted = old.seen, old.settled, old.doubted
	} else {
		now.seen = l.tick()
	}
	if old != nil && old.UID == sight.UID {
		now.written, now.wrote = old.written && sameAddrs(old.Sight, sight), old.wrote
	}
	l.show(sight.Key, now)
	return true
}

// Read says that the next sight of a Service comes from the API server, which was
// asked when this version was known. If it still is, that sight is the newer one.
func (l *Ledger) Read(key types.NamespacedName, version string) {
	if old := l.shows[key]; old != nil && old.Version == version {
		old.past = true
	}
}

// ReadAll says so of all Services. Nothing was taken in since the API server was asked.
func (l *Ledger) ReadAll() {
	for _, old := range l.shows {
		old.past = true
	}
}

// Overwritten reports whether a sight has other addresses than we have written,
// though the Service is the same one and ours: somebody else writes them.
func (l *Ledger) Overwritten(sight Sight) bool {
	old := l.shows[sight.Key]
	return old != nil && old.written && old.UID == sight.UID && sight.Served && !isOlder(sight.Version, old.Version) && !sameAddrs(old.Sight, sight)
}

func sameAddrs(a, b Sight) bool { return slices.Equal(a.Addrs, b.Addrs) && a.Strange == b.Strange }

// GoneService takes in that a Service was deleted.
func (l *Ledger) GoneService(key types.NamespacedName, uid types.UID) {
	if l.uidOf(key) == uid {
		l.show(key, nil)
		delete(l.others, key)
		l.freeLeft(key)
	}
}

// isOthers takes in a Service that is not ours, and has nothing of ours.
func (l *Ledger) isOthers(sight Sight) bool {
	if sight.Served || sight.Condition != nil {
		delete(l.others, sight.Key)
		return false
	}
	l.show(sight.Key, nil)
	l.others[sight.Key] = sight.UID
	return true
}

// WroteService takes in what came of a step.
func (l *Ledger) WroteService(step StatusStep, sight Sight) {
	if sight.Version != step.Version {
		l.hasMoved(step)
	}
	if old := l.shows[sight.Key]; old != nil && isOlder(sight.Version, old.Version) {
		return
	}
	if l.isOthers(sight) {
		return
	}
	l.show(sight.Key, &shown{Sight: sight, seen: l.tick(), settled: &step, written: true, wrote: step.Addrs})
}

// DoubtService says that a step may have been made or not, from when it is begun
// until its end is known. The next one is to the same version: it is made, or what
// has come of the first is read.
func (l *Ledger) DoubtService(step StatusStep) {
	old := l.shows[step.Key]
	if old == nil || old.UID != step.UID || old.Version != step.Version {
		return
	}
	doubted := *old
	doubted.doubted = slices.Concat(old.doubted, step.Addrs)
	l.show(step.Key, &doubted)
}

// Freed are the addresses that statuses and claims have let go of since the last
// call, and that the Book may give from now on.
func (l *Ledger) Freed() []netip.Addr {
	var all []netip.Addr
	for addr := range l.freed {
		all = append(all, addr)
		l.book.unmark(addr)
	}
	clear(l.freed)
	slices.SortFunc(all, netip.Addr.Compare)
	return all
}

// show replaces the sight of a Service.
func (l *Ledger) show(key types.NamespacedName, now *shown) {
	before := l.shows[key].all()
	if now == nil {
		delete(l.shows, key)
	} else {
		l.shows[key] = now
	}
	after := now.all()
	for _, addr := range after {
		if l.showing[addr] == nil {
			l.showing[addr] = map[types.NamespacedName]bool{}
		}
		l.showing[addr][key] = true
	}
	for _, addr := range before {
		if slices.Contains(after, addr) {
			continue
		}
		l.freed[addr] = true
		if delete(l.showing[addr], key); len(l.showing[addr]) == 0 {
			delete(l.showing, addr)
			l.forgetAbsent(addr)
		}
	}
}

// all are the addresses that may be in the status.
func (s *shown) all() []netip.Addr {
	if s == nil {
		return nil
	}
	return slices.Concat(s.Addrs, s.doubted)
}

func (l *Ledger) tick() uint64 {
	l.learnt++
	return l.learnt
}

// isOlder compares resource versions. What can not be compared is taken for newer.
func isOlder(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err == nil && order < 0
}

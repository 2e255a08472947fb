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

package election

import (
	"net/netip"
	"slices"
	"time"

	"switchyard.dev/switchyard/internal/announce"
)

// The times of an election. Patience and Silence are apart by the difference that
// clocks may have.
const (
	// Renew is how often a node renews its record.
	Renew = time.Second
	// Patience is how long after sending its last renewal a node trusts what it
	// owns.
	Patience = 1500 * time.Millisecond
	// Silence is how long after seeing the last renewal others trust it.
	Silence = 2 * time.Second
	// handOver bounds how long who has given an address away goes on answering.
	handOver = 3 * time.Second
	// settle is how long a node that has just begun leaves vacant addresses to
	// those that rank before it, whom it may not have seen yet.
	settle = 500 * time.Millisecond
	// longestSettle bounds how long a node that comes back leaves everything as it
	// is: the others may have lost the API server with it and come back later.
	longestSettle = 10 * time.Second
	// again is how long to wait after a failed write, and between two answers to
	// somebody else who announces an address.
	again = time.Second
	// reminders are how often the new place of an address is announced again, each
	// remind after the last: the network of who had it before may have been away
	// when it was announced first, and it must not go on answering.
	reminders = 6
	remind    = 10 * time.Second
	// atOnce bounds the writes under way.
	atOnce = 32
	// refused is how long to wait after a write that was refused: what it was made
	// by may stay older than what is there, as after a restore of etcd.
	refused = 250 * time.Millisecond
)

// Claim is what the Lease of an address says.
type Claim struct {
	Addr netip.Addr
	// Version grows with each write of any Lease.
	Version uint64
	// Holder is the node that answers, empty for none.
	Holder string
	// Term counts the changes of holder.
	Term int32
}

// Record is what the Lease of a node says.
type Record struct {
	Node    string
	Version uint64
	// Standing is the node's own judgement.
	Standing announce.Standing
	// Gone is said by a node that answers for nothing any more.
	Gone bool
}

// Elector is the state of one node. It is not safe for concurrent use.
type Elector struct {
	me        string
	standing  announce.Standing
	addresses map[netip.Addr]*address
	// order are the addresses in order.
	order   []*address
	records map[string]*record
	// others are the speakers as of othersAt.
	others   []announce.Node
	othersAt time.Time

	// freshSince is when the present run of renewals began, freshUntil when it
	// ends unless there is another.
	freshSince, freshUntil time.Time
	// lapsed is when the last run ended, unless by Quit; settle is how long the
	// present one leaves vacant addresses to others.
	lapsed time.Time
	settle time.Duration
	// run counts those runs.
	run int
	// writes numbers the writes, underWay counts those without outcome.
	writes, underWay int
	// needed is whether this node has to be there for an address of others.
	needed   bool
	neededAt time.Time
}

type record struct {
	Record
	// seen is when Version was new.
	seen time.Time
}

// New is the state of a node that knows nothing.
func New(node string) *Elector {
	return &Elector{me: node, addresses: map[netip.Addr]*address{}, records: map[string]*record{}}
}

// SetStanding is this node's judgement of itself.
func (e *Elector) SetStanding(s announce.Standing) {
	if s != e.standing {
		e.standing, e.neededAt = s, time.Time{}
	}
}

// SetPlace says where an address can be reached.
func (e *Elector) SetPlace(addr netip.Addr, place announce.Place) {
	e.of(addr).place = place
	e.neededAt = time.Time{}
}

// SetRecord takes another node's record. The same one once more says nothing new.
func (e *Elector) SetRecord(now time.Time, r Record) {
	if r.Node == e.me {
		return
	}
	held := e.records[r.Node]
	e.othersAt = time.Time{}
	if held == nil {
		held = &record{}
		e.records[r.Node] = held
		e.neededAt = time.Time{}
	}
	if r.Version > held.Version {
		held.Record, held.seen = r, now
	}
}

// DropRecord says that a node's record is gone. If somebody has deleted it, the
// node makes another; it has the same time for that as for a renewal.
func (e *Elector) DropRecord(now time.Time, node string) {
	if node != e.me {
		e.records[node] = &record{Record{Node: node}, now}
		e.neededAt, e.othersAt = time.Time{}, time.Time{}
	}
}

// SetClaim takes a claim as it is now, or was: an older one than is known changes
// nothing.
func (e *Elector) SetClaim(now time.Time, c Claim) {
	a := e.of(c.Addr)
	if c.Version <= a.claim.Version {
		return
	}
	a.claim, a.claimed, a.known = c, true, now
	switch mine := c.Holder == e.me; {
	case mine && a.writing == 0 && a.phase != owner:
		a.phase = held
	case !mine && (a.phase == owner || a.phase == held):
		a.phase = idle
		if a.answering && e.unwanted(a) {
			a.phase, a.until = retiring, now.Add(handOver) // as was meant, by a write whose answer was lost
		}
		a.answering = a.phase == retiring
	}
}

// DropClaim forgets an address that nobody has any more.
func (e *Elector) DropClaim(addr netip.Addr) {
	delete(e.addresses, addr)
	if i, found := e.find(addr); found {
		e.order = slices.Delete(e.order, i, i+1)
	}
}

// Renewed says that this node's record was renewed by a request sent then.
func (e *Elector) Renewed(now, sent time.Time) {
	e.lapse(now)
	until := sent.Add(Patience)
	if !until.After(now) {
		return
	}
	if e.freshUntil.IsZero() {
		e.comeBack(now)
	}
	if until.After(e.freshUntil) {
		e.freshUntil = until
	}
}

// comeBack begins a run of renewals. After a lapse nothing that was not seen
// meanwhile says anything: whoever lost the API server at the same time may be
// back a little later.
func (e *Elector) comeBack(now time.Time) {
	e.freshSince, e.settle = now, settle
	if e.lapsed.IsZero() {
		return
	}
	e.settle = min(max(settle, now.Sub(e.lapsed)), longestSettle)
	for _, r := range e.records {
		r.seen = now
	}
	for _, a := range e.order {
		a.vacant = time.Time{}
	}
	e.lapsed, e.othersAt = time.Time{}, time.Time{}
}

// Quit says that this node's record is about to say that it is gone: others trust
// nothing of what it has from then on, and neither does it.
func (e *Elector) Quit() {
	e.endRun()
	e.lapsed = time.Time{}
}

// lapse ends a run of renewals that is over.
func (e *Elector) lapse(now time.Time) {
	if !e.freshUntil.IsZero() && !now.Before(e.freshUntil) {
		e.lapsed = e.freshUntil
		e.endRun()
	}
}

// endRun makes what is owned only held.
func (e *Elector) endRun() {
	e.freshUntil = time.Time{}
	e.run++
	for _, a := range e.order {
		if a.phase == owner {
			a.phase = held
			a.answering = a.answering && !a.contested
		}
	}
}

func (e *Elector) fresh() bool { return !e.freshUntil.IsZero() }

// Heard says that another machine on the network announces the address.
func (e *Elector) Heard(now time.Time, addr netip.Addr) {
	e.lapse(now)
	a := e.addresses[addr]
	if a == nil || !a.answering {
		return
	}
	switch a.phase {
	case owner:
		a.contested = true
	case held:
		a.answering = false
	case retiring:
		a.phase, a.answering = idle, false
	case idle:
	}
}

// Owns says whether this node is the owner of the address.
func (e *Elector) Owns(now time.Time, addr netip.Addr) bool {
	e.lapse(now)
	a := e.addresses[addr]
	return a != nil && a.phase == owner
}

// Owned is how many addresses of each family this node is the owner of.
func (e *Elector) Owned(now time.Time) (ipv4, ipv6 int) {
	e.lapse(now)
	for _, a := range e.order {
		switch {
		case a.phase != owner:
		case a.addr.Is4():
			ipv4++
		default:
			ipv6++
		}
	}
	return ipv4, ipv6
}

// Reminders are the addresses to announce now although nothing has changed: those
// that have come here within a minute. It returns each once in ten seconds.
func (e *Elector) Reminders(now time.Time) (due []netip.Addr) {
	e.lapse(now)
	for _, a := range e.order {
		if a.reminders == 0 || a.phase != owner || now.Before(a.remindAt) {
			continue
		}
		a.reminders--
		a.remindAt = now.Add(remind)
		due = append(due, a.addr)
	}
	return due
}

// Answering are the addresses to answer for, in order.
func (e *Elector) Answering() []netip.Addr {
	var list []netip.Addr
	for _, a := range e.order {
		if a.answering {
			list = append(list, a.addr)
		}
	}
	return list
}

// Speaking says whether to renew this node's record. Who has a write under way may
// be an owner by it.
func (e *Elector) Speaking(now time.Time) bool {
	if e.underWay > 0 {
		return true
	}
	for _, a := range e.order {
		if a.answering || a.claimed && a.claim.Holder == e.me {
			return true
		}
	}
	if now.Sub(e.neededAt) >= Renew {
		e.needed, e.neededAt = e.isNeeded(now), now
	}
	return e.needed
}

// Standing is what this node's record is to say.
func (e *Elector) Standing() announce.Standing { return e.standing }

// Next is what to do now.
func (e *Elector) Next(now time.Time) (writes []Write) {
	e.lapse(now)
	for _, a := range e.order {
		if e.underWay == atOnce {
			break
		}
		if a.phase == retiring && a.writing == 0 && !now.Before(a.until) {
			a.phase, a.answering = idle, false
		}
		if !a.claimed || a.writing != 0 || now.Before(a.retryAt) {
			continue
		}
		if w, ok := e.write(now, a); ok {
			w.Addr, w.Version, w.Known, w.run = a.addr, a.claim.Version, a.known, e.run
			w.Term = a.claim.Term
			if w.Holder != a.claim.Holder {
				w.Term++
			}
			e.writes++
			w.number, a.writing = e.writes, e.writes
			e.underWay++
			writes = append(writes, w)
		}
	}
	return writes
}

func (e *Elector) of(addr netip.Addr) *address {
	a := e.addresses[addr]
	if a == nil {
		a = &address{addr: addr}
		e.addresses[addr] = a
		i, _ := e.find(addr)
		e.order = slices.Insert(e.order, i, a)
	}
	return a
}

// find is where an address is in the order, or should be.
func (e *Elector) find(addr netip.Addr) (int, bool) {
	return slices.BinarySearchFunc(e.order, addr, func(a *address, b netip.Addr) int { return a.addr.Compare(b) })
}

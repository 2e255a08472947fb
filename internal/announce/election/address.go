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
	"time"

	"switchyard.dev/switchyard/internal/announce"
)

// phase is what this node is for an address.
type phase uint8

const (
	// idle: another node's, or nobody's.
	idle phase = iota
	// held: the claim names this node, which has to confirm it to be sure.
	held
	// owner: confirmed, and renewed ever since.
	owner
	// retiring: given away.
	retiring
)

type address struct {
	addr    netip.Addr
	claim   Claim
	claimed bool
	// known is when the claim was taken.
	known time.Time
	place announce.Place
	phase phase
	// answering says that requests for the address are answered.
	answering bool
	// writing is the number of the write under way, 0 for none.
	writing int
	retryAt time.Time
	// quietUntil bounds how often others are answered by announcing the address.
	quietUntil time.Time
	// reminders are how many there are to be still, the next one at remindAt.
	reminders int
	remindAt  time.Time
	// until bounds retiring.
	until time.Time
	// vacant is since when nobody answers, for all that is known here.
	vacant time.Time
	// contested says that somebody else announced the address.
	contested bool
}

// Kind is what a Write is for.
type Kind uint8

// The kinds.
const (
	// Take makes this node the holder of an address that nobody answers for.
	Take Kind = iota
	// Confirm makes sure that this node is the holder still.
	Confirm
	// Transfer makes another node the holder.
	Transfer
	// Release leaves the address without holder.
	Release
)

// String is as in logs.
func (k Kind) String() string {
	return [...]string{"take", "confirm", "transfer", "release"}[k]
}

// Write is one to make to a claim, on condition that it has the version.
type Write struct {
	Kind    Kind
	Addr    netip.Addr
	Version uint64
	// Holder and Term are what to write. Each write has to change something, so
	// that others can not write by what they read before.
	Holder string
	Term   int32
	// Suspect, if it has a name, is the record that must not have changed: it is to be
	// read past every cache, before the write and not before Known, when the claim
	// was known to have the version. One read will do for many writes: who comes back
	// after it has to write the claim first. Version 0 is for one that must not
	// exist.
	Suspect     Record
	Known       time.Time
	run, number int
}

// Outcome is what became of a Write.
type Outcome uint8

// The outcomes.
const (
	// Written: the claim is as wanted.
	Written Outcome = iota
	// Refused: the claim, or the suspect, has changed.
	Refused
	// Unknown: it may or may not be written.
	Unknown
)

// Wrote says what became of a Write; version is that of the claim if it was
// Written. It returns whether to announce the address on the network now.
func (e *Elector) Wrote(now time.Time, w Write, outcome Outcome, version uint64) (announceIt bool) {
	e.lapse(now)
	e.underWay--
	a := e.addresses[w.Addr]
	if a == nil || a.writing != w.number {
		return false // forgotten meanwhile
	}
	a.writing = 0
	if outcome != Written {
		return e.notWritten(now, a, outcome)
	}
	if version < a.claim.Version { // changed again since
		e.settlePhase(now, a)
		return false
	}
	a.claim.Version, a.claim.Holder, a.claim.Term, a.known = version, w.Holder, w.Term, now
	if w.Holder != e.me {
		e.settlePhase(now, a)
		return false
	}
	if !e.fresh() || w.run != e.run {
		a.phase = held // a renewal was missed meanwhile: once more
		return false
	}
	announceIt = !a.answering || a.contested || w.Kind == Take
	a.phase, a.answering, a.contested, a.vacant = owner, true, false, time.Time{}
	if announceIt {
		a.quietUntil = now.Add(again)
		a.reminders, a.remindAt = reminders, now.Add(remind)
	}
	return announceIt
}

func (e *Elector) notWritten(now time.Time, a *address, outcome Outcome) bool {
	a.retryAt = now.Add(refused)
	if outcome == Unknown {
		a.retryAt = now.Add(again)
	}
	e.settlePhase(now, a)
	return false
}

// settlePhase follows from the claim after a write.
func (e *Elector) settlePhase(now time.Time, a *address) {
	switch {
	case a.claim.Holder == e.me:
		if a.phase != owner {
			a.phase = held
		}
	case a.answering && e.unwanted(a) && a.claim.Holder != "":
		a.phase, a.until = retiring, now.Add(handOver)
	default:
		a.phase, a.answering = idle, false
	}
}

// unwanted says that this node should not answer for the address.
func (e *Elector) unwanted(a *address) bool {
	return e.standing != announce.Fit || !a.place.Has(e.me)
}

// write is the one that an address needs.
func (e *Elector) write(now time.Time, a *address) (w Write, ok bool) {
	if a.claim.Holder == e.me {
		return e.writeOwn(now, a)
	}
	return e.take(now, a)
}

func (e *Elector) writeOwn(now time.Time, a *address) (w Write, ok bool) {
	if e.unwanted(a) {
		heir := e.heir(now, a)
		switch {
		case heir != "":
			a.phase = retiring
			a.until = now.Add(handOver)
			return Write{Kind: Transfer, Holder: heir}, true
		case e.unable(a):
			a.phase = retiring
			a.until = now.Add(handOver)
			return Write{Kind: Release}, true
		}
	}
	if e.fresh() && (a.phase == held || a.contested && !now.Before(a.quietUntil)) {
		return Write{Kind: Confirm, Holder: e.me}, true
	}
	return w, false
}

// heir is the node to give an address to: the first that is more wanted.
func (e *Elector) heir(now time.Time, a *address) string {
	least := announce.LastResort
	if e.standing != announce.Unfit && a.place.Has(e.me) {
		least = e.standing + 1
	}
	var others []announce.Node
	for _, n := range e.speakers(now) {
		if n.Standing >= least {
			others = append(others, n)
		}
	}
	if names := announce.Candidates(a.claim.Addr, a.place, others); len(names) > 0 {
		return names[0]
	}
	return ""
}

// take asks for an address whose holder is silent, if it is this node's turn.
func (e *Elector) take(now time.Time, a *address) (w Write, ok bool) {
	suspect, vacant := e.vacant(now, a.claim.Holder)
	if !vacant {
		a.vacant = time.Time{}
		return w, false
	}
	if a.vacant.IsZero() {
		a.vacant = now
	}
	if !e.fresh() || now.Sub(e.freshSince) < e.settle || !e.turn(now, a) {
		return w, false
	}
	return Write{Kind: Take, Holder: e.me, Suspect: suspect}, true
}

// turn says whether it is this node's turn to take what is vacant: those that
// announce.Candidates names before it may be unable to, and each gets some time.
func (e *Elector) turn(now time.Time, a *address) bool {
	if e.unable(a) {
		return false
	}
	patience := now.Sub(a.vacant)
	for _, n := range e.speakers(now) {
		switch {
		case n.Standing < e.standing || !a.place.Has(n.Name):
		case n.Standing > e.standing:
			return false
		case announce.Compare(a.addr, n.Name, e.me) < 0:
			if patience -= Silence; patience < 0 {
				return false
			}
		}
	}
	return true
}

// unable says that this node can not answer for the address at all.
func (e *Elector) unable(a *address) bool {
	return e.standing == announce.Unfit || !a.place.Has(e.me)
}

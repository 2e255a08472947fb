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

// ClaimWrite is what is to be done with the record of a claim.
type ClaimWrite string

// The ways to write a claim.
const (
	ClaimIsRight ClaimWrite = ""
	ClaimRead    ClaimWrite = "read"
	ClaimCreate  ClaimWrite = "create"
	ClaimChange  ClaimWrite = "change"
	ClaimDelete  ClaimWrite = "delete"
	// ClaimLabel writes the label of one that nobody can read, and nothing else.
	ClaimLabel ClaimWrite = "label"
)

// ClaimStep is what is to be written next of one claim.
type ClaimStep struct {
	Claim
	Write ClaimWrite
	// Version is that of the record that is changed or deleted, which holds for
	// no other.
	Version string
	// Seen goes with the answer to a read.
	Seen  uint64
	begun uint64
}

// claimRecord is the record of a claim as it was last read or written.
type claimRecord struct {
	version   string // empty where there is none
	holders   []Holder
	leaving   []Holder
	illegible bool
	// unlabelled claims are written again, holders and all.
	unlabelled bool
	doubtful   bool
	// It became so, at the latest, when it was seen, and was so at some time after
	// that was asked for: a read or a write takes its time.
	seen, asked uint64
	wrote       []Holder // by a step of which nobody knows whether it was made
	// noticed is the version for which it is doubtful, if it is for one.
	noticed *string
}

func (r *claimRecord) has(key types.NamespacedName, uid types.UID) bool {
	return r != nil && !r.doubtful && !r.illegible && holds(r.holders, key, uid)
}

// isStill reports whether a claim that is known says the same as it is read now.
func (r *claimRecord) isStill(now Record) bool {
	known := r.version != "" && !r.doubtful
	there := now.Version != "" && !now.Illegible && !now.Unlabelled
	return known && there && r.says(Claim{Holders: now.Holders, Leaving: now.Leaving})
}

func (r *claimRecord) says(claim Claim) bool {
	return slices.Equal(r.holders, claim.Holders) && slices.Equal(r.leaving, claim.Leaving)
}

func holds(holders []Holder, key types.NamespacedName, uid types.UID) bool {
	return slices.ContainsFunc(holders, func(h Holder) bool { return h.Service == key && h.UID == uid })
}

// Record is a claim as it is read.
type Record struct {
	// Version is empty where there is no claim.
	Version          string
	Holders, Leaving []Holder
	// Illegible is true if nobody can tell who holds the address.
	Illegible bool
	// Unlabelled is true of one that who watches claims does not see.
	Unlabelled bool
}

func (r Record) claim(asked, seen uint64) *claimRecord {
	return &claimRecord{
		version: r.Version, holders: r.Holders, leaving: r.Leaving, illegible: r.Illegible, unlabelled: r.Unlabelled, asked: asked, seen: seen,
	}
}

// NextClaim is what is to be done about an address.
func (l *Ledger) NextClaim(addr netip.Addr) ClaimStep {
	record := l.record(addr)
	step := ClaimStep{Claim: Claim{Addr: addr}, Version: record.version, Seen: record.seen, begun: l.learnt}
	switch {
	case l.stale:
		return step
	case record.doubtful:
		step.Write = ClaimRead
		return step
	}
	step.Holders = l.book.holdersOf(addr)
	step.Leaving = l.leaving(record, step.Holders)
	if len(step.Leaving) > 0 || l.blocked(addr, step.Holders) {
		step.Holders = slices.DeleteFunc(step.Holders, func(h Holder) bool { return !holds(record.holders, h.Service, h.UID) })
	}
	exists, wanted := record.version != "", len(step.Holders)+len(step.Leaving) > 0
	switch {
	case !exists && wanted:
		step.Write = ClaimCreate
	case exists && !wanted && !record.illegible:
		step.Write = ClaimDelete
	case exists && wanted && (record.illegible || record.unlabelled || !record.says(step.Claim)):
		step.Write = ClaimChange
	case exists && record.illegible && record.unlabelled:
		step.Write = ClaimLabel // so that it is seen when somebody mends it
	}
	return step
}

// blocked reports whether somebody else has the address in its status.
func (l *Ledger) blocked(addr netip.Addr, holders []Holder) bool {
	for key := range l.showing[addr] {
		if !holds(holders, key, l.shows[key].UID) {
			return true
		}
	}
	return false
}

func (l *Ledger) record(addr netip.Addr) *claimRecord {
	if l.claims[addr] == nil {
		return &claimRecord{asked: l.loaded}
	}
	return l.claims[addr]
}

// isAbsent is true of what is known of an address that has no claim.
func (r *claimRecord) isAbsent() bool { return r.version == "" && !r.doubtful }

// forgetAbsent leaves out when an address that has no claim was asked for. It is for
// the Services that show it.
func (l *Ledger) forgetAbsent(addr netip.Addr) {
	if record := l.claims[addr]; record != nil && record.isAbsent() {
		delete(l.claims, addr)
	}
}

// Holders are those that a claim is known to have.
func (l *Ledger) Holders(addr netip.Addr) []Holder { return l.record(addr).holders }

// WroteClaim takes in that a step was made.
func (l *Ledger) WroteClaim(step ClaimStep, version string) {
	old := l.record(step.Addr)
	if old.version != "" && version != "" && isOlder(version, old.version) {
		return
	}
	now := &claimRecord{asked: step.begun, seen: l.tick()}
	if step.Write != ClaimDelete {
		now.version, now.holders, now.leaving = version, step.Holders, step.Leaving
		now.illegible = step.Write == ClaimLabel
	}
	// A watch may tell of a write before its answer comes, and of the next one, too.
	now.doubtful = old.noticed != nil && *old.noticed != now.version
	l.keep(step.Addr, now)
}

// ProveClaim is the step that reads a claim because of a status that is to be written.
func (l *Ledger) ProveClaim(addr netip.Addr) ClaimStep {
	l.DoubtClaim(addr, l.record(addr).wrote)
	return l.NextClaim(addr)
}

// DoubtClaim says that a claim has to be read: a step of it came to nothing or
// nobody knows to what, or somebody has written it.
func (l *Ledger) DoubtClaim(addr netip.Addr, wrote []Holder) {
	doubtful := *l.record(addr)
	doubtful.doubtful, doubtful.wrote = true, wrote
	l.keep(addr, &doubtful)
}

// SawClaim takes in what is read for a step, and reports whether somebody else has
// changed who holds the address: then nothing is to be written before LoadClaims.
// It is nothing if the claim has been written since.
func (l *Ledger) SawClaim(step ClaimStep, read Record) (foreign bool) {
	old := l.record(step.Addr)
	if old.seen != step.Seen {
		return false
	}
	known := slices.Equal(read.Holders, old.holders) || old.wrote != nil && slices.Equal(read.Holders, old.wrote)
	l.keep(step.Addr, read.claim(step.begun, l.tick()))
	foreign = !known && !read.Illegible
	l.stale = l.stale || foreign
	return foreign
}

// Noticed takes in that a claim has another version, without its being read for
// a step. It reports whether it has to be.
func (l *Ledger) Noticed(addr netip.Addr, now Record) bool {
	old := l.record(addr)
	switch {
	case now.Version == old.version, now.Version != "" && old.version != "" && isOlder(now.Version, old.version):
		return false
	case old.isStill(now):
		old.version = now.Version // whoever announces the address writes there as well
		return false
	}
	l.DoubtClaim(addr, old.wrote)
	l.claims[addr].noticed = &now.Version
	return true
}

// LoadClaims takes in all claims that there are.
func (l *Ledger) LoadClaims(records map[netip.Addr]Record) {
	l.stale = false
	clear(l.claims)
	l.leavers, l.loaded = newLeavers(), l.learnt
	for addr, read := range records {
		l.keep(addr, read.claim(l.loaded, l.tick()))
	}
}

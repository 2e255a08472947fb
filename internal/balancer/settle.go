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
	"maps"
	"net/netip"
	"slices"
)

// Settle serves whoever waits, and says what is to be written since the last time.
func (b *Book) Settle() Outcome {
	round := b.whoWaits(b.dirty)
	for ; len(round) > 0; round = b.whoWaits(nil) {
		b.freed = gains{pools: map[int]bool{}}
		for _, e := range slices.SortedFunc(maps.Keys(round), byAge) {
			b.serve(e)
		}
	}
	return Outcome{Decisions: b.decisions(), Claims: b.changedClaims()}
}

// whoWaits are those of these Services that are ours to serve, and who waits and
// may gain from what is free and was not.
func (b *Book) whoWaits(these map[*entry]bool) map[*entry]bool {
	all := map[*entry]bool{}
	maps.Copy(all, these)
	for e := range b.waiting {
		if !all[e] && b.mayGain(e) {
			all[e] = true
		}
	}
	maps.DeleteFunc(all, func(e *entry, _ bool) bool { return !e.Served })
	return all
}

// decisions are those that are not told yet.
func (b *Book) decisions() []Decision {
	var all []Decision
	for _, e := range slices.SortedFunc(maps.Keys(b.dirty), byAge) {
		d := Decision{Service: e.Key, UID: e.UID}
		if e.Served {
			d = e.verdict
		}
		for _, loss := range e.lost {
			if !slices.Contains(d.Addrs, loss.Addr) {
				d.Lost = append(d.Lost, loss)
			}
		}
		slices.SortFunc(d.Lost, func(a, b Loss) int { return a.Addr.Compare(b.Addr) })
		e.lost = nil
		if told := e.told; told == nil || !d.equal(*told) {
			all = append(all, d)
		}
		if d.Lost = nil; !e.Served {
			b.drop(e)
		}
		e.told = &d
	}
	clear(b.dirty)
	slices.SortStableFunc(all, func(a, b Decision) int { return compareBool(len(a.Lost) == 0, len(b.Lost) == 0) })
	return all
}

// changedClaims are those that are not as they were recorded.
func (b *Book) changedClaims() []Claim {
	var all []Claim
	for _, addr := range slices.SortedFunc(maps.Keys(b.touched), netip.Addr.Compare) {
		now := b.holdersOf(addr)
		if slices.Equal(now, b.recorded[addr]) {
			continue
		}
		if all = append(all, Claim{Addr: addr, Holders: now}); len(now) == 0 {
			delete(b.recorded, addr)
			continue
		}
		b.recorded[addr] = now
	}
	clear(b.touched)
	return all
}

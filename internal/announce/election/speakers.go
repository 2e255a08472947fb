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

// How many nodes are kept ready for an address: renewing a record costs the API
// server a write each second, so not all of a large cluster do.
const (
	// keptReady is for all addresses that any node can answer for.
	keptReady = 16
	// keptReadyLocal is for each that only some can.
	keptReadyLocal = 3
)

func (r *record) silent(now time.Time) bool { return r.Gone || now.Sub(r.seen) >= Silence }

// speakers are the other nodes that are there. It is asked for each address.
func (e *Elector) speakers(now time.Time) []announce.Node {
	if now.Equal(e.othersAt) {
		return e.others
	}
	e.others, e.othersAt = e.others[:0], now
	for name, r := range e.records {
		if r.Version > 0 && !r.silent(now) {
			e.others = append(e.others, announce.Node{Name: name, Standing: r.Standing})
		}
	}
	return e.others
}

// vacant says whether the holder of an address is not there, and by which record.
func (e *Elector) vacant(now time.Time, holder string) (suspect Record, vacant bool) {
	if holder == "" {
		return suspect, true
	}
	r := e.records[holder]
	if r == nil {
		e.DropRecord(now, holder)
		r = e.records[holder]
	}
	return r.Record, r.silent(now)
}

// isNeeded says whether too few of those that rank before this node are there
// for one of the addresses that it could answer for.
func (e *Elector) isNeeded(now time.Time) bool {
	if e.standing == announce.Unfit {
		return false
	}
	others := e.speakers(now)
	anywhere := false
	for addr, a := range e.addresses {
		switch {
		case !a.claimed || !a.place.Has(e.me):
		case a.place.Anywhere():
			anywhere = true
		case e.rank(addr, a.place, others) < keptReadyLocal:
			return true
		}
	}
	// One order for all of them, or each would keep others ready.
	return anywhere && e.rank(netip.Addr{}, announce.PlaceOf([]announce.Service{{}}), others) < keptReady
}

func (e *Elector) rank(addr netip.Addr, place announce.Place, others []announce.Node) int {
	before := 0
	for _, n := range others {
		if n.Standing >= e.standing && place.Has(n.Name) && announce.Compare(addr, n.Name, e.me) < 0 {
			before++
		}
	}
	return before
}

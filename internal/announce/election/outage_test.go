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
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"switchyard.dev/switchyard/internal/announce"
)

// Who comes back first from an outage of all must not take what the others have:
// their renewals may come a little later.
func TestTheFirstToComeBackTakesNothing(t *testing.T) {
	s := begin(t, "other")
	s.SetRecord(at(0), Record{Node: "other", Version: 5, Standing: announce.Fit})
	const back = 21.0
	for now := back; now < back+4; now += 0.5 {
		s.Renewed(at(now), at(now))
		if writes := s.Next(at(now)); len(writes) > 0 {
			t.Fatalf("%v s after it is back it writes %+v", now-back, writes)
		}
	}
	s.SetRecord(at(back+4), Record{Node: "other", Version: 6, Standing: announce.Fit})
	s.renewedUntil(back+4, back+5.5)
	if writes := s.Next(at(back + 5.5)); len(writes) > 0 {
		t.Fatalf("it writes %+v, and the owner is there", writes)
	}
	s.renewedUntil(back+6, back+10)
	if w := s.only(back + 10); w.Kind != Take {
		t.Errorf("it writes %+v: the owner did not come back again", w)
	}
}

// Even after a short one each has the whole time for its next renewal.
func TestASilenceAcrossALapseIsNone(t *testing.T) {
	s := begin(t, "other")
	s.SetRecord(at(0), Record{Node: "other", Version: 5, Standing: announce.Fit})
	s.renewedUntil(1.9, 3.8) // it has lapsed at 1.5 s
	if writes := s.Next(at(3.8)); len(writes) > 0 {
		t.Errorf("it writes %+v", writes)
	}
	s.renewedUntil(3.9, 3.9)
	s.only(3.9)
}

// What is taken by a write that others see after they have seen that this node is
// gone would be taken again at once.
func TestWhoTakesIsNotGone(t *testing.T) {
	s := begin(t, "")
	s.renewedUntil(0, 0.6)
	w := s.only(0.6)
	s.SetPlace(vip, announce.Place{}) // not needed any more
	if !s.Speaking(at(0.7)) {
		t.Fatal("it says that it is gone while it takes an address")
	}
	s.Wrote(at(0.8), w, Refused, 0)
	if s.Speaking(at(0.8)) {
		t.Error("it is there for nothing")
	}
}

func TestWhoIsGoneTrustsNothing(t *testing.T) {
	s := owned(t)
	s.Quit()
	s.want(0.3, false, true)
	s.Renewed(at(0.4), at(0.4))
	if w := s.only(0.4); w.Kind != Confirm {
		t.Errorf("it writes %+v", w)
	}
}

// It may be refused for ever by what it does not see.
func TestWhatIsRefusedIsNotRepeatedAtOnce(t *testing.T) {
	s := begin(t, "me")
	s.Wrote(at(0.2), s.only(0.1), Refused, 0)
	if writes := s.Next(at(0.3)); len(writes) > 0 {
		t.Errorf("it writes %+v", writes)
	}
	s.only(0.5)
}

func TestNewsCountsAtOnce(t *testing.T) {
	s := owned(t)
	s.SetStanding(announce.LastResort)
	if writes := s.Next(at(0.4)); len(writes) > 0 {
		t.Fatalf("it writes %+v", writes)
	}
	s.SetRecord(at(0.4), Record{Node: "other", Version: 5, Standing: announce.Fit})
	if w := s.only(0.4); w.Holder != "other" {
		t.Errorf("it writes %+v", w)
	}
}

func TestAddressesAreInOrder(t *testing.T) {
	s := New("me")
	random := rand.New(rand.NewPCG(1, 1))
	want := map[netip.Addr]struct{}{}
	for range 500 {
		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(random.IntN(100))})
		if random.IntN(3) == 0 {
			s.DropClaim(addr)
			delete(want, addr)
			continue
		}
		s.of(addr).answering = true
		want[addr] = struct{}{}
	}
	got := s.Answering()
	if len(got) != len(want) || !slices.IsSortedFunc(got, netip.Addr.Compare) {
		t.Errorf("it answers for %d addresses, %v, want %d", len(got), got, len(want))
	}
}

// The turn is that of announce.Candidates.
func TestTurns(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	for range 500 {
		s := New("me")
		s.SetStanding(announce.Standing(random.IntN(3)))
		nodes := []announce.Node{{Name: "me", Standing: s.standing}}
		for i := range random.IntN(5) {
			n := announce.Node{Name: fmt.Sprint("node-", i), Standing: announce.Standing(random.IntN(3))}
			nodes = append(nodes, n)
			s.SetRecord(at(0), Record{Node: n.Name, Version: 1, Standing: n.Standing})
		}
		local := announce.Service{Local: random.IntN(2) > 0, Nodes: map[string]struct{}{}}
		for _, n := range nodes {
			if random.IntN(3) > 0 {
				local.Nodes[n.Name] = struct{}{}
			}
		}
		place := announce.PlaceOf([]announce.Service{local})
		s.SetPlace(vip, place)
		waited := random.IntN(5)
		a := s.of(vip)
		a.vacant = at(1).Add(-time.Duration(waited) * Silence)
		mine := slices.Index(announce.Candidates(vip, place, nodes), "me")
		if got, want := s.turn(at(1), a), mine >= 0 && mine <= waited; got != want {
			t.Fatalf("of %v at %+v it is its turn after %d times Silence: %v, want %v", nodes, local, waited, got, want)
		}
	}
}

// A node looks at all addresses ten times a second.
func BenchmarkNext(b *testing.B) {
	for name, vacant := range map[string]bool{"calm": false, "vacant": true} {
		b.Run(name, func(b *testing.B) {
			e := New("me")
			e.SetStanding(announce.Fit)
			for i := range 10_000 {
				addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
				e.SetPlace(addr, anywhere)
				e.SetClaim(at(0), Claim{Addr: addr, Version: uint64(i + 1), Holder: "node-3"})
			}
			for i := range 16 {
				e.SetRecord(at(0), Record{Node: fmt.Sprint("node-", i), Version: uint64(20_000 + i), Standing: announce.Fit, Gone: vacant && i == 3})
			}
			e.Renewed(at(0), at(0))
			e.freshSince, e.underWay = at(-60), atOnce-1
			for b.Loop() {
				e.Next(at(0.1))
				e.Answering()
				e.Speaking(at(0.1))
				e.underWay = 0
			}
		})
	}
}

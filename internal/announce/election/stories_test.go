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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/announce"
)

var (
	vip      = netip.MustParseAddr("192.0.2.0")
	anywhere = announce.PlaceOf([]announce.Service{{}})
)

// story is one node, told by hand; its times are since the beginning.
type story struct {
	*testing.T
	*Elector
}

func at(seconds float64) time.Time {
	return time.Unix(100, 0).Add(time.Duration(seconds * float64(time.Second)))
}

// begin is node "me", which has renewed its record, and an address that is held by holder.
func begin(t *testing.T, holder string) story {
	s := story{t, New("me")}
	s.SetStanding(announce.Fit)
	s.SetPlace(vip, anywhere)
	s.SetClaim(at(0), Claim{Addr: vip, Version: 10, Holder: holder, Term: 4})
	s.Renewed(at(0), at(0))
	return s
}

// renewedUntil goes on as usual.
func (s story) renewedUntil(from, to float64) {
	for ; from <= to; from += 0.5 {
		s.Renewed(at(from), at(from))
	}
}

func (s story) only(now float64) Write {
	s.Helper()
	writes := s.Next(at(now))
	if len(writes) != 1 {
		s.Fatalf("at %v s it writes %+v, want one write", now, writes)
	}
	return writes[0]
}

// owned is begin for an owner, by a claim of version 20.
func owned(t *testing.T) story {
	s := begin(t, "me")
	if w := s.only(0.1); w.Kind != Confirm || w.Term != 4 {
		t.Fatalf("it begins with %+v, want a confirmation of the same term", w)
	} else if !s.Wrote(at(0.2), w, Written, 20) {
		t.Fatal("what it answers for anew is not announced")
	}
	s.want(0.2, true, true)
	return s
}

func (s story) want(now float64, owns, answers bool) {
	s.Helper()
	if got := s.Owns(at(now), vip); got != owns {
		s.Errorf("at %v s: it is owner: %v, want %v", now, got, owns)
	}
	if got := slices.Contains(s.Answering(), vip); got != answers {
		s.Errorf("at %v s: it answers: %v, want %v", now, got, answers)
	}
}

func TestSilentHolderLosesItsAddresses(t *testing.T) {
	s := begin(t, "other")
	s.SetRecord(at(0), Record{Node: "other", Version: 5, Standing: announce.Fit})
	s.renewedUntil(0, 1.9)
	if writes := s.Next(at(1.9)); len(writes) > 0 {
		t.Fatalf("it writes %+v before its time", writes)
	}
	s.renewedUntil(2, 2)
	want := Write{Kind: Take, Addr: vip, Version: 10, Holder: "me", Term: 5, Suspect: Record{Node: "other", Version: 5, Standing: announce.Fit}, Known: at(0)}
	w := s.only(2)
	if diff := cmp.Diff(want, w, cmp.AllowUnexported(Write{}), cmp.FilterPath(isInner, cmp.Ignore()), compareAddr); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !s.Wrote(at(2.1), w, Written, 20) {
		t.Error("it is not announced")
	}
	s.want(2.1, true, true)
}

var compareAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func isInner(p cmp.Path) bool { return p.Last().String() == ".run" || p.Last().String() == ".number" }

func TestWhoSaysThatItIsGoneLosesThemAtOnce(t *testing.T) {
	s := begin(t, "other")
	s.SetRecord(at(0.8), Record{Node: "other", Version: 5, Gone: true})
	if w := s.only(0.8); w.Kind != Take || w.Suspect.Version != 5 {
		t.Errorf("it writes %+v", w)
	}
}

func TestARecordThatIsDeletedMayComeBack(t *testing.T) {
	s := begin(t, "other")
	s.SetRecord(at(0.5), Record{Node: "other", Version: 5, Standing: announce.Fit})
	s.renewedUntil(0, 2)
	s.DropRecord(at(1), "other")
	if writes := s.Next(at(2)); len(writes) > 0 {
		t.Fatalf("it writes %+v before its time", writes)
	}
	s.SetRecord(at(2), Record{Node: "other", Version: 6, Standing: announce.Fit})
	s.renewedUntil(2, 3.5)
	if writes := s.Next(at(3.5)); len(writes) > 0 {
		t.Errorf("it writes %+v", writes)
	}
}

func TestWithoutAPIServerAnOwnerGoesOn(t *testing.T) {
	s := owned(t)
	s.want(1.4, true, true)
	s.want(1.5, false, true)
	s.want(1000, false, true)
	if writes := s.Next(at(1000)); len(writes) > 0 {
		t.Errorf("it writes %+v and can not renew its record", writes)
	}
}

func TestAStaleOwnerYieldsAtOnce(t *testing.T) {
	s := owned(t)
	s.Heard(at(2), vip)
	s.want(2, false, false)
	s.renewedUntil(2.5, 2.5)
	w := s.only(2.5)
	if w.Kind != Confirm || s.Wrote(at(2.6), w, Refused, 0) {
		t.Errorf("it writes %+v", w)
	}
	s.want(2.6, false, false)
	s.SetClaim(at(2.7), Claim{Addr: vip, Version: 30, Holder: "other", Term: 5})
	s.want(2.7, false, false)
}

func TestAFreshOwnerAnnouncesAgain(t *testing.T) {
	s := owned(t)
	s.renewedUntil(0.5, 1.5)
	s.Heard(at(1.5), vip)
	s.want(1.5, true, true)
	w := s.only(1.5)
	if w.Kind != Confirm || !s.Wrote(at(1.6), w, Written, 21) {
		t.Error("it does not announce the address")
	}
	s.Heard(at(1.7), vip)
	if writes := s.Next(at(1.7)); len(writes) > 0 {
		t.Errorf("it writes %+v: somebody may announce ever so often", writes)
	}
}

// Who had the address before may have heard nothing of the first announcements, and
// what it answers meanwhile only clients hear.
func TestANewPlaceIsAnnouncedForAMinute(t *testing.T) {
	s := owned(t)
	s.renewedUntil(0.5, 10)
	if due := s.Reminders(at(10)); len(due) > 0 {
		t.Errorf("after 10 s %v are announced again, and it has been 9.8 s", due)
	}
	if due := s.Reminders(at(10.3)); !slices.Equal(due, []netip.Addr{vip}) {
		t.Errorf("after 10 s %v are announced again", due)
	}
	if due := s.Reminders(at(10.4)); len(due) > 0 {
		t.Errorf("at once, %v are announced again", due)
	}
	if due := s.Reminders(at(25)); len(due) > 0 {
		t.Errorf("%v are announced by who has lapsed, and may be another's", due)
	}
	s.Renewed(at(25), at(25))
	if w := s.only(25); s.Wrote(at(25.1), w, Written, 21) {
		t.Error("what it has confirmed only is announced as if it were new")
	}
	times := 0
	for now := 25.5; now < 200; now += 0.5 {
		s.Renewed(at(now), at(now))
		times += len(s.Reminders(at(now)))
	}
	if times != 5 {
		t.Errorf("it is announced %d times more, want 5", times)
	}
}

// It may be right about the claim and be late to hear so.
func TestAnOwnerThatIsContestedAndLapsesYields(t *testing.T) {
	s := owned(t)
	s.Heard(at(1.3), vip)
	s.Wrote(at(1.4), s.only(1.3), Unknown, 0)
	s.want(1.4, true, true)
	s.want(1.6, false, false)
}

func TestAWriteAcrossAGapMakesNoOwner(t *testing.T) {
	s := begin(t, "")
	s.renewedUntil(0, 0.6)
	w := s.only(0.6)
	s.Renewed(at(5), at(5)) // the record had lapsed while the write was under way
	if s.Wrote(at(5.1), w, Written, 20) {
		t.Error("it announces what others may have taken")
	}
	s.want(5.1, false, false)
	if w := s.only(5.2); w.Kind != Confirm {
		t.Errorf("it writes %+v", w)
	}
}

func TestALateViewOfAClaimChangesNothing(t *testing.T) {
	s := owned(t)
	s.SetClaim(at(0.3), Claim{Addr: vip, Version: 15, Holder: "other", Term: 3})
	s.want(0.3, true, true)
	s.SetClaim(at(0.4), Claim{Addr: vip, Version: 22, Holder: "other", Term: 5})
	s.want(0.4, false, false)
}

func TestAPlannedMove(t *testing.T) {
	for name, reason := range map[string]func(story){
		"the node is excluded":  func(s story) { s.SetStanding(announce.Unfit) },
		"the node is not ready": func(s story) { s.SetStanding(announce.LastResort) },
		"its endpoint is gone": func(s story) {
			s.SetPlace(vip, announce.PlaceOf([]announce.Service{{Local: true, Nodes: map[string]struct{}{"other": {}}}}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := owned(t)
			s.SetRecord(at(0.3), Record{Node: "other", Version: 5, Standing: announce.Fit})
			s.SetRecord(at(0.3), Record{Node: "another", Version: 6, Standing: announce.LastResort})
			reason(s)
			w := s.only(0.4)
			if w.Kind != Transfer || w.Holder != "other" || w.Term != 5 {
				t.Fatalf("it writes %+v", w)
			}
			s.want(0.4, false, true) // no owner from before the write is sent
			s.Wrote(at(0.5), w, Written, 21)
			s.want(0.6, false, true)
			s.Heard(at(0.7), vip)
			s.want(0.7, false, false)
		})
	}
}

func TestAPlannedMoveThatIsNotHeard(t *testing.T) {
	s := owned(t)
	s.SetRecord(at(0.3), Record{Node: "other", Version: 5, Standing: announce.Fit})
	s.SetStanding(announce.Unfit)
	s.Wrote(at(0.5), s.only(0.4), Written, 21)
	s.Next(at(3.4))
	s.want(3.4, false, true)
	s.Next(at(3.5))
	s.want(3.5, false, false)
}

func TestNobodyElseToGiveItTo(t *testing.T) {
	for name, c := range map[string]struct {
		standing announce.Standing
		place    announce.Place
		kept     bool
	}{
		"excluded":         {announce.Unfit, anywhere, false},
		"no endpoint":      {announce.Fit, announce.Place{}, false},
		"only not ready":   {announce.LastResort, anywhere, true},
		"all as it should": {announce.Fit, anywhere, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := owned(t)
			s.SetStanding(c.standing)
			s.SetPlace(vip, c.place)
			writes := s.Next(at(0.4))
			if c.kept {
				if len(writes) > 0 {
					t.Errorf("it writes %+v", writes)
				}
				return
			}
			if len(writes) != 1 || writes[0].Kind != Release || writes[0].Holder != "" {
				t.Fatalf("it writes %+v", writes)
			}
			s.Wrote(at(0.5), writes[0], Written, 21)
			s.want(0.5, false, false)
		})
	}
}

// Who ranks before may be unable to write.
func TestTheNextInTurnHasPatience(t *testing.T) {
	order := []string{"a", "b", "c"}
	announce.Rank(vip, order)
	s := story{t, New(order[1])}
	s.SetStanding(announce.Fit)
	s.SetPlace(vip, anywhere)
	s.SetClaim(at(0), Claim{Addr: vip, Version: 10})
	took := 0.0
	for now := 0.0; now < 5 && took == 0; now += 0.1 {
		s.Renewed(at(now), at(now))
		for i, other := range []string{order[0], order[2]} {
			s.SetRecord(at(now), Record{Node: other, Version: uint64(now*100) + uint64(i) + 1, Standing: announce.Fit})
		}
		if len(s.Next(at(now))) > 0 {
			took = now
		}
	}
	if took < 1.9 || took > 2.2 {
		t.Errorf("the second in turn tries at %v s, want it at 2 s", took)
	}
}

func TestOnlySoManyAreKeptReady(t *testing.T) {
	w := newWorld(t, 7, 40, 3)
	w.calm = true
	w.places[vip] = []announce.Service{{Local: true, Nodes: map[string]struct{}{}}}
	for _, n := range w.nodes[10:20] {
		w.places[vip][0].Nodes[n.name] = struct{}{}
	}
	w.publish(func(n *node) { n.elector.SetPlace(vip, announce.PlaceOf(w.places[vip])) })
	w.run(20 * time.Second)
	w.settled()
	speaking := 0
	for _, n := range w.nodes {
		if n.elector.Speaking(w.clock(n)) {
			speaking++
		}
	}
	if most := keptReady + keptReadyLocal + len(w.claims); speaking < keptReady || speaking > most {
		t.Errorf("%d of 40 nodes renew records, want %d to %d", speaking, keptReady, most)
	}
}

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
	"fmt"
	"net/netip"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
)

// office is a Ledger of a world at rest, in which each Service shows what it has.
func office(world World) *Ledger {
	ledger := NewLedger(Open(world))
	records := map[netip.Addr]Record{}
	for i, service := range world.Services {
		ledger.SawService(Sight{Key: service.Key, UID: service.UID, Version: fmt.Sprint(10 + i), Served: service.Served, Addrs: service.Status,
			Condition: conditionOf(Decision{Satisfied: true, Reason: ReasonAssigned}, 0)})
	}
	for i, c := range world.Claims {
		records[c.Addr] = Record{Version: fmt.Sprint(100 + i), Holders: c.Holders}
	}
	ledger.LoadClaims(records)
	ledger.book.Settle()
	return ledger
}

func stepOf(ledger *Ledger, addr string) string {
	step := ledger.NextClaim(netip.MustParseAddr(addr))
	if step.Write == ClaimIsRight {
		return ""
	}
	text := strings.TrimSpace(fmt.Sprint(step.Write, " ", namesOf(step.Holders)))
	if len(step.Leaving) > 0 {
		text += ", leaving " + namesOf(step.Leaving)
	}
	return text
}

func namesOf(holders []Holder) string {
	var names []string
	for _, holder := range holders {
		names = append(names, holder.Service.Name)
	}
	return strings.Join(names, ",")
}

func statusOf(ledger *Ledger, name string) string {
	step, needed := ledger.NextStatus(types.NamespacedName{Namespace: "default", Name: name})
	if !needed {
		return "right"
	}
	if step.Look {
		return "look"
	}
	text := fmt.Sprint(step.Addrs)
	if step.Touch {
		text = "touch " + text
	}
	if step.Condition != nil {
		text += " " + step.Condition.Reason
	}
	if len(step.Unproved) > 0 {
		text += fmt.Sprint(" unproved ", step.Unproved)
	}
	return text
}

func (l *Ledger) wrote(t *testing.T, addr string) {
	t.Helper()
	step := l.NextClaim(netip.MustParseAddr(addr))
	if step.Write == ClaimIsRight || step.Write == ClaimRead {
		t.Fatalf("%s: nothing is to be written: %+v", addr, step)
	}
	l.WroteClaim(step, "1000")
}

func TestAnAddressIsClaimedBeforeItIsShown(t *testing.T) {
	a := svc("a")
	ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}})
	ledger.SawService(Sight{Key: a.Key, UID: a.UID, Version: "10", Served: true})
	ledger.book.Observe(a)
	ledger.book.Settle()
	expect(t, "before the claim", statusOf(ledger, "a"), "right")
	expect(t, "the claim", stepOf(ledger, "192.0.2.1"), "create a")
	ledger.wrote(t, "192.0.2.1")
	expect(t, "after the claim", statusOf(ledger, "a"), "[192.0.2.1] AddressAssigned")

	ledger.SawService(Sight{Key: a.Key, UID: a.UID, Version: "11", Served: true})
	expect(t, "once the Service has changed", statusOf(ledger, "a"), "[192.0.2.1] AddressAssigned unproved [192.0.2.1]")
	ledger.DoubtClaim(netip.MustParseAddr("192.0.2.1"), nil)
	read := ledger.NextClaim(netip.MustParseAddr("192.0.2.1"))
	if foreign := ledger.SawClaim(read, Record{Version: "1000", Holders: ledger.book.holdersOf(read.Addr)}); foreign {
		t.Error("what is as it was is somebody else's")
	}
	expect(t, "once it is read", statusOf(ledger, "a"), "[192.0.2.1] AddressAssigned")
	ledger.SawService(Sight{Key: a.Key, UID: a.UID, Version: "9", Served: false})
	expect(t, "after an older version", statusOf(ledger, "a"), "[192.0.2.1] AddressAssigned")
}

// TestWhatTheAPIServerHasIsRight, also if it was restored from a backup.
func TestWhatTheAPIServerHasIsRight(t *testing.T) {
	a := svc("a")
	ledger := office(World{Services: []Service{a}})
	sight := func(version string) Sight { return Sight{Key: a.Key, UID: a.UID, Version: version, Served: true} }
	ledger.SawService(sight("20"))
	if ledger.SawService(sight("5")) {
		t.Error("what a watch tells too late is news")
	}
	ledger.Read(a.Key, "19")
	if ledger.SawService(sight("5")) {
		t.Error("what was read before the last news is news")
	}
	ledger.Read(a.Key, "20")
	if !ledger.SawService(sight("5")) || ledger.SawService(sight("4")) {
		t.Error("what was read is no news, or all that is older is")
	}
	ledger.ReadAll()
	if !ledger.SawService(sight("3")) {
		t.Error("what was listed is no news")
	}
}

func TestAnAddressIsGivenOnlyWhenNobodyElseShowsIt(t *testing.T) {
	a, b := svc("a", status("192.0.2.1")), svc("b", wish("192.0.2.1"))
	ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a, b}, Claims: []Claim{claim("192.0.2.1", a)}})
	ledger.book.SetPools([]allocator.AddrPool{pool("p", "192.0.2.1", forServices("name", "b"))})
	ledger.book.Settle()
	expect(t, "the claim of what is shown", stepOf(ledger, "192.0.2.1"), "change, leaving a")
	expect(t, "who has lost it, before", statusOf(ledger, "a"), "right")
	ledger.wrote(t, "192.0.2.1")
	expect(t, "who has lost it", statusOf(ledger, "a"), "[] NoPool")
	expect(t, "the claim while it is shown", stepOf(ledger, "192.0.2.1"), "")
	expect(t, "who is to have it is told", statusOf(ledger, "b"), "[] AddressBeingClaimed")
	told, _ := ledger.NextStatus(b.Key)
	ledger.WroteService(told, Sight{Key: b.Key, UID: b.UID, Version: "40", Served: true, Condition: told.Condition})
	expect(t, "once", statusOf(ledger, "b"), "right")
	step, _ := ledger.NextStatus(a.Key)
	ledger.DoubtService(step)
	expect(t, "the claim while that is not certain", stepOf(ledger, "192.0.2.1"), "")
	ledger.WroteService(step, Sight{Key: a.Key, UID: a.UID, Version: "50", Served: true, Condition: step.Condition})
	expect(t, "what is free", fmt.Sprint(ledger.Freed()), "[192.0.2.1]")
	expect(t, "the claim then", stepOf(ledger, "192.0.2.1"), "change b")
}

func TestWhoAsksForNoAddressGetsOneThatNobodyShows(t *testing.T) {
	a, b := svc("a", status("192.0.2.1")), svc("b")
	pools := func(ranges string) []allocator.AddrPool {
		return []allocator.AddrPool{pool("p", ranges, forServices("name", "b"))}
	}
	ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a, b}, Claims: []Claim{claim("192.0.2.1", a)}})
	ledger.book.SetPools(pools("192.0.2.1"))
	ledger.book.Settle()
	expect(t, "while a shows the only one", has(ledger.book), "a=NoPool b=PoolExhausted")
	ledger.book.SetPools(pools("192.0.2.1-192.0.2.2"))
	ledger.book.Settle()
	expect(t, "while there is another", has(ledger.book), "a=NoPool b=192.0.2.2")
	ledger.book.SetPools(pools("192.0.2.1"))
	ledger.book.Settle()
	ledger.wrote(t, "192.0.2.1")
	step, _ := ledger.NextStatus(a.Key)
	ledger.WroteService(step, Sight{Key: a.Key, UID: a.UID, Version: "50", Served: true, Condition: step.Condition})
	ledger.Freed()
	ledger.book.Settle()
	expect(t, "when a has left it", has(ledger.book), "a=NoPool b=192.0.2.1")
}

func TestAnAddressThatIsPerhapsShownIsGivenToNobody(t *testing.T) {
	a, b := svc("a"), svc("b")
	b.Wish.Addrs = addrsOf([]string{"192.0.2.1"})
	ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a, b}})
	ledger.wrote(t, "192.0.2.1")
	lost, _ := ledger.NextStatus(a.Key)
	expect(t, "what is written and not answered", fmt.Sprint(lost.Addrs), "[192.0.2.1]")
	ledger.DoubtService(lost)
	ledger.book.SetPools([]allocator.AddrPool{pool("p", "192.0.2.1", forServices("name", "b"))})
	ledger.book.Settle()
	ledger.wrote(t, "192.0.2.1")
	expect(t, "the claim meanwhile", stepOf(ledger, "192.0.2.1"), "")
	expect(t, "the status that settles it", statusOf(ledger, "a"), "[] NoPool")
	step, _ := ledger.NextStatus(a.Key)
	ledger.WroteService(step, Sight{Key: a.Key, UID: a.UID, Version: "60", Served: true, Condition: step.Condition})
	expect(t, "the claim then", stepOf(ledger, "192.0.2.1"), "change b")
}

func TestBothFamiliesAreShownAtOnce(t *testing.T) {
	a := svc("a", require)
	ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1 2001:db8::1")}, Services: []Service{a}})
	ledger.wrote(t, "2001:db8::1")
	expect(t, "with one claim", statusOf(ledger, "a"), "right")
	ledger.wrote(t, "192.0.2.1")
	expect(t, "with both", statusOf(ledger, "a"), "[192.0.2.1 2001:db8::1] AddressAssigned")
}

func TestWhoMovesKeepsWhatItHasUntilThen(t *testing.T) {
	a := svc("a", status("192.0.2.1"))
	ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1-192.0.2.2")}, Services: []Service{a}, Claims: []Claim{claim("192.0.2.1", a)}})
	ledger.book.Observe(with(a, wish("192.0.2.2")))
	ledger.book.Settle()
	expect(t, "the new claim", stepOf(ledger, "192.0.2.2"), "create a")
	expect(t, "the status meanwhile", statusOf(ledger, "a"), "right")
	ledger.wrote(t, "192.0.2.2")
	expect(t, "the old claim", stepOf(ledger, "192.0.2.1"), "change, leaving a")
	expect(t, "the status before that", statusOf(ledger, "a"), "right")
	ledger.wrote(t, "192.0.2.1")
	expect(t, "the status", statusOf(ledger, "a"), "[192.0.2.2] AddressAssigned")
}

// TestTwoThatMoveToEachOther: neither waits for the other for ever.
func TestTwoThatMoveToEachOther(t *testing.T) {
	a, b := svc("a", status("192.0.2.1")), svc("b", status("192.0.2.2"))
	ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1-192.0.2.3")}, Services: []Service{a, b},
		Claims: []Claim{claim("192.0.2.1", a), claim("192.0.2.2", b)}})
	for _, moved := range []Service{with(a, wish("192.0.2.3")), with(b, wish("192.0.2.1")), with(a, wish("192.0.2.2"))} {
		ledger.book.Observe(moved)
		ledger.book.Settle()
	}
	expect(t, "the first", stepOf(ledger, "192.0.2.1"), "change, leaving a")
	expect(t, "the other", stepOf(ledger, "192.0.2.2"), "change, leaving b")
	ledger.wrote(t, "192.0.2.1")
	ledger.wrote(t, "192.0.2.2")
	expect(t, "its status", statusOf(ledger, "a"), "[] AddressBeingClaimed")
	expect(t, "the other's", statusOf(ledger, "b"), "[] AddressBeingClaimed")
}

func TestSomebodyElseHasChangedAClaim(t *testing.T) {
	a, b := svc("a", status("192.0.2.1")), svc("b")
	world := World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a, b}, Claims: []Claim{claim("192.0.2.1", a)}}
	addr := netip.MustParseAddr("192.0.2.1")
	for name, tc := range map[string]struct {
		record       Record
		read, others bool
	}{
		"who announces it has written": {Record{Version: "101", Holders: claim("192.0.2.1", a).Holders}, false, false},
		"an older version":             {Record{Version: "99", Holders: claim("192.0.2.1", b).Holders}, false, false},
		"another holder":               {Record{Version: "101", Holders: claim("192.0.2.1", b).Holders}, true, true},
		"deleted":                      {Record{}, true, true},
		"garbage":                      {Record{Version: "101", Illegible: true}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			ledger := office(world)
			if got := ledger.Noticed(addr, tc.record); got != tc.read {
				t.Fatalf("is to be read: %t", got)
			}
			if !tc.read {
				expect(t, "the claim", stepOf(ledger, "192.0.2.1"), "")
				return
			}
			expect(t, "the claim", stepOf(ledger, "192.0.2.1"), "read")
			if got := ledger.SawClaim(ledger.NextClaim(addr), tc.record); got != tc.others {
				t.Errorf("somebody else's: %t", got)
			}
			if tc.others {
				expect(t, "nothing is written then", stepOf(ledger, "192.0.2.1")+statusOf(ledger, "a"), "right")
			} else {
				expect(t, "it is written over", stepOf(ledger, "192.0.2.1"), "change a")
			}
		})
	}
}

// TestAWriteOfOursIsAnsweredAfterTheNextOneIsKnown: what is noticed meanwhile is either
// the write itself or one that comes after it.
func TestAWriteOfOursIsAnsweredAfterTheNextOneIsKnown(t *testing.T) {
	a, b := svc("a"), svc("b")
	addr := netip.MustParseAddr("192.0.2.1")
	for name, tc := range map[string]struct {
		noticed Record
		want    string
	}{
		"itself":             {Record{Version: "200", Holders: claim("192.0.2.1", a).Holders}, ""},
		"somebody else's":    {Record{Version: "201", Holders: claim("192.0.2.1", b).Holders}, "read"},
		"that it is deleted": {Record{}, "read"},
	} {
		t.Run(name, func(t *testing.T) {
			ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a}})
			ledger.LoadClaims(map[netip.Addr]Record{addr: {Version: "100"}})
			step := ledger.NextClaim(addr)
			expect(t, "what is written", stepOf(ledger, "192.0.2.1"), "change a")
			ledger.Noticed(addr, tc.noticed)
			ledger.WroteClaim(step, "200")
			expect(t, "what is to be done then", stepOf(ledger, "192.0.2.1"), tc.want)
		})
	}
}

func TestAClaimThatHasLostItsLabel(t *testing.T) {
	a := svc("a", status("192.0.2.1"))
	world := World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a}, Claims: []Claim{claim("192.0.2.1", a)}}
	addr := netip.MustParseAddr("192.0.2.1")
	lost := Record{Version: "101", Holders: claim("192.0.2.1", a).Holders, Unlabelled: true}
	t.Run("meanwhile", func(t *testing.T) {
		ledger := office(world)
		if !ledger.Noticed(addr, Record{}) || !office(world).Noticed(addr, lost) {
			t.Error("it does not have to be read")
		}
		if ledger.SawClaim(ledger.NextClaim(addr), lost) {
			t.Error("the same holders are somebody else's")
		}
		expect(t, "the claim", stepOf(ledger, "192.0.2.1"), "change a")
		ledger.wrote(t, "192.0.2.1")
		expect(t, "the claim after", stepOf(ledger, "192.0.2.1"), "")
	})
	t.Run("and that nobody can read", func(t *testing.T) {
		ledger := office(World{Pools: world.Pools})
		ledger.LoadClaims(map[netip.Addr]Record{addr: {Version: "101", Illegible: true, Unlabelled: true}})
		expect(t, "the claim", stepOf(ledger, "192.0.2.1"), "label")
		ledger.wrote(t, "192.0.2.1")
		expect(t, "the claim after", stepOf(ledger, "192.0.2.1"), "")
		ledger.book.Observe(a)
		ledger.book.Settle()
		expect(t, "the claim when somebody is to have it", stepOf(ledger, "192.0.2.1"), "change a")
	})
	t.Run("before the start", func(t *testing.T) {
		ledger := office(world)
		ledger.LoadClaims(map[netip.Addr]Record{addr: lost})
		expect(t, "the claim", stepOf(ledger, "192.0.2.1"), "change a")
	})
}

func TestWritesThatMayHaveBeenMade(t *testing.T) {
	a := svc("a")
	ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a}})
	create := ledger.NextClaim(netip.MustParseAddr("192.0.2.1"))
	ledger.DoubtClaim(create.Addr, create.Holders)
	if ledger.SawClaim(ledger.NextClaim(create.Addr), Record{Version: "7", Holders: create.Holders}) {
		t.Error("our own write is somebody else's")
	}
	expect(t, "the claim that was written", stepOf(ledger, "192.0.2.1"), "")
	ledger.book.Forget(a.Key)
	ledger.GoneService(a.Key, a.UID)
	remove := ledger.NextClaim(create.Addr)
	expect(t, "the claim of one that is gone", stepOf(ledger, "192.0.2.1"), "delete")
	ledger.DoubtClaim(remove.Addr, []Holder{})
	if ledger.SawClaim(ledger.NextClaim(remove.Addr), Record{}) {
		t.Error("our own deletion is somebody else's")
	}
	expect(t, "the claim that was deleted", stepOf(ledger, "192.0.2.1"), "")
}

func TestWhatIsNotOursIsNotWritten(t *testing.T) {
	a := svc("a", status("192.0.2.1"))
	ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}})
	ledger.SawService(Sight{Key: a.Key, UID: a.UID, Version: "10", Addrs: a.Status})
	expect(t, "another's", statusOf(ledger, "a"), "right")
	ledger.SawService(Sight{Key: a.Key, UID: a.UID, Version: "11", Addrs: a.Status, Condition: &metav1.Condition{Reason: "AddressAssigned"}})
	ledger.read("192.0.2.1", Record{})
	expect(t, "what was ours", statusOf(ledger, "a"), "[]")
	step, _ := ledger.NextStatus(a.Key)
	ledger.WroteService(step, Sight{Key: a.Key, UID: a.UID, Version: "12", Addrs: a.Status})
	expect(t, "once it is cleared", statusOf(ledger, "a"), "right")

	b := svc("b")
	ledger.SawService(Sight{Key: b.Key, UID: b.UID, Version: "20", Served: true, Addrs: addrsOf([]string{"203.0.113.9"})})
	ledger.book.Observe(with(b, from("nowhere")))
	ledger.book.Settle()
	ledger.read("203.0.113.9", Record{})
	step, _ = ledger.NextStatus(b.Key)
	expect(t, "what others have written in ours", statusOf(ledger, "b"), "[] NoPool")
	ledger.WroteService(step, Sight{Key: b.Key, UID: b.UID, Version: "21", Served: true, Addrs: addrsOf([]string{"203.0.113.9"}), Condition: step.Condition})
	expect(t, "and stays after our write", statusOf(ledger, "b"), "right")
}

func TestWhoWritesOurAddresses(t *testing.T) {
	a := svc("a", status("192.0.2.1"))
	ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a}, Claims: []Claim{claim("192.0.2.1", a)}})
	sight := func(version, addr string) Sight {
		return Sight{Key: a.Key, UID: a.UID, Version: version, Served: true, Addrs: addrsOf([]string{addr})}
	}
	if ledger.Overwritten(sight("20", "203.0.113.1")) {
		t.Error("what was there before us is somebody's dispute")
	}
	step, _ := ledger.NextStatus(a.Key)
	ledger.WroteService(step, sight("21", "192.0.2.1"))
	if ledger.Overwritten(sight("22", "192.0.2.1")) || ledger.Overwritten(sight("20", "203.0.113.1")) {
		t.Error("another condition, or what was before, is a dispute")
	}
	ledger.SawService(sight("22", "192.0.2.1"))
	if !ledger.Overwritten(sight("23", "203.0.113.1")) {
		t.Error("other addresses are no dispute")
	}
	ledger.SawService(sight("23", "203.0.113.1"))
	if ledger.Overwritten(sight("24", "203.0.113.2")) {
		t.Error("a dispute is counted twice between two writes of ours")
	}
}

func TestWhatIsBesideOurAddressesIsTakenAway(t *testing.T) {
	a := svc("a", status("192.0.2.1"))
	ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a}, Claims: []Claim{claim("192.0.2.1", a)}})
	step, _ := ledger.NextStatus(a.Key)
	sight := Sight{Key: a.Key, UID: a.UID, Version: "20", Served: true, Addrs: a.Status, Condition: step.Condition}
	ledger.WroteService(step, sight)
	expect(t, "what is written", statusOf(ledger, "a"), "right")
	sight.Version, sight.Strange = "21", true
	if !ledger.Overwritten(sight) {
		t.Error("it is nobody's dispute")
	}
	ledger.SawService(sight)
	expect(t, "with another mode", statusOf(ledger, "a"), "[192.0.2.1] AddressAssigned")
}

// TestWhatWaitsForTheEndOfADispute: what is repaired does, and what only takes away
// what is ours does not.
func TestWhatWaitsForTheEndOfADispute(t *testing.T) {
	a := svc("a", status("192.0.2.1"))
	ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a}, Claims: []Claim{claim("192.0.2.1", a)}})
	step, _ := ledger.NextStatus(a.Key)
	sight := Sight{Key: a.Key, UID: a.UID, Version: "20", Served: true, Addrs: a.Status, Condition: step.Condition}
	ledger.WroteService(step, sight)
	sight.Version, sight.Addrs = "21", addrsOf([]string{"192.0.2.1", "203.0.113.1"})
	ledger.SawService(sight)
	repairs := func() bool {
		step, needed := ledger.NextStatus(a.Key)
		return needed && step.Repairs
	}
	if !repairs() {
		t.Error("the repair does not wait")
	}
	ledger.book.SetPools(nil)
	ledger.book.Settle()
	ledger.wrote(t, "192.0.2.1")
	if repairs() {
		t.Error("who has lost the address waits")
	}
	step, _ = ledger.NextStatus(a.Key)
	sight.Version, sight.Addrs, sight.Condition = "22", nil, step.Condition
	ledger.WroteService(step, sight)
	sight.Version, sight.Addrs = "23", addrsOf([]string{"192.0.2.1"})
	ledger.SawService(sight)
	if !repairs() {
		t.Error("the next one does not wait, though it was not ours")
	}
	sight.Version, sight.Served = "24", false
	ledger.SawService(sight)
	if repairs() {
		t.Error("a Service that is not ours any longer waits")
	}
}

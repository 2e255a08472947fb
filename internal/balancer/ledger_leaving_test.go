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
	"testing"

	"switchyard.dev/switchyard/allocator"
)

// moving is a Ledger in which the only address was claimed for a, which does not show
// it, and is for b now.
func moving(a, b Service) *Ledger {
	ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1", forServices("name", "b"))}, Services: []Service{b},
		Claims: []Claim{claim("192.0.2.1", a)}})
	ledger.SawService(Sight{Key: a.Key, UID: a.UID, Version: "20", Served: a.Served})
	ledger.book.Observe(a)
	ledger.book.Settle()
	return ledger
}

func TestWhoLeavesIsWrittenBeforeTheAddressIsGivenOn(t *testing.T) {
	a, b := svc("a"), svc("b")
	ledger := moving(a, b)
	expect(t, "the claim", stepOf(ledger, "192.0.2.1"), "change, leaving a")
	early, _ := ledger.NextStatus(a.Key)
	ledger.wrote(t, "192.0.2.1")
	sight := Sight{Key: a.Key, UID: a.UID, Version: "21", Served: true, Condition: early.Condition}
	ledger.WroteService(early, sight)
	expect(t, "after a write that was begun before the claim was", stepOf(ledger, "192.0.2.1"), "")
	expect(t, "who leaves and has all that it is to have", statusOf(ledger, "a"), "touch [] NoPool")

	step, _ := ledger.NextStatus(a.Key)
	ledger.WroteService(step, sight)
	expect(t, "after a write that has changed nothing", stepOf(ledger, "192.0.2.1"), "")
	ledger.Freed()
	sight.Version = "22"
	ledger.WroteService(step, sight)
	expect(t, "once it has moved", stepOf(ledger, "192.0.2.1"), "change b")
	if len(ledger.Freed()) == 0 {
		t.Error("nobody looks at the claim")
	}
	ledger.wrote(t, "192.0.2.1")
	expect(t, "who has left", statusOf(ledger, "a"), "right")
}

// TestTheNextManagerGoesOnWithWhoLeaves: what another has done it can not know.
func TestTheNextManagerGoesOnWithWhoLeaves(t *testing.T) {
	a, b := svc("a"), svc("b")
	ledger := moving(a, b)
	ledger.wrote(t, "192.0.2.1")
	step, _ := ledger.NextStatus(a.Key)
	ledger.WroteService(step, Sight{Key: a.Key, UID: a.UID, Version: "21", Served: true, Condition: step.Condition})
	record := Record{Version: "1000", Leaving: claim("192.0.2.1", a).Holders}
	ledger.LoadClaims(map[netip.Addr]Record{netip.MustParseAddr("192.0.2.1"): record})
	expect(t, "the claim", stepOf(ledger, "192.0.2.1"), "")
	expect(t, "who leaves", statusOf(ledger, "a"), "touch [] NoPool")
	ledger.GoneService(a.Key, a.UID)
	expect(t, "the claim when it is gone", stepOf(ledger, "192.0.2.1"), "change b")
}

func TestWhoLeavesAndIsNotOursIsRead(t *testing.T) {
	a, b := svc("a", unserved), svc("b")
	ledger := moving(a, b)
	expect(t, "the claim", stepOf(ledger, "192.0.2.1"), "change, leaving a")
	expect(t, "it", statusOf(ledger, "a"), "right")
	ledger.wrote(t, "192.0.2.1")
	expect(t, "it, then", statusOf(ledger, "a"), "look")
	step, _ := ledger.NextStatus(a.Key)
	ledger.SawService(Sight{Key: a.Key, UID: a.UID, Version: "25", Served: true})
	ledger.LookedAt(step)
	expect(t, "the claim if it is ours again", stepOf(ledger, "192.0.2.1"), "")
	ledger.SawService(Sight{Key: a.Key, UID: a.UID, Version: "26"})
	ledger.LookedAt(step)
	expect(t, "the claim if it is not", stepOf(ledger, "192.0.2.1"), "change b")
}

// TestWhoComesBackIsWrittenFirst: the write that was to take the address out of its
// status may be on its way, from a manager that leads no longer.
func TestWhoComesBackIsWrittenFirst(t *testing.T) {
	a, b := svc("a", status("192.0.2.1")), svc("b")
	ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a, b}, Claims: []Claim{claim("192.0.2.1", a)}})
	step, _ := ledger.NextStatus(a.Key)
	ledger.WroteService(step, Sight{Key: a.Key, UID: a.UID, Version: "40", Served: true, Addrs: step.Addrs, Condition: step.Condition})
	ledger.book.SetPools([]allocator.AddrPool{pool("p", "192.0.2.1", forServices("name", "b"))})
	ledger.book.Settle()
	ledger.wrote(t, "192.0.2.1")
	expect(t, "its status, as long as it leaves", statusOf(ledger, "a"), "[] NoPool")
	ledger.book.SetPools([]allocator.AddrPool{pool("p", "192.0.2.1", forServices("name", "a"))})
	ledger.book.Settle()
	expect(t, "the claim", stepOf(ledger, "192.0.2.1"), "")
	expect(t, "its status", statusOf(ledger, "a"), "touch [192.0.2.1] AddressAssigned")
	step, _ = ledger.NextStatus(a.Key)
	ledger.WroteService(step, Sight{Key: a.Key, UID: a.UID, Version: "50", Served: true, Addrs: step.Addrs, Condition: step.Condition})
	expect(t, "the claim then", stepOf(ledger, "192.0.2.1"), "change a")
	ledger.wrote(t, "192.0.2.1")
	expect(t, "its status then", statusOf(ledger, "a"), "right")
}

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
	"testing"

	"switchyard.dev/switchyard/allocator"
)

// given is a Ledger in which a has the only address, as far as it knows, and b shows
// it by now.
func given(claims ...Claim) (ledger *Ledger, b Sight) {
	first, waits := svc("a"), svc("b")
	ledger = office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{first, waits}, Claims: claims})
	b = Sight{Key: waits.Key, UID: waits.UID, Version: "50", Served: true, Addrs: addrsOf([]string{"192.0.2.1"}),
		Condition: conditionOf(Decision{Satisfied: true, Reason: ReasonAssigned}, 0)}
	ledger.SawService(b)
	return ledger, b
}

func (l *Ledger) read(addr string, now Record) (foreign bool) {
	return l.SawClaim(l.ProveClaim(netip.MustParseAddr(addr)), now)
}

func TestWhatAnotherManagerHasGivenIsNotTakenOut(t *testing.T) {
	a, b := svc("a"), svc("b")
	of := claim("192.0.2.1", b).Holders
	for name, tc := range map[string]struct {
		claims []Claim
		notice Record
	}{
		"when the claim was another's": {claims: []Claim{claim("192.0.2.1", a)}},
		"when there was no claim":      {},
		"when the claim is in doubt":   {claims: []Claim{claim("192.0.2.1", a)}, notice: Record{Version: "200", Holders: of}},
	} {
		t.Run(name, func(t *testing.T) {
			ledger, _ := given(tc.claims...)
			if tc.notice.Version != "" && !ledger.Noticed(netip.MustParseAddr("192.0.2.1"), tc.notice) {
				t.Fatal("the claim does not have to be read")
			}
			expect(t, "what is asked for first", statusOf(ledger, "b"), "[] PoolExhausted unproved [192.0.2.1]")
			if !ledger.read("192.0.2.1", Record{Version: "200", Holders: of}) {
				t.Error("the claim is as we have left it")
			}
			expect(t, "what is written then", statusOf(ledger, "b"), "right")
		})
	}
}

func TestWhatNobodyHasGivenIsTakenOutAfterOneLook(t *testing.T) {
	a := svc("a")
	for name, tc := range map[string]struct {
		claims []Claim
		now    Record
	}{
		"and is another's":            {[]Claim{claim("192.0.2.1", a)}, Record{Version: "100", Holders: claim("192.0.2.1", a).Holders}},
		"and has no claim":            {},
		"and nobody can tell whose":   {[]Claim{claim("192.0.2.1", a)}, Record{Version: "200", Illegible: true}},
		"and has lost its label also": {[]Claim{claim("192.0.2.1", a)}, Record{Version: "200", Holders: claim("192.0.2.1", a).Holders, Unlabelled: true}},
	} {
		t.Run(name, func(t *testing.T) {
			ledger, b := given(tc.claims...)
			expect(t, "what is asked for first", statusOf(ledger, "b"), "[] PoolExhausted unproved [192.0.2.1]")
			if ledger.read("192.0.2.1", tc.now) {
				t.Error("the claim is not as we have left it")
			}
			expect(t, "what is written then", statusOf(ledger, "b"), "[] PoolExhausted")
			ledger.DoubtClaim(netip.MustParseAddr("192.0.2.1"), nil)
			expect(t, "what is asked for when the claim is in doubt", statusOf(ledger, "b"), "[] PoolExhausted unproved [192.0.2.1]")
			ledger.read("192.0.2.1", tc.now)
			b.Version = "51"
			ledger.SawService(b)
			expect(t, "what is asked for when it has changed", statusOf(ledger, "b"), "[] PoolExhausted unproved [192.0.2.1]")
		})
	}
}

// TestNothingIsReadBeforeWhatIsKnownForCertain: neither at the start nor after the
// claim was written.
func TestNothingIsReadBeforeWhatIsKnownForCertain(t *testing.T) {
	a, b := svc("a", status("192.0.2.1")), svc("b", status("203.0.113.9"))
	ledger := office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1", forServices("name", "c"))}, Services: []Service{a, b},
		Claims: []Claim{claim("192.0.2.1", a)}})
	expect(t, "what nobody has given", statusOf(ledger, "b"), "[] NoPool")
	expect(t, "what the claim gives", statusOf(ledger, "a"), "right")
	ledger.wrote(t, "192.0.2.1")
	expect(t, "what it gives no longer", statusOf(ledger, "a"), "[] NoPool")
}

// TestAnAnswerIsAsOldAsItsQuestion: a Service may change while a claim is read or
// written, and what comes of that says nothing of the time since.
func TestAnAnswerIsAsOldAsItsQuestion(t *testing.T) {
	a := svc("a")
	ledger, b := given(claim("192.0.2.1", a))
	read := ledger.ProveClaim(netip.MustParseAddr("192.0.2.1"))
	b.Version = "51"
	ledger.SawService(b)
	ledger.SawClaim(read, Record{Version: "100", Holders: claim("192.0.2.1", a).Holders})
	expect(t, "who is to lose the address", statusOf(ledger, "b"), "[] PoolExhausted unproved [192.0.2.1]")

	ledger = office(World{Pools: []allocator.AddrPool{pool("p", "192.0.2.1")}, Services: []Service{a}})
	write := ledger.NextClaim(netip.MustParseAddr("192.0.2.1"))
	ledger.SawService(Sight{Key: a.Key, UID: a.UID, Version: "20", Served: true})
	ledger.WroteClaim(write, "200")
	expect(t, "who is to have it", statusOf(ledger, "a"), "[192.0.2.1] AddressAssigned unproved [192.0.2.1]")
}

func TestNothingIsKeptOfClaimsThatAreNotThere(t *testing.T) {
	ledger, b := given()
	ledger.read("192.0.2.1", Record{})
	b.Version, b.Addrs = "51", nil
	ledger.SawService(b)
	ledger.read("192.0.2.7", Record{})
	expect(t, "what is known of claims", fmt.Sprint(len(ledger.claims)), "0")
}

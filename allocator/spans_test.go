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

package allocator

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The model of a set of spans is the numbers in it, one by one.
func TestSpanSetsAreSetsOfNumbers(t *testing.T) {
	const most = 40
	random := rand.New(rand.NewPCG(1, 2))
	draw := func() (spanSet[orderedPort], [most]bool) {
		var spans []span[orderedPort]
		var model [most]bool
		for range random.IntN(6) {
			first := random.IntN(most)
			last := min(first+random.IntN(8), most-1)
			spans = append(spans, span[orderedPort]{orderedPort(first), orderedPort(last)})
			for n := first; n <= last; n++ {
				model[n] = true
			}
		}
		return newSpanSet(spans), model
	}
	for range 5000 {
		a, inA := draw()
		b, inB := draw()
		both, left := a.and(b), a.without(b)
		for n := range most {
			p := orderedPort(n)
			if a.contains(p) != inA[n] || both.contains(p) != (inA[n] && inB[n]) || left.contains(p) != (inA[n] && !inB[n]) {
				t.Fatalf("%d: of %v and %v both have %v and only the first %v", n, a, b, both, left)
			}
		}
		for _, set := range []spanSet[orderedPort]{a, both, left} {
			for i := range set {
				if set[i].first > set[i].last || i > 0 && set[i-1].last >= set[i].first {
					t.Fatalf("%v is not in order", set)
				}
			}
		}
	}
}

func TestSpansOfAddressesKeepTheFamiliesApart(t *testing.T) {
	parse := func(texts ...string) spanSet[netip.Addr] {
		var spans []AddrSpan
		for _, text := range texts {
			s, err := parseAddrRange(text)
			if err != nil {
				t.Fatal(err)
			}
			spans = append(spans, s)
		}
		return addrSpans(spans)
	}
	all := parse("::/0", "0.0.0.0/0", "10.0.0.0/8", "255.255.255.255")
	if len(all) != 2 || all.contains(netip.Addr{}) {
		t.Errorf("everything is %v, want one span per family", publicAddrs(all))
	}
	got := publicAddrs(all.without(parse("0.0.0.0-9.255.255.255", "11.0.0.0-255.255.255.255", "::-fd00::", "fd00::2-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")))
	want := []AddrSpan{
		{netip.MustParseAddr("10.0.0.0"), netip.MustParseAddr("10.255.255.255")},
		{netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::1")},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
	for text, want := range map[string]uint64{
		"10.0.0.0/8": 1 << 24, "fd00::/65": 1 << 63, "fd00::/64": ^uint64(0), "fd00::/32": ^uint64(0),
		"fd00:0:0:0:ffff:ffff:ffff:ffff-fd00:0:0:1::": 2, "fd00:0:0:0:8000::-fd00:0:0:1:8000::": ^uint64(0), "192.0.2.1": 1,
	} {
		if got := distance(parse(text)[0]); got != want {
			t.Errorf("%s has %d addresses, want %d", text, got, want)
		}
	}
}

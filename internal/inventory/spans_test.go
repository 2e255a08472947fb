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

package inventory

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/allocator"
)

func addrSpan(first, last string) Span {
	return Span{allocator.AddrNumber(netip.MustParseAddr(first)), allocator.AddrNumber(netip.MustParseAddr(last))}
}

func portSpan(first, last int32) Span {
	return PortSpans(allocator.PortSpan{First: first, Last: last})[0]
}

func spanTexts(spans []Span) []string {
	var texts []string
	for _, s := range spans {
		texts = append(texts, s.String())
	}
	return texts
}

func TestCountsOfSpans(t *testing.T) {
	for _, tc := range []struct {
		span Span
		want uint64
	}{
		{portSpan(30000, 32767), 2768},
		{portSpan(1, 1), 1},
		{addrSpan("10.96.0.1", "10.111.255.254"), 1048574},
		{addrSpan("0.0.0.0", "255.255.255.255"), 1 << 32},
		{addrSpan("fd00::1", "fd00::ffff:ffff:ffff:ffff"), 1<<64 - 1},
		{addrSpan("fd00::", "fd00::ffff:ffff:ffff:ffff"), 1<<64 - 1}, // one more than fits
		{addrSpan("fd00::ffff:ffff:ffff:ffff", "fd00:0:0:1::"), 2},
		{addrSpan("fd00::1", "fd00:0:0:1::"), 1<<64 - 1}, // exactly 2^64
		{addrSpan("fd00::2", "fd00:0:0:1::"), 1<<64 - 1},
		{addrSpan("fd00::3", "fd00:0:0:1::"), 1<<64 - 2},
		{addrSpan("fd00::", "fd00:0:0:9::"), 1<<64 - 1},
	} {
		if got := tc.span.Count(); got != tc.want {
			t.Errorf("%s has %d, want %d", tc.span, got, tc.want)
		}
	}
}

// The model is a set of ports, one by one.
func TestWithoutAgreesWithSets(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	spans := func() (all []Span, set map[int32]bool) {
		set = map[int32]bool{}
		for port := int32(1 + random.IntN(4)); port < 40; port += int32(1 + random.IntN(6)) {
			last := min(port+int32(random.IntN(8)), 40)
			all = append(all, portSpan(port, last))
			for ; port <= last; port++ {
				set[port] = true
			}
		}
		return all, set
	}
	for range 2000 {
		have, inHave := spans()
		taken, inTaken := spans()
		left := Without(have, taken)
		for port := int32(1); port <= 41; port++ {
			want := inHave[port] && !inTaken[port]
			if got := Contain(left, allocator.PortNumber(port)); got != want {
				t.Fatalf("%v without %v is %v: %d is in it %v, want %v", have, taken, left, port, got, want)
			}
		}
		if !slices.IsSortedFunc(left, func(a, b Span) int { return a.Last.Compare(b.First) }) {
			t.Fatalf("%v is not in order", left)
		}
	}
}

func TestWithoutAtTheEndsOfAFamily(t *testing.T) {
	all := []Span{addrSpan("0.0.0.0", "255.255.255.255")}
	taken := []Span{addrSpan("0.0.0.0", "0.0.0.0"), addrSpan("255.255.255.255", "255.255.255.255")}
	if diff := cmp.Diff([]string{"0.0.0.1-255.255.255.254"}, spanTexts(Without(all, taken))); diff != "" {
		t.Error(diff)
	}
	if left := Without(all, all); len(left) > 0 {
		t.Errorf("left is %v", left)
	}
}

func TestUsableAreTheAddressesThatTheAllocatorGives(t *testing.T) {
	for _, text := range []string{"10.96.0.0/12", "10.0.0.16/28", "10.0.0.4/30", "fd00:10:96::/112", "fd00::/64", "fd00::2/127"} {
		prefix := netip.MustParsePrefix(text)
		addrs, err := allocator.NewAddrs(prefix)
		if err != nil {
			t.Fatal(err)
		}
		span := Usable(prefix)
		if got := span.Count(); got != addrs.Free() {
			t.Errorf("%s: %s has %d, the allocator gives %d", text, span, got, addrs.Free())
		}
		for _, n := range []allocator.Number{span.First, span.Last} {
			if !addrs.Contains(n.Addr) {
				t.Errorf("%s: the allocator does not give %s", text, n)
			}
		}
	}
}

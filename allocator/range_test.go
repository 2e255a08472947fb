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
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustAddrs(tb testing.TB, cidr string) *Addrs {
	tb.Helper()
	r, err := NewAddrs(netip.MustParsePrefix(cidr))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestBandsAndUsableAddresses(t *testing.T) {
	for name, tc := range map[string]struct {
		cidr        string
		size        uint64
		firstOfBand string
		firstAfter  string
		last        string
	}{
		"a /24 keeps .1 to .16":             {"10.0.0.0/24", 254, "10.0.0.1", "10.0.0.17", "10.0.0.254"},
		"a /20 keeps 256":                   {"10.0.0.0/20", 4094, "10.0.0.1", "10.0.1.1", "10.0.15.254"},
		"a /12 keeps no more than 256":      {"10.96.0.0/12", 1<<20 - 2, "10.96.0.1", "10.96.1.1", "10.111.255.254"},
		"a /28 has no static band":          {"10.0.0.0/28", 14, "10.0.0.1", "10.0.0.1", "10.0.0.14"},
		"a /27 has 16 of 30":                {"10.0.0.0/27", 30, "10.0.0.1", "10.0.0.17", "10.0.0.30"},
		"a /30 has two addresses":           {"10.0.0.0/30", 2, "10.0.0.1", "10.0.0.1", "10.0.0.2"},
		"a /112 has no broadcast address":   {"fd00::/112", 65535, "fd00::1", "fd00::101", "fd00::ffff"},
		"a /64 is the largest IPv6":         {"fd00::/64", 1<<64 - 1, "fd00::1", "fd00::101", "fd00::ffff:ffff:ffff:ffff"},
		"host bits in the CIDR are ignored": {"10.0.0.77/24", 254, "10.0.0.1", "10.0.0.17", "10.0.0.254"},
	} {
		t.Run(name, func(t *testing.T) {
			r := mustAddrs(t, tc.cidr)
			got := []string{r.space.number(0).String(), r.space.number(r.static).String(), r.space.number(r.bits.size - 1).String()}
			if diff := cmp.Diff([]string{tc.firstOfBand, tc.firstAfter, tc.last}, got); diff != "" {
				t.Errorf("first, first dynamic and last address (-want +got):\n%s", diff)
			}
			if r.bits.size != tc.size || r.Free() != tc.size {
				t.Errorf("size %d, free %d, want %d", r.bits.size, r.Free(), tc.size)
			}
		})
	}
}

func TestPrefixesThatHaveNoRange(t *testing.T) {
	for _, cidr := range []string{"10.0.0.0/31", "10.0.0.0/32", "fd00::/63", "fd00::/128"} {
		if _, err := NewAddrs(netip.MustParsePrefix(cidr)); err == nil {
			t.Errorf("%s was accepted", cidr)
		}
	}
}

func TestPortBands(t *testing.T) {
	for span, want := range map[string]int32{
		"30000-32767": 30086, // the 86 ports to 30085 are static
		"30000-30015": 30000,
		"30000-30016": 30016,
		"30000-30600": 30018,
		"1-65535":     129,
	} {
		parsed, err := ParsePortSpan(span)
		if err != nil {
			t.Fatal(err)
		}
		r := NewPorts(parsed)
		if got := r.space.number(r.static); got != want {
			t.Errorf("%s: the first dynamic port is %d, want %d", span, got, want)
		}
	}
}

func TestParsePortSpan(t *testing.T) {
	for text, want := range map[string]PortSpan{
		"30000-32767": DefaultNodePorts,
		"30000+100":   {30000, 30100},
		" 80 - 90 ":   {80, 90},
		"65535-65535": {65535, 65535},
	} {
		if got, err := ParsePortSpan(text); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "30000", "0-10", "10-9", "1-65536", "a-b", "65000+1000", "-5"} {
		if got, err := ParsePortSpan(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestNetworkAndBroadcastAreNeverHandedOut(t *testing.T) {
	r := mustAddrs(t, "10.0.0.0/29")
	for _, outside := range []string{"10.0.0.0", "10.0.0.7", "10.0.1.1", "fd00::1"} {
		var notInRange *NotInRangeError
		if err := r.Allocate(netip.MustParseAddr(outside)); !errors.As(err, &notInRange) {
			t.Errorf("%s: error is %v, want a NotInRangeError", outside, err)
		}
		r.Release(netip.MustParseAddr(outside))
	}
	got := drain(t, r)
	if want := map[string]bool{"10.0.0.1": true, "10.0.0.2": true, "10.0.0.3": true, "10.0.0.4": true, "10.0.0.5": true, "10.0.0.6": true}; !cmp.Equal(want, got) {
		t.Error(cmp.Diff(want, got))
	}
}

func drain(t *testing.T, r *Addrs) map[string]bool {
	t.Helper()
	got := map[string]bool{}
	for {
		addr, err := r.AllocateNext()
		if errors.Is(err, ErrFull) {
			return got
		}
		if got[addr.String()] {
			t.Fatalf("%s was handed out twice", addr)
		}
		got[addr.String()] = true
	}
}

func TestTheDynamicBandIsUsedBeforeTheStaticOne(t *testing.T) {
	r := NewPorts(PortSpan{30000, 30099})
	for i := range r.bits.size {
		port, err := r.AllocateNext()
		if err != nil {
			t.Fatal(err)
		}
		if dynamic := port >= 30016; dynamic != (i < r.bits.size-16) {
			t.Fatalf("allocation %d is port %d", i, port)
		}
	}
	if _, err := r.AllocateNext(); !errors.Is(err, ErrFull) {
		t.Errorf("error of a full range is %v", err)
	}
}

func TestAllocateReleaseHas(t *testing.T) {
	r := NewPorts(DefaultNodePorts)
	if err := r.Allocate(30080); err != nil {
		t.Fatal(err)
	}
	if err := r.Allocate(30080); !errors.Is(err, ErrAllocated) {
		t.Errorf("taking it twice: %v", err)
	}
	if !r.Has(30080) || r.Has(30081) || r.Has(80) || r.Used() != 1 || r.Free() != 2767 {
		t.Errorf("has %v %v %v, used %d, free %d", r.Has(30080), r.Has(30081), r.Has(80), r.Used(), r.Free())
	}
	for range 2 { // the second time it is not held, which is fine
		r.Release(30080)
	}
	r.Release(80)
	if r.Has(30080) || r.Used() != 0 {
		t.Errorf("after release: has %v, used %d", r.Has(30080), r.Used())
	}
}

func TestSnapshotRestoresTheSameRangeOnly(t *testing.T) {
	r := mustAddrs(t, "fd00::/64")
	for _, addr := range []string{"fd00::1", "fd00::2", "fd00::3", "fd00::ffff:ffff:ffff:ffff"} {
		if err := r.Allocate(netip.MustParseAddr(addr)); err != nil {
			t.Fatal(err)
		}
	}
	snapshot := r.Snapshot()
	want := Snapshot{Range: "fd00::/64", Runs: []Run{{0, 3}, {1<<64 - 2, 1}}}
	if diff := cmp.Diff(want, snapshot); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	fresh := mustAddrs(t, "fd00::/64")
	if err := fresh.Restore(snapshot); err != nil || fresh.Used() != 4 || !fresh.Has(netip.MustParseAddr("fd00::2")) {
		t.Errorf("restored %d addresses, error %v", fresh.Used(), err)
	}
	if err := mustAddrs(t, "fd01::/64").Restore(snapshot); !errors.Is(err, ErrMismatchedRange) {
		t.Errorf("restoring into another range: %v", err)
	}
	small := NewPorts(PortSpan{1, 10})
	if err := small.Restore(Snapshot{Range: "1-10", Runs: []Run{{8, 5}}}); err == nil || small.Used() != 0 {
		t.Errorf("a run past the end: error %v, used %d", err, small.Used())
	}
}

func TestMemoryFollowsUseNotSize(t *testing.T) {
	r := mustAddrs(t, "fd00::/64")
	var held []netip.Addr
	for range 1000 {
		addr, err := r.AllocateNext()
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, addr)
	}
	if pages := len(r.bits.pages); pages > 1000 {
		t.Errorf("%d pages for 1000 addresses", pages)
	}
	for _, addr := range held {
		r.Release(addr)
	}
	if pages := len(r.bits.pages); pages != 0 {
		t.Errorf("%d pages are left after all was released", pages)
	}
}

func TestTransactionsCommitOrRevertAll(t *testing.T) {
	ports, addrs := NewPorts(DefaultNodePorts), mustAddrs(t, "10.0.0.0/30")
	before := []Snapshot{ports.Snapshot(), addrs.Snapshot()}

	var tx Transaction
	if _, err := ports.AllocateNextIn(&tx); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := addrs.AllocateNextIn(&tx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := addrs.AllocateNextIn(&tx); !errors.Is(err, ErrFull) {
		t.Fatalf("the third of two addresses: %v", err)
	}
	tx.Revert()
	if diff := cmp.Diff(before, []Snapshot{ports.Snapshot(), addrs.Snapshot()}); diff != "" {
		t.Errorf("after revert (-want +got):\n%s", diff)
	}

	if err := ports.AllocateIn(&tx, 30001); err != nil {
		t.Fatal(err)
	}
	tx.Commit()
	ports.ReleaseIn(&tx, 30001)
	if !ports.Has(30001) {
		t.Error("a release was done before the commit")
	}
	tx.Revert()
	if !ports.Has(30001) {
		t.Error("a reverted release released")
	}
	ports.ReleaseIn(&tx, 30001)
	tx.Commit()
	if ports.Has(30001) {
		t.Error("a committed release did not release")
	}
}

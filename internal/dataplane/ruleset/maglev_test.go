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

package ruleset

import (
	"net/netip"
	"slices"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

func hosts(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i + 1
	}
	return list
}

func TestAMaglevTableIsBalanced(t *testing.T) {
	for _, family := range families {
		for _, n := range []int{1, 2, 3, 10, 100, 655} {
			counts := map[netip.AddrPort]int{}
			size := maglevSize(n)
			for _, endpoint := range maglevTable(endpoints(family, podNet, hosts(n)...), size) {
				counts[endpoint]++
			}
			if len(counts) != n {
				t.Errorf("%d endpoints: %d have entries", n, len(counts))
			}
			for endpoint, count := range counts {
				// Everyone takes one entry in each turn but maybe the last.
				if share := int(size) / n; count < share || count > share+1 {
					t.Errorf("%d endpoints: %s has %d of %d entries", n, endpoint, count, size)
				}
			}
		}
	}
}

// An endpoint that goes takes only its own entries along, and a few of others.
func TestMaglevDisturbsLittle(t *testing.T) {
	all := endpoints(model.IPv4, podNet, hosts(100)...)
	const size = 16381
	before := maglevTable(all, size)
	for _, gone := range []int{0, 42, 99} {
		after := maglevTable(slices.Delete(slices.Clone(all), gone, gone+1), size)
		moved := 0
		for i := range before {
			if before[i] != after[i] && before[i] != all[gone] {
				moved++
			}
		}
		if moved*100 > size*2 {
			t.Errorf("without %s, %d of %d entries of others moved, more than 2%%", all[gone], moved, size)
		}
		if slices.Contains(after, all[gone]) {
			t.Errorf("%s is still in the table", all[gone])
		}
	}
}

func TestTheSizeOfAMaglevTable(t *testing.T) {
	for n, want := range map[int]uint32{1: 1021, 10: 1021, 11: 8191, 81: 8191, 82: 65521, 655: 65521, 656: 65521, 65521: 65521} {
		if got := maglevSize(n); got != want {
			t.Errorf("%d endpoints: got %d, want %d", n, got, want)
		}
	}
	for _, size := range maglevSizes {
		for d := uint32(2); d*d <= size; d++ {
			if size%d == 0 {
				t.Errorf("%d is no prime: an endpoint might never find a free entry", size)
			}
		}
	}
}

// Entries must be alike on every node and in every version, so they are pinned.
func TestAMaglevTableIsAlwaysTheSame(t *testing.T) {
	var got []byte
	for _, endpoint := range maglevTable(endpoints(model.IPv4, podNet, 1, 2, 3), 251)[:16] {
		host := endpoint.Addr().As4()
		got = append(got, '0'+host[3])
	}
	if want := "2113232323221111"; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func BenchmarkMaglevTable(b *testing.B) {
	all := endpoints(model.IPv4, podNet, hosts(100)...)
	b.ReportAllocs()
	for b.Loop() {
		maglevTable(all, maglevSize(len(all)))
	}
}

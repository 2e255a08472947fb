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
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

func TestEndpointsKeepTheirNumbers(t *testing.T) {
	for name, tc := range map[string]struct {
		held    []int
		numbers []uint32
		want    []int
		get     []uint32
	}{
		"a first list is numbered in order":       {nil, nil, []int{1, 2, 3}, []uint32{0, 1, 2}},
		"nothing changes":                         {[]int{1, 2, 3}, []uint32{2, 0, 1}, []int{1, 2, 3}, []uint32{2, 0, 1}},
		"one goes, the others stay":               {[]int{1, 2, 3}, []uint32{0, 1, 2}, []int{1, 3}, []uint32{0, 2}},
		"one comes":                               {[]int{2}, []uint32{0}, []int{1, 2, 3}, []uint32{1, 0, 2}},
		"a replacement takes over":                {[]int{1, 2, 3}, []uint32{0, 1, 2}, []int{1, 3, 4}, []uint32{0, 2, 1}},
		"the lowest free number first":            {[]int{1, 2, 3, 4}, []uint32{0, 1, 2, 3}, []int{3, 5}, []uint32{2, 0}},
		"numbers of another version are no good":  {[]int{1, 2}, []uint32{maxPinned, 7}, []int{1, 2}, []uint32{0, 7}},
		"a number that a foreign hand gave twice": {[]int{1, 2, 3}, []uint32{1, 1, 0}, []int{1, 2, 3}, []uint32{1, 2, 0}},
		"all are replaced":                        {[]int{1, 2}, []uint32{1, 0}, []int{3, 4}, []uint32{0, 1}},
		"all go":                                  {[]int{1, 2}, []uint32{1, 0}, nil, []uint32{}},
	} {
		t.Run(name, func(t *testing.T) {
			held, want := endpoints(model.IPv4, podNet, tc.held...), endpoints(model.IPv4, podNet, tc.want...)
			if diff := cmp.Diff(tc.get, keepNumbers(held, tc.numbers, want)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestNumbersAreForLife goes a random way: no two endpoints share a number, no
// one's changes while it lives, and none is higher than the list has ever
// been long.
func TestNumbersAreForLife(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		var held []netip.AddrPort
		var numbers []uint32
		longest := 0
		for range 100 {
			var list []int
			for host := range 40 {
				if r.IntN(3) > 0 {
					list = append(list, host)
				}
			}
			want := endpoints(model.IPv4, podNet, list...)
			longest = max(longest, len(want))
			got := keepNumbers(held, numbers, want)
			had := map[netip.AddrPort]uint32{}
			for i, endpoint := range held {
				had[endpoint] = numbers[i]
			}
			seen := map[uint32]bool{}
			for i, endpoint := range want {
				if n, lived := had[endpoint]; lived && n != got[i] {
					t.Fatalf("seed %d: %s had %d and has %d", seed, endpoint, n, got[i])
				}
				if seen[got[i]] || int(got[i]) >= longest {
					t.Fatalf("seed %d: number %d of %d", seed, got[i], longest)
				}
				seen[got[i]] = true
			}
			held, numbers = want, got
		}
	}
}

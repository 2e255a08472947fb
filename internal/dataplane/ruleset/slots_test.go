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
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

func TestEndpointsKeepTheirSlots(t *testing.T) {
	for name, tc := range map[string]struct{ held, want, slots []int }{
		"a first list is taken in order":         {nil, []int{1, 2, 3}, []int{1, 2, 3}},
		"nothing changes":                        {[]int{3, 1, 2}, []int{1, 2, 3}, []int{3, 1, 2}},
		"one more goes to the end":               {[]int{2, 3}, []int{1, 2, 3}, []int{2, 3, 1}},
		"the last one goes":                      {[]int{1, 2, 3}, []int{1, 2}, []int{1, 2}},
		"a hole is filled by the last":           {[]int{1, 2, 3}, []int{2, 3}, []int{3, 2}},
		"a replacement takes the place":          {[]int{1, 2, 3}, []int{1, 3, 4}, []int{1, 4, 3}},
		"all are replaced":                       {[]int{1, 2}, []int{3, 4}, []int{3, 4}},
		"holes that a foreign hand made go away": {[]int{1, 0, 2, 0}, []int{1, 2, 3}, []int{1, 3, 2}},
		"one that is held twice is held once":    {[]int{1, 1}, []int{1, 2}, []int{1, 2}},
		"all go":                                 {[]int{1, 2}, nil, []int{}},
		"one is wanted twice":                    {[]int{1, 2}, []int{1, 1, 2}, []int{1, 2, 1}},
		"one of several places becomes free":     {[]int{1, 2, 1, 1}, []int{1, 1, 2}, []int{1, 2, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			list := func(hosts []int) []netip.AddrPort {
				all := make([]netip.AddrPort, len(hosts))
				for i, h := range hosts {
					if h != 0 {
						all[i] = endpoints(model.IPv4, podNet, h)[0]
					}
				}
				return all
			}
			if diff := cmp.Diff(list(tc.slots), arrange(list(tc.held), list(tc.want)), addrs); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTheClassFollowsTheCount(t *testing.T) {
	for name, tc := range map[string]struct {
		now  uint32
		n    int
		want uint32
	}{
		"the first":                        {0, 1, 1},
		"exactly a power of two":           {0, 8, 8},
		"one more than that":               {8, 9, 16},
		"back to it stays":                 {16, 8, 16},
		"down to seven of sixteen stays":   {16, 7, 16},
		"down to six of sixteen shrinks":   {16, 6, 8},
		"far down shrinks to what it is":   {1024, 3, 4},
		"what a foreign hand wrote is not": {0, 3, 4},
		"the largest":                      {0, maxClass, maxClass},
	} {
		t.Run(name, func(t *testing.T) {
			if got := nextClass(tc.now, tc.n); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

// The last draw of a pick chain is from a quarter of the class, and must hit.
func TestAQuarterOfTheClassIsAlwaysFilled(t *testing.T) {
	for class := uint32(1); class <= 4096; class *= 2 {
		for n := 1; n <= 4096; n++ {
			got := nextClass(class, n)
			if uint32(n) > got || got > 1 && uint32(n)*4 <= got {
				t.Fatalf("from class %d to %d endpoints: class %d", class, n, got)
			}
		}
	}
}

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

func weigh(all []netip.AddrPort, weights ...uint16) map[netip.AddrPort]uint16 {
	m := map[netip.AddrPort]uint16{}
	for i, w := range weights {
		if w != 0 {
			m[all[i]] = w
		}
	}
	return m
}

func TestEndpointsAreListedByWeight(t *testing.T) {
	all := endpoints(model.IPv4, podNet, 1, 2, 3)
	for name, tc := range map[string]struct {
		weights []uint16
		want    []int
	}{
		"no weights":                    {nil, []int{1, 2, 3}},
		"all the same":                  {[]uint16{500, 500, 500}, []int{1, 2, 3}},
		"one of three weighs double":    {[]uint16{1, 2, 1}, []int{1, 2, 2, 3}},
		"divided by what they share":    {[]uint16{100, 300, 200}, []int{1, 2, 2, 2, 3, 3}},
		"who is not mentioned weighs 1": {[]uint16{3, 0, 0}, []int{1, 1, 1, 2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(endpoints(model.IPv4, podNet, tc.want...), weighted(all, weigh(all, tc.weights...)), addrs); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAWeightedListIsBoundedAndFair(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		all := endpoints(model.IPv6, podNet, hosts(1+r.IntN(300))...)
		weights, total := map[netip.AddrPort]uint16{}, 0.0
		for _, endpoint := range all {
			weights[endpoint] = uint16(1 + r.IntN(1<<(1+r.IntN(16))-1))
			total += float64(weights[endpoint])
		}
		counts := map[netip.AddrPort]int{}
		list := weighted(all, weights)
		for _, endpoint := range list {
			counts[endpoint]++
		}
		if len(list) > maxShares+len(all) || len(counts) != len(all) {
			t.Fatalf("seed %d: %d slots for %d of %d endpoints", seed, len(list), len(counts), len(all))
		}
		for endpoint, w := range weights {
			ideal := float64(w) / total * float64(min(len(list), maxShares))
			if got := float64(counts[endpoint]); got > ideal*1.01+1 || got < ideal*0.99-1 {
				t.Errorf("seed %d: weight %d of %.0f has %.0f of %d slots", seed, w, total, got, len(list))
			}
		}
	}
}

func TestVeryManyEndpointsWeighTheSame(t *testing.T) {
	all := endpoints(model.IPv4, podNet, hosts(maxShares+1)...)
	if got := weighted(all, weigh(all, 7)); len(got) != len(all) {
		t.Errorf("%d slots for %d endpoints", len(got), len(all))
	}
}

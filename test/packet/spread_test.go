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

package packet

import (
	"fmt"
	"math"
	"net/netip"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Chi-square at p = 1e-6, by degrees of freedom: a fair spread exceeds it once
// in a million runs.
var chiSquareLimit = map[int]float64{1: 23.93, 2: 27.63}

func TestConnectionsSpreadUniformly(t *testing.T) {
	const connections = 1200
	eachFamily(t, func(w *world) {
		all := []netip.AddrPort{
			w.serve(w.a, "a", w.podIP(podA)), w.serve(w.b, "b", w.podIP(podB)), w.serve(w.outside, "c", w.outsideIP()),
		}
		for _, n := range []int{2, 3} {
			w.Run(fmt.Sprintf("over %d endpoints", n), func(t *testing.T) {
				w.program(w.service(model.TCP, all[:n]...))
				counts := map[string]int{}
				for range connections {
					got, err := ask(w.client, "tcp", netip.AddrPortFrom(w.clusterIP(), 80))
					if err != nil {
						t.Fatal(err)
					}
					counts[got.server]++
				}
				shares := map[string]float64{}
				for _, name := range []string{"a", "b", "c"}[:n] {
					shares[name] = 1
				}
				chi := chiSquare(counts, shares)
				t.Logf("chi-square %.2f, counts %v", chi, counts)
				if chi > chiSquareLimit[n-1] || len(counts) != n {
					t.Errorf("chi-square %.2f exceeds %.2f: %v", chi, chiSquareLimit[n-1], counts)
				}
			})
		}
	})
}

// chiSquare is how far counts are from shares.
func chiSquare(counts map[string]int, shares map[string]float64) float64 {
	total, whole, chi := 0.0, 0.0, 0.0
	for name, share := range shares {
		total, whole = total+float64(counts[name]), whole+share
	}
	for name, share := range shares {
		expected := total * share / whole
		chi += math.Pow(float64(counts[name])-expected, 2) / expected
	}
	return chi
}

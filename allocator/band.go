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

import "math/rand/v2"

// The bands, by the formulas of the API server (A2, A3), so that an administrator
// who knows where the static band of a cluster ends is right about ours too.
const (
	bandThreshold = 16 // ranges up to this size have no static band

	addrBandMin, addrBandMax, addrBandStep = 16, 256, 16
	portBandMin, portBandMax, portBandStep = 16, 128, 32
)

func addrBand(size uint64) uint64 { return band(size, addrBandMin, addrBandMax, addrBandStep) }

func portBand(size uint64) uint64 { return band(size, portBandMin, portBandMax, portBandStep) }

func band(size, least, most, step uint64) uint64 {
	if size <= bandThreshold {
		return 0
	}
	return min(max(least, size/step), most)
}

// random is a number in [0, n), safe for concurrent use and without allocation.
func random(n uint64) uint64 { return rand.Uint64N(n) }

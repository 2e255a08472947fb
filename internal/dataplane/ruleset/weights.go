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

import "net/netip"

// maxShares bounds the slots of a weighted list; it also is the finest share
// that can be told from another.
const maxShares = 4096

// weighted is the list with each endpoint as often as it weighs, relative to
// the others, at least once. Endpoints that are not in weights weigh 1. More
// than maxShares endpoints weigh the same.
func weighted(endpoints []netip.AddrPort, weights map[netip.AddrPort]uint16) []netip.AddrPort {
	if len(weights) == 0 || len(endpoints) > maxShares {
		return endpoints
	}
	divisor, total := uint64(0), uint64(0)
	for _, endpoint := range endpoints {
		w := weight(endpoint, weights)
		divisor, total = greatestDivisor(w, divisor), total+w
	}
	var list []netip.AddrPort
	for _, endpoint := range endpoints {
		for range share(weight(endpoint, weights), total, divisor) {
			list = append(list, endpoint)
		}
	}
	return list
}

// share is how many slots a weight of w out of total gets: exactly its part if
// all parts fit, else to the nearest part of maxShares.
func share(w, total, divisor uint64) uint64 {
	if total/divisor <= maxShares {
		return w / divisor
	}
	return max(1, (w*maxShares+total/2)/total)
}

func weight(endpoint netip.AddrPort, weights map[netip.AddrPort]uint16) uint64 {
	return max(1, uint64(weights[endpoint]))
}

func greatestDivisor(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

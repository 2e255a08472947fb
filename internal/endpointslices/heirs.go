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

package endpointslices

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// homes are the slices that endpoints without a place are in, of those that are
// going to be deleted. A slice with other ports is built around one of them and
// written in its place, so that what it held is never in neither.
type homes map[identity]*discoveryv1.EndpointSlice

func homesIn(deleted []*discoveryv1.EndpointSlice, service *corev1.Service) homes {
	in := homes{}
	for _, slice := range deleted {
		for i := range slice.Endpoints {
			if owned(slice, service) {
				in[identityOf(&slice.Endpoints[i])] = slice
			}
		}
	}
	return in
}

// bequeath gives each slice to the group that has most of its endpoints.
func (h homes) bequeath(packings []*packing) {
	if len(h) == 0 {
		return
	}
	best, most := map[*discoveryv1.EndpointSlice]*packing{}, map[*discoveryv1.EndpointSlice]int{}
	for _, group := range packings {
		shares := map[*discoveryv1.EndpointSlice]int{}
		for i := range group.added {
			if slice := h[identityOf(&group.added[i])]; slice != nil {
				shares[slice]++
			}
		}
		for slice, share := range shares {
			if share > most[slice] {
				best[slice], most[slice] = group, share
			}
		}
	}
	for slice, group := range best {
		group.heritage = append(group.heritage, slice)
	}
}

// part is what one slice will hold, in the place of another or, if that is nil,
// a new one.
type part struct {
	of        *discoveryv1.EndpointSlice
	endpoints []discoveryv1.Endpoint
}

// divide fills all parts but the last with size endpoints. What does not stay in
// the fullest slices comes from those that are written later or not at all.
func (h homes) divide(added []discoveryv1.Endpoint, heritage []*discoveryv1.EndpointSlice, size int) (parts []part) {
	native := map[*discoveryv1.EndpointSlice][]discoveryv1.Endpoint{}
	var loose []discoveryv1.Endpoint
	for i := range added {
		slice := h[identityOf(&added[i])]
		if slice != nil && slices.Contains(heritage, slice) {
			native[slice] = append(native[slice], added[i])
		} else {
			loose = append(loose, added[i])
		}
	}
	fullest := slices.DeleteFunc(slices.Clone(heritage), func(slice *discoveryv1.EndpointSlice) bool { return len(native[slice]) == 0 })
	slices.SortFunc(fullest, func(a, b *discoveryv1.EndpointSlice) int {
		return cmp.Or(len(native[b])-len(native[a]), cmp.Compare(a.Name, b.Name))
	})
	for left := len(added); left > 0; left = len(added) - size*len(parts) {
		next := part{endpoints: make([]discoveryv1.Endpoint, 0, min(size, left))}
		move := func(from []discoveryv1.Endpoint) (rest []discoveryv1.Endpoint) {
			n := min(len(from), cap(next.endpoints)-len(next.endpoints))
			next.endpoints = append(next.endpoints, from[:n]...)
			return from[n:]
		}
		if len(fullest) > 0 {
			next.of, fullest = fullest[0], fullest[1:]
			if rest := move(native[next.of]); len(rest) > 0 { // there may be less room than when it was written
				loose = append(rest, loose...)
			}
		}
		loose = move(loose)
		for len(fullest) > 0 && len(next.endpoints) < cap(next.endpoints) {
			last := fullest[len(fullest)-1]
			if native[last] = move(native[last]); len(native[last]) == 0 {
				fullest = fullest[:len(fullest)-1]
			}
		}
		parts = append(parts, next)
	}
	return parts
}

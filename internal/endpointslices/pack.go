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
	"maps"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// pack puts the endpoints of one group into slices, with few writes rather than
// full slices (row E20): what is there is changed in place; what is new fills
// slices that are written anyway, the fullest first; then the one other slice
// that gets closest to full; then new ones. Nothing is moved between slices.
func (in Input) pack(p *Plan, group *wanted, existing []*discoveryv1.EndpointSlice, labels map[string]string) {
	unchanged := make([]*discoveryv1.EndpointSlice, 0, len(existing))
	var update []*discoveryv1.EndpointSlice
	for _, slice := range existing {
		kept, same := group.keep(slice)
		p.Removed += len(slice.Endpoints) - len(kept)
		switch {
		case len(kept) == 0 && !same:
			p.Delete = append(p.Delete, slice)
		case !same || !maps.Equal(slice.Labels, labels):
			update = append(update, changed(slice, kept, labels))
		default:
			unchanged = append(unchanged, slice)
		}
	}
	added := group.rest()
	p.Added += len(added)
	added = in.fill(update, added)
	for len(added) > 0 {
		if i := in.closest(unchanged, len(added)); i >= 0 {
			slice := unchanged[i]
			unchanged = slices.Delete(unchanged, i, i+1)
			update = append(update, changed(slice, append(slices.Clone(slice.Endpoints), added...), labels))
			break
		}
		slice := newSlice(in.Service, labels, p.Family, group.ports)
		n := min(len(added), in.MaxEndpoints)
		slice.Endpoints = append(slice.Endpoints, added[:n]...)
		added = added[n:]
		p.Create = append(p.Create, slice)
	}
	p.Update = append(p.Update, update...)
	p.Unchanged = append(p.Unchanged, unchanged...)
}

// keep returns the endpoints of a slice that are still wanted, as they should
// be, and whether that is how they are. What is found is not looked for again:
// a second endpoint of the same identity is not kept.
func (g *wanted) keep(slice *discoveryv1.EndpointSlice) (kept []discoveryv1.Endpoint, same bool) {
	kept = make([]discoveryv1.Endpoint, 0, len(slice.Endpoints))
	same = true
	for i := range slice.Endpoints {
		id := identityOf(&slice.Endpoints[i])
		want := g.endpoints[id]
		if want == nil {
			same = false
			continue
		}
		same = same && sameState(want, &slice.Endpoints[i])
		kept = append(kept, *want)
		delete(g.endpoints, id)
	}
	return kept, same
}

// rest are the endpoints that no slice has.
func (g *wanted) rest() []discoveryv1.Endpoint {
	if len(g.endpoints) == 0 {
		return nil
	}
	rest := make([]discoveryv1.Endpoint, 0, len(g.endpoints))
	for _, id := range g.order {
		if endpoint := g.endpoints[id]; endpoint != nil {
			rest = append(rest, *endpoint)
		}
	}
	return rest
}

// fill adds to slices that are written anyway, and returns what has no room.
func (in Input) fill(update []*discoveryv1.EndpointSlice, added []discoveryv1.Endpoint) []discoveryv1.Endpoint {
	if len(added) == 0 {
		return nil
	}
	fullest := slices.Clone(update)
	slices.SortStableFunc(fullest, func(a, b *discoveryv1.EndpointSlice) int { return len(b.Endpoints) - len(a.Endpoints) })
	for _, slice := range fullest {
		n := min(len(added), max(0, in.MaxEndpoints-len(slice.Endpoints)))
		slice.Endpoints = append(slice.Endpoints, added[:n]...)
		added = added[n:]
	}
	return added
}

// closest is the slice that is closest to full with so many endpoints more, or
// -1 if there is none with room for all of them.
func (in Input) closest(unchanged []*discoveryv1.EndpointSlice, n int) int {
	best, room := -1, in.MaxEndpoints
	if n >= in.MaxEndpoints {
		return best
	}
	for i, slice := range unchanged {
		if left := in.MaxEndpoints - n - len(slice.Endpoints); left >= 0 && left < room {
			best, room = i, left
		}
	}
	return best
}

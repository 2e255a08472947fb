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

// packing is how the endpoints of one group get into slices, with few writes
// rather than full slices (row E20): what is there is changed in place; what is
// new fills slices that are written anyway, the fullest first; then the one other
// slice that gets closest to full; then new ones. Nothing is moved between slices
// of the same ports.
type packing struct {
	group             *wanted
	update, unchanged []*discoveryv1.EndpointSlice
	// added are the endpoints that no slice with these ports has.
	added []discoveryv1.Endpoint
	// heritage are slices with other ports whose endpoints these mostly are.
	heritage []*discoveryv1.EndpointSlice
}

// begin changes what is there in place.
func (g *wanted) begin(p *Plan, existing []*discoveryv1.EndpointSlice, labels map[string]string) *packing {
	next := &packing{group: g, unchanged: make([]*discoveryv1.EndpointSlice, 0, len(existing))}
	for _, slice := range existing {
		kept, same := g.keep(slice)
		p.Removed += len(slice.Endpoints) - len(kept)
		switch {
		case len(kept) == 0 && !same:
			p.Delete = append(p.Delete, slice)
		case !same || !maps.Equal(slice.Labels, labels):
			next.update = append(next.update, changed(slice, kept, labels))
		default:
			next.unchanged = append(next.unchanged, slice)
		}
	}
	next.added = g.rest()
	p.Added += len(next.added)
	return next
}

// pack finds a place for what is new.
func (in Input) pack(p *Plan, next *packing, from homes, labels map[string]string) {
	added := in.fill(next.update, next.added)
	for _, part := range from.divide(added, next.heritage, in.MaxEndpoints) {
		if i := in.closest(next.unchanged, len(part.endpoints)); i >= 0 {
			slice := next.unchanged[i]
			next.unchanged = slices.Delete(next.unchanged, i, i+1)
			next.update = append(next.update, changed(slice, append(slices.Clone(slice.Endpoints), part.endpoints...), labels))
			continue
		}
		slice := newSlice(in.Service, labels, p.Family, next.group.ports)
		slice.Endpoints = part.endpoints
		p.Create = append(p.Create, slice)
		if part.of != nil {
			p.reuse(part.of)
		}
	}
	p.Update = append(p.Update, next.update...)
	p.Unchanged = append(p.Unchanged, next.unchanged...)
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

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
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// InOrder sorts updates of existing slices for a writer that goes from the first
// to the last: an address that moves to another slice is there before it leaves
// the one it is in. Addresses that swap places cannot have that; equals keep
// their order.
func InOrder(updates, existing []*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice {
	if len(updates) < 2 {
		return updates
	}
	o := order{before: map[string]*discoveryv1.EndpointSlice{}, gains: map[string][]*discoveryv1.EndpointSlice{}, seen: map[string]bool{}}
	for _, slice := range existing {
		o.before[slice.Name] = slice
	}
	for _, update := range updates {
		for _, address := range missing(update, o.before[update.Name]) {
			o.gains[address] = append(o.gains[address], update)
		}
	}
	for _, update := range updates {
		o.visit(update)
	}
	return o.sorted
}

type order struct {
	before map[string]*discoveryv1.EndpointSlice
	// gains are the updates that add an address to their slice.
	gains  map[string][]*discoveryv1.EndpointSlice
	seen   map[string]bool
	sorted []*discoveryv1.EndpointSlice
}

func (o *order) visit(update *discoveryv1.EndpointSlice) {
	if o.seen[update.Name] {
		return
	}
	o.seen[update.Name] = true
	if before := o.before[update.Name]; before != nil && len(o.gains) > 0 {
		for _, address := range missing(before, update) {
			for _, first := range o.gains[address] {
				o.visit(first)
			}
		}
	}
	o.sorted = append(o.sorted, update)
}

// missing are the addresses of a slice that another, which may be nil, does not
// have.
func missing(slice, from *discoveryv1.EndpointSlice) (addresses []string) {
	had := map[string]bool{}
	if from != nil {
		for i := range from.Endpoints {
			had[addressOf(&from.Endpoints[i])] = true
		}
	}
	for i := range slice.Endpoints {
		if address := addressOf(&slice.Endpoints[i]); !had[address] {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

func addressOf(endpoint *discoveryv1.Endpoint) string {
	if len(endpoint.Addresses) == 1 {
		return endpoint.Addresses[0]
	}
	return strings.Join(sorted(endpoint.Addresses), ",")
}

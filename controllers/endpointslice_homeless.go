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

package controllers

import (
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// homeless are the endpoints of slices that could not be written. What they are to
// leave for such a slice has to keep them, or they would be in none.
type homeless map[homelessEndpoint]struct{}

// homelessEndpoint has the pod's name as well: pods may share a node's address.
type homelessEndpoint struct{ address, pod string }

func homelessKey(endpoint *discoveryv1.Endpoint) (key homelessEndpoint) {
	if len(endpoint.Addresses) > 0 {
		key.address = endpoint.Addresses[0]
	}
	if endpoint.TargetRef != nil {
		key.pod = endpoint.TargetRef.Name
	}
	return key
}

// add is for a slice that is not written.
func (h homeless) add(slice *discoveryv1.EndpointSlice) {
	for i := range slice.Endpoints {
		h[homelessKey(&slice.Endpoints[i])] = struct{}{}
	}
}

// leave tells whether one of them is in a slice as it is and not in what it is to
// become, which is nil if it is to go. It may not have been there before, either.
func (h homeless) leave(before, after *discoveryv1.EndpointSlice) bool {
	if len(h) == 0 || before == nil {
		return false
	}
	stays := map[homelessEndpoint]bool{}
	if after != nil {
		for i := range after.Endpoints {
			stays[homelessKey(&after.Endpoints[i])] = true
		}
	}
	return slices.ContainsFunc(before.Endpoints, func(endpoint discoveryv1.Endpoint) bool {
		key := homelessKey(&endpoint)
		_, held := h[key]
		return held && !stays[key]
	})
}

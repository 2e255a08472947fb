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

package policy

import (
	"net/netip"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// usable are the endpoints of one scope that new connections may go to: those
// that are ready or, when there are none, those that still answer while they
// terminate, so that a rollout of a single replica loses no connection
// (KEP-1669). A traffic policy narrows the scope before it asks here.
func usable(scope []model.Endpoint) []model.Endpoint {
	if ready := filter(scope, isReady); len(ready) > 0 {
		return ready
	}
	return filter(scope, isLeaving)
}

// known are the endpoints whose established flows must be left alone.
func known(endpoints []model.Endpoint) []model.Endpoint {
	return filter(endpoints, func(e model.Endpoint) bool { return e.Ready || e.Serving })
}

func isReady(e model.Endpoint) bool   { return e.Ready }
func isLeaving(e model.Endpoint) bool { return e.Serving && e.Terminating }

func filter(endpoints []model.Endpoint, keep func(model.Endpoint) bool) []model.Endpoint {
	var kept []model.Endpoint
	for _, endpoint := range endpoints {
		if keep(endpoint) {
			kept = append(kept, endpoint)
		}
	}
	return kept
}

// addresses keeps the order, which package model has sorted.
func addresses(endpoints []model.Endpoint) []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, endpoint := range endpoints {
		addrs = append(addrs, endpoint.Addr)
	}
	return addrs
}

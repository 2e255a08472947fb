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

// lists fills the lists of d. Most of the time they are the same, and then
// they share memory: a node holds those of the whole cluster.
func (d *Decision) lists(endpoints []model.Endpoint, place Place) {
	d.Known = addresses(endpoints, mayHoldFlows, nil)
	cluster := Select(endpoints, ClusterScope, place)
	all := addresses(endpoints, cluster.chooses, d.Known)
	near := func(e *model.Endpoint) bool { return place.mayHave(e) && cluster.chooses(e) }
	d.Cluster, d.Near = bounded(all), bounded(addresses(endpoints, near, all))
	if d.Internal == LocalScope || d.External == LocalScope {
		local := Select(endpoints, LocalScope, place)
		d.Local = bounded(addresses(endpoints, local.chooses, d.Known))
	}
}

// mayHoldFlows says whether established flows of e must be left alone.
func mayHoldFlows(e *model.Endpoint) bool { return e.Ready || e.Serving }

func (s Selection) chooses(e *model.Endpoint) bool { return s.Verdict(e) == Chosen }

// addresses are those of the endpoints to keep, in the order in which package
// model has sorted them, nil for none. all is returned in their place if it is
// as long: it is known to hold all that could be kept.
func addresses(endpoints []model.Endpoint, keep func(*model.Endpoint) bool, all []netip.AddrPort) []netip.AddrPort {
	count := 0
	for i := range endpoints {
		if keep(&endpoints[i]) {
			count++
		}
	}
	switch count {
	case 0:
		return nil
	case len(all):
		return all
	}
	list := make([]netip.AddrPort, 0, count)
	for i := range endpoints {
		if keep(&endpoints[i]) {
			list = append(list, endpoints[i].Addr)
		}
	}
	return list
}

// bounded cuts a list at what a Service can have.
func bounded(list []netip.AddrPort) []netip.AddrPort {
	n := min(len(list), model.MaxEndpoints)
	return list[:n:n]
}

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
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// weights are those of d's endpoints that do not weigh 1, nil for none.
func weights(port model.ServicePort, endpoints []model.Endpoint, d Decision) map[netip.AddrPort]uint16 {
	if d.Scheduler != model.Weighted {
		return nil
	}
	var found map[netip.AddrPort]uint16
	for i := range endpoints {
		weight := port.Traffic.Weights.Of(&endpoints[i])
		if weight == 1 || !d.uses(endpoints[i].Addr) {
			continue
		}
		if found == nil {
			found = map[netip.AddrPort]uint16{}
		}
		found[endpoints[i].Addr] = weight
	}
	return found
}

// uses says whether addr is in one of the lists.
func (d *Decision) uses(addr netip.AddrPort) bool {
	return contains(d.Cluster, addr) || contains(d.Local, addr)
}

// contains says whether addr is in list, which is sorted.
func contains(list []netip.AddrPort, addr netip.AddrPort) bool {
	_, found := slices.BinarySearchFunc(list, addr, netip.AddrPort.Compare)
	return found
}

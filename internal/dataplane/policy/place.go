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

// Place is where decisions are taken: they differ from node to node. It
// changes with the labels and addresses of the Node.
type Place struct {
	// NodeName is the name of this node's Node object.
	NodeName string
	// Zone is its label topology.kubernetes.io/zone, empty for none.
	Zone string
	// Addrs are the node's own addresses, of both families, as the cluster
	// knows them: not those of bridges, nor VIPs that the node happens to hold.
	Addrs []netip.Addr
}

// Equal says whether all decisions are the same in both places.
func (p Place) Equal(o Place) bool {
	return p.NodeName == o.NodeName && p.Zone == o.Zone && slices.Equal(p.Addrs, o.Addrs)
}

// has says whether e runs on this node. An endpoint of unknown node is on none.
func (p Place) has(e *model.Endpoint) bool { return e.NodeName != "" && e.NodeName == p.NodeName }

// mayHave says whether e may run on this node, for all that is known.
func (p Place) mayHave(e *model.Endpoint) bool { return e.NodeName == "" || p.has(e) }

// within says whether one of the node's addresses is in any of ranges.
func (p Place) within(ranges []netip.Prefix) bool {
	return slices.ContainsFunc(p.Addrs, func(addr netip.Addr) bool {
		return slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return r.Contains(addr) })
	})
}

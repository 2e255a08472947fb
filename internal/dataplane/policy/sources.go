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

// sourceRanges are the clients that may reach the load balancer's addresses
// vips in one family: nil for all of them, empty for none.
//
// Ranges of the other family say nothing about this one, and one that holds
// everybody makes the others pointless; kube-proxy reads them the same way.
func sourceRanges(all []netip.Prefix, vips []netip.Addr, family model.Family, place Place) []netip.Prefix {
	if all == nil {
		return nil
	}
	own := []netip.Prefix{}
	for _, prefix := range all {
		if model.FamilyOf(prefix.Addr()) != family {
			continue
		}
		if prefix.Bits() == 0 {
			return nil
		}
		own = append(own, prefix)
	}
	if len(own) == 0 && len(all) > 0 {
		return nil
	}
	// Where the load balancer's address is an address of the node, too, the
	// node reaches it from that very address.
	if place.within(own) {
		for _, vip := range vips {
			own = append(own, netip.PrefixFrom(vip, vip.BitLen()))
		}
	}
	slices.SortFunc(own, netip.Prefix.Compare)
	return slices.Compact(own)
}

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

package balancer

import (
	"net/netip"
	"slices"
)

// mustLeave says why a Service can not keep an address, or nothing. Who shares it
// is not looked at.
func (b *Book) mustLeave(e *entry, addr netip.Addr) *refusal {
	owner, owned := b.pools.OwnerOf(addr)
	switch {
	case !e.Served:
		return refuse(LossUnserved, "%s is released: the Service is of another type or class now", addr)
	case !slices.Contains(e.wanted(), familyOf(addr)):
		return refuse(LossFamily, "%s is released: the Service wants no address of %s any longer", addr, familyOf(addr))
	case !owned || !b.selects(owner, e):
		return refuse(LossPool, "%s is in no AddressPool for this Service any longer", addr)
	}
	return nil
}

func (b *Book) selects(pool int, e *entry) bool {
	return b.pools.Pool(pool).Selects(e.NamespaceLabels, e.Labels)
}

// maxHolders is how many Services one address can have, as its claim names each.
const maxHolders = 100

// refuseHolders says why a Service can not have the address of those who have it.
func (b *Book) refuseHolders(e *entry, addr netip.Addr) *refusal {
	owner, owned := b.pools.OwnerOf(addr)
	if holders := b.holders[addr]; len(holders) >= maxHolders && !slices.Contains(holders, e) {
		return refuse(ReasonSharing, "%s is not to be had: %d Services share it, which is as many as can", addr, maxHolders)
	}
	for _, other := range b.holders[addr] {
		if other == e || !owned {
			continue
		}
		why := refuseSharing(&e.Service, &other.Service, b.pools.Pool(owner).Sharing)
		if why == "" {
			continue
		}
		reason := ReasonInUse
		if e.SharingKey != "" && e.SharingKey == other.SharingKey {
			reason = ReasonSharing
		}
		name := "another namespace's Service"
		if other.Key.Namespace == e.Key.Namespace {
			name = "Service " + other.Key.Name
		}
		return refuse(reason, "%s is not to be had: %s %s", addr, name, why)
	}
	return nil
}

// sharingEnded is why a Service that has an address has to leave it to the others.
func (b *Book) sharingEnded(e *entry, addr netip.Addr) *refusal {
	why := b.refuseHolders(e, addr)
	if why == nil {
		return nil
	}
	return &refusal{LossSharing, why.message}
}

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

// Stale is a destination whose conntrack entries must go, but for those of the
// endpoints that may keep them. The kernel consults our tables only for the
// first packet of a flow, and a UDP flow ends only when its client falls
// silent, so a flow to an endpoint that is gone would never find another.
type Stale struct {
	Protocol model.Protocol
	Family   model.Family
	// Dst is the destination that clients sent to. For a NodePort its address
	// is not valid: it means each of the node's own addresses.
	Dst netip.AddrPort
	// Keep are the endpoints whose flows stay, sorted; none keeps nothing.
	Keep []netip.AddrPort
	// UnrepliedOnly leaves alone what has ever been answered.
	UnrepliedOnly bool
	// Amends renews a request that still waits, and is none by itself: there is
	// nothing to delete, but there is more to spare.
	Amends bool
}

// StaleFlows says which flows the step from one Decision for a ServicePort and
// family to the next makes stale. The zero Decision stands for "not there".
//
// A TCP or SCTP client learns from its peer, or by its own timers, that a
// connection is over, and must not be cut off before. But one that was never
// answered repeats its first packet for minutes, to the endpoint that it was
// given at first, and would do better with another.
//
// What is told may wait for its turn, and flows to an endpoint that came
// meanwhile must not be taken for stale. So every change of endpoints is told,
// and every new destination, which may have been another's a moment ago. Of UDP
// each is a reason to look, as kube-proxy cleans up after every one; of TCP and
// SCTP only that an endpoint has gone, since a look at all entries is not free.
func StaleFlows(before, after Decision) []Stale {
	changed := !slices.Equal(before.Known, after.Known)
	if !changed && sameDestinations(before, after) {
		return nil
	}
	protocol := protocolOf(before, after)
	amends := protocol != model.UDP && subset(before.Known, after.Known)
	family := max(before.Family, after.Family)
	held, wanted := destinations(before), destinations(after)
	var stale []Stale
	add := func(dst netip.AddrPort, keep []netip.AddrPort) {
		stale = append(stale, Stale{protocol, family, dst, keep, protocol != model.UDP, amends})
	}
	for _, dst := range wanted {
		// An entry made when dst was not ours leads to the VIP itself, and would
		// stay for ever.
		if changed || !slices.Contains(held, dst) {
			add(dst, after.Known)
		}
	}
	if amends {
		return stale
	}
	for _, dst := range held {
		if !slices.Contains(wanted, dst) {
			add(dst, nil)
		}
	}
	return stale
}

func protocolOf(before, after Decision) model.Protocol {
	return max(before.Name.Protocol, after.Name.Protocol) // one may be the zero Decision
}

// sameDestinations says whether clients can send to the same before and after.
func sameDestinations(a, b Decision) bool {
	return a.ClusterIP == b.ClusterIP && a.Port == b.Port && a.NodePort == b.NodePort &&
		slices.Equal(a.ExternalIPs, b.ExternalIPs) && slices.Equal(a.LoadBalancerIPs, b.LoadBalancerIPs)
}

// destinations are all that clients can send to, none for the zero Decision.
func destinations(d Decision) []netip.AddrPort {
	if !d.ClusterIP.IsValid() {
		return nil
	}
	list := []netip.AddrPort{netip.AddrPortFrom(d.ClusterIP, d.Port)}
	for _, vip := range d.ExternalVIPs() {
		list = append(list, netip.AddrPortFrom(vip, d.Port))
	}
	if d.NodePort != 0 {
		list = append(list, netip.AddrPortFrom(netip.Addr{}, d.NodePort))
	}
	return list
}

// subset says whether all of a, sorted, are in b, sorted.
func subset(a, b []netip.AddrPort) bool {
	for _, addr := range a {
		if _, found := slices.BinarySearchFunc(b, addr, netip.AddrPort.Compare); !found {
			return false
		}
	}
	return true
}

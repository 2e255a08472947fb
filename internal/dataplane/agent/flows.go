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

package agent

import (
	"net/netip"
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// flowsOf turns stale destinations into what conntrack looks for.
func (l *lane) flowsOf(stale []policy.Stale) []conntrack.Stale {
	flows := make([]conntrack.Stale, 0, len(stale))
	for _, s := range stale {
		flow := conntrack.Stale{
			Protocol: s.Protocol, Port: s.Dst.Port(), Allowed: s.Keep, UnrepliedOnly: s.UnrepliedOnly, Amends: s.Amends,
		}
		if len(s.Keep) == 0 {
			flow.Allowed = l.inherited(s)
		}
		if flow.Addrs = l.addressesOf(s); len(flow.Addrs) > 0 {
			flows = append(flows, flow)
		}
	}
	return flows
}

// inherited are the endpoints behind a destination in the table now. Who lost it
// knows of none to keep, but it may have gone to another, even a while ago: a
// Service that waits for the rest of a rename keeps its destinations for longer
// than they are its own.
func (l *lane) inherited(s policy.Stale) []netip.AddrPort {
	owner, ok := l.decider.owner(s.Dst.Addr(), s.Protocol, s.Dst.Port())
	if !ok && slices.Contains(l.nodePorts, s.Dst.Addr()) {
		owner, ok = l.decider.owner(netip.Addr{}, s.Protocol, s.Dst.Port())
	}
	if held := l.held[owner]; ok && held != nil {
		return held.Known
	}
	return nil
}

// addressesOf keeps a NodePort to the node's own addresses: elsewhere the same
// port number may be anybody's. So it may on an address of the node's that a
// Service has as a VIP.
func (l *lane) addressesOf(s policy.Stale) []netip.Addr {
	if addr := s.Dst.Addr(); addr.IsValid() {
		return []netip.Addr{addr}
	}
	isVIP := func(addr netip.Addr) bool {
		_, owned := l.decider.owner(addr, s.Protocol, s.Dst.Port())
		return owned
	}
	if !slices.ContainsFunc(l.nodePorts, isVIP) {
		return l.nodePorts
	}
	return slices.DeleteFunc(slices.Clone(l.nodePorts), isVIP)
}

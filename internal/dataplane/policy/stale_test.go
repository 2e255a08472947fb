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
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// udp is the IPv4 Decision of a UDP port with the given known endpoints.
func udp(known ...string) Decision {
	return Decision{
		Name:   model.ServicePortName{Namespace: "default", Name: "dns", Protocol: model.UDP},
		Family: model.IPv4, Port: 53, NodePort: 30053, ClusterIP: netip.MustParseAddr("10.96.0.10"),
		ExternalIPs: addrs("192.0.2.1"), Cluster: addrPorts(known...), Known: addrPorts(known...),
	}
}

func TestWhichFlowsGoStale(t *testing.T) {
	everywhere := func(keep ...string) []Stale {
		var list []Stale
		for _, dst := range []netip.AddrPort{
			netip.MustParseAddrPort("10.96.0.10:53"), netip.MustParseAddrPort("192.0.2.1:53"), netip.AddrPortFrom(netip.Addr{}, 30053),
		} {
			list = append(list, Stale{Protocol: model.UDP, Family: model.IPv4, Dst: dst, Keep: addrPorts(keep...)})
		}
		return list
	}
	one := func(dst string, keep ...string) []Stale {
		return []Stale{{Protocol: model.UDP, Family: model.IPv4, Dst: netip.MustParseAddrPort(dst), Keep: addrPorts(keep...)}}
	}
	over := func(p model.Protocol) func(*Decision) { return func(d *Decision) { d.Name.Protocol = p } }
	unreplied := func(p model.Protocol, list []Stale) []Stale {
		for i := range list {
			list[i].Protocol, list[i].UnrepliedOnly = p, true
		}
		return list
	}
	amends := func(p model.Protocol, list []Stale) []Stale {
		for i := range unreplied(p, list) {
			list[i].Amends = true
		}
		return list
	}
	with := func(d Decision, change func(*Decision)) Decision { change(&d); return d }
	const a, b = "10.0.0.1:53", "10.0.0.2:53"
	for name, tc := range map[string]struct {
		before, after Decision
		want          []Stale
	}{
		"nothing changed": {before: udp(a, b), after: udp(a, b)},
		// A request of a moment ago may still wait, and knows nothing of b.
		"an endpoint more is to be spared":                       {before: udp(a), after: udp(a, b), want: everywhere(a, b)},
		"an endpoint less":                                       {before: udp(a, b), after: udp(b), want: everywhere(b)},
		"an endpoint exchanged":                                  {before: udp(a), after: udp(b), want: everywhere(b)},
		"scaled to zero":                                         {before: udp(a), after: udp(), want: everywhere()},
		"the first endpoint":                                     {before: udp(), after: udp(a), want: everywhere(a)},
		"nothing before and nothing now":                         {before: udp(), after: udp()},
		"the first programming finds flows that slipped through": {after: udp(a), want: everywhere(a)},
		"the Service is deleted":                                 {before: udp(a), want: everywhere()},
		"one that terminates but answers keeps its flows": {
			before: udp(a, b), after: with(udp(a, b), func(d *Decision) { d.Cluster = addrPorts(b) }),
		},
		"a new VIP": {
			before: with(udp(a), func(d *Decision) { d.ExternalIPs = nil }), after: udp(a), want: one("192.0.2.1:53", a),
		},
		"a VIP taken away": {
			before: udp(a), after: with(udp(a), func(d *Decision) { d.ExternalIPs = nil }), want: one("192.0.2.1:53"),
		},
		"the ClusterIP's port moves": {
			before: udp(a), after: with(udp(a), func(d *Decision) { d.Port = 54; d.ExternalIPs = nil }),
			want: slices.Concat(one("10.96.0.10:54", a), one("10.96.0.10:53"), one("192.0.2.1:53")),
		},
		"of TCP only what was never answered by an endpoint that is gone": {
			before: with(udp(a, b), over(model.TCP)), after: with(udp(b), over(model.TCP)), want: unreplied(model.TCP, everywhere(b)),
		},
		"SCTP likewise": {
			before: with(udp(a), over(model.SCTP)), after: with(udp(), over(model.SCTP)), want: unreplied(model.SCTP, everywhere()),
		},
		"a TCP Service is deleted": {before: with(udp(a), over(model.TCP)), want: unreplied(model.TCP, everywhere())},
		// No reason for a walk, but one may wait that knows nothing of b.
		"an endpoint more of TCP": {
			before: with(udp(a), over(model.TCP)), after: with(udp(a, b), over(model.TCP)), want: amends(model.TCP, everywhere(a, b)),
		},
		"an endpoint more of SCTP": {
			before: with(udp(a), over(model.SCTP)), after: with(udp(a, b), over(model.SCTP)), want: amends(model.SCTP, everywhere(a, b)),
		},
		"a TCP endpoint exchanged": {
			before: with(udp(a), over(model.TCP)), after: with(udp(b), over(model.TCP)), want: unreplied(model.TCP, everywhere(b)),
		},
		// Its address may have been another's a moment ago.
		"a TCP Service appears":        {after: with(udp(a), over(model.TCP)), want: amends(model.TCP, everywhere(a))},
		"nothing changed of TCP":       {before: with(udp(a), over(model.TCP)), after: with(udp(a), over(model.TCP))},
		"a TCP port without endpoints": {after: with(udp(), over(model.TCP)), want: amends(model.TCP, everywhere())},
		"a new TCP VIP": {
			before: with(udp(a), func(d *Decision) { d.Name.Protocol = model.TCP; d.ExternalIPs = nil }),
			after:  with(udp(a), over(model.TCP)), want: amends(model.TCP, one("192.0.2.1:53", a)),
		},
		"a TCP VIP taken away while its endpoints stay": {
			before: with(udp(a), over(model.TCP)), after: with(udp(a), func(d *Decision) { d.Name.Protocol = model.TCP; d.ExternalIPs = nil }),
		},
		"a load balancer's IP of UDP": {
			before: udp(a), after: with(udp(a), func(d *Decision) { d.LoadBalancerIPs = addrs("192.0.2.7") }), want: one("192.0.2.7:53", a),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, StaleFlows(tc.before, tc.after), comparable); diff != "" {
				t.Errorf("stale (-want +got):\n%s", diff)
			}
		})
	}
}

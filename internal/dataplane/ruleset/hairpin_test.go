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

package ruleset

import (
	"fmt"
	"net/netip"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// detectLocalModes are the ways to know this node's pods.
func detectLocalModes(family model.Family) map[string]func(*policy.Node, *policy.Features) {
	cluster := netip.PrefixFrom(ip(family, 0, 0), map[model.Family]int{model.IPv4: 8, model.IPv6: 16}[family]).Masked()
	return map[string]func(*policy.Node, *policy.Features){
		"NodeCIDR":           func(*policy.Node, *policy.Features) {},
		"ClusterCIDR":        func(n *policy.Node, _ *policy.Features) { n.LocalPods = []netip.Prefix{cluster} },
		"none":               func(n *policy.Node, _ *policy.Features) { n.LocalPods = nil },
		"by interface":       func(n *policy.Node, f *policy.Features) { n.LocalPods, f.LocalInterface = nil, "cali*" },
		"and masquerade-all": func(n *policy.Node, _ *policy.Features) { n.MasqueradeAll = true },
	}
}

// Whoever may be led to himself would answer himself directly. At this node
// that is an endpoint of its own, wherever it sends to, and one of another node
// at what others translate for it: ClusterIPs are translated where the client is.
func TestWhoIsLedToHimselfIsMasqueraded(t *testing.T) {
	for _, family := range families {
		here, there := endpoints(family, podNet, 1, 2), endpoints(family, otherNet, 100)
		for mode, change := range detectLocalModes(family) {
			for _, internal := range []policy.Scope{policy.ClusterScope, policy.LocalScope} {
				for _, external := range []policy.Scope{policy.ClusterScope, policy.LocalScope} {
					d := clusterIP(family, "web", 1, model.TCP, append(append([]netip.AddrPort(nil), here...), there...))
					d.Near, d.Internal, d.External = here, internal, external
					if internal == policy.LocalScope || external == policy.LocalScope {
						d.Local = here
					}
					d.LoadBalancerIPs, d.NodePort = []netip.Addr{ip(family, publicNet, 1)}, 30001
					node, features := testNode(family), policy.Features{}
					change(&node, &features)
					planner := Planner{Features: features}
					planner.Sync(node, []policy.Decision{d}, nil)
					outside := []netip.AddrPort{
						netip.AddrPortFrom(d.LoadBalancerIPs[0], 80), netip.AddrPortFrom(node.NodePortAddrs[0], d.NodePort),
					}
					loops := 0
					expect := func(source netip.Addr, link string, to netip.AddrPort) {
						packet := Packet{Source: source, To: Frontend{model.TCP, to}, Interface: link}
						for _, target := range (Tracer{NewSchema(family, features), planner.Elements()}).Trace(packet).Targets {
							if target.Endpoint.Addr() != source {
								continue
							}
							if loops++; !target.Masqueraded {
								t.Errorf("%s %s, internal %d, external %d: %s reaches itself by %s as who it is", family, mode, internal, external, source, to)
							}
						}
					}
					for _, to := range append(outside, netip.AddrPortFrom(d.ClusterIP, 80)) {
						expect(here[0].Addr(), "cali1", to)
					}
					for _, to := range outside {
						expect(there[0].Addr(), "eth0", to)
					}
					if loops < 3 {
						t.Errorf("%s %s, internal %d, external %d: only %d of 3 ways lead an endpoint to itself", family, mode, internal, external, loops)
					}
				}
			}
		}
	}
}

// What no one needs costs an element for every endpoint of the cluster.
func TestEndpointsOfOtherNodesAreInHairpinOnlyIfTheyCanComeHere(t *testing.T) {
	family := model.IPv4
	there := endpoints(family, otherNet, 100)
	for mode, change := range detectLocalModes(family) {
		for external, want := range map[policy.Scope]map[string]int{
			policy.ClusterScope: {},
			policy.LocalScope:   {"ClusterCIDR": 1, "by interface": 1},
		} {
			d := clusterIP(family, "web", 1, model.TCP, there)
			d.Near, d.External, d.NodePort = nil, external, 30001
			node, features := testNode(family), policy.Features{}
			change(&node, &features)
			planner := Planner{Features: features}
			planner.Sync(node, []policy.Decision{d}, nil)
			if got := len(planner.Elements()[Hairpin]); got != want[mode] {
				t.Errorf("%s: %d elements, want %d", fmt.Sprint(mode, ", external ", external), got, want[mode])
			}
		}
	}
}

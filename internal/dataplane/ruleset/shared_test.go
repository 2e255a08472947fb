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

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// A load balancer may hand out an address of the node, and a port of the Service
// behind it may be the number of another one's NodePort. The VIP has it, in
// everything that the table says of it, whatever the names are.
func TestAVIPOnTheNodesAddressComesBeforeANodePort(t *testing.T) {
	for _, family := range families {
		public, pod := ip(family, publicNet, 77), ip(family, podNet, 77)
		at := Frontend{model.TCP, netip.AddrPortFrom(ip(family, nodeNet, 1), 30080)}
		elsewhere := Frontend{model.TCP, netip.AddrPortFrom(ip(family, nodeNet, 2), 30080)}
		inside, outside := netip.PrefixFrom(public, public.BitLen()), netip.PrefixFrom(pod, pod.BitLen())
		type change func(vip, port *policy.Decision, node *policy.Node)
		for name, tc := range map[string]struct {
			change          change
			from            netip.Addr
			want, wantOther fate
		}{
			"its endpoints": {func(*policy.Decision, *policy.Decision, *policy.Node) {}, public,
				fate{Hosts: []int{1}, Masqueraded: true}, fate{Hosts: []int{2}, Masqueraded: true}},
			"it keeps its clients' addresses": {func(vip, _ *policy.Decision, _ *policy.Node) {
				vip.External, vip.Local = policy.LocalScope, vip.Cluster
			}, public, fate{Hosts: []int{1}}, fate{Hosts: []int{2}, Masqueraded: true}},
			"the NodePort keeps its own": {func(_, port *policy.Decision, _ *policy.Node) {
				port.External, port.Local = policy.LocalScope, port.Cluster
			}, public, fate{Hosts: []int{1}, Masqueraded: true}, fate{Hosts: []int{2}}},
			"its ranges keep others out": {func(vip, port *policy.Decision, node *policy.Node) {
				vip.SourceRanges, port.SourceRanges, node.RestrictNodePorts = []netip.Prefix{outside}, []netip.Prefix{inside}, true
			}, public, fate{Dropped: true}, fate{Hosts: []int{2}, Masqueraded: true}},
			"its ranges let in whom the NodePort's do not": {func(vip, port *policy.Decision, node *policy.Node) {
				vip.SourceRanges, port.SourceRanges, node.RestrictNodePorts = []netip.Prefix{inside}, []netip.Prefix{outside}, true
			}, public, fate{Hosts: []int{1}, Masqueraded: true}, fate{Dropped: true}},
			"it has no endpoints": {func(vip, _ *policy.Decision, _ *policy.Node) {
				vip.Cluster = nil
			}, public, fate{Refused: true}, fate{Hosts: []int{2}, Masqueraded: true}},
			"the NodePort has none": {func(_, port *policy.Decision, _ *policy.Node) {
				port.Cluster = nil
			}, public, fate{Hosts: []int{1}, Masqueraded: true}, fate{Refused: true}},
		} {
			for _, names := range [][2]string{{"a", "b"}, {"b", "a"}} {
				t.Run(fmt.Sprintf("%s %s, the VIP is of %s", family, name, names[0]), func(t *testing.T) {
					node := testNode(family)
					vip := clusterIP(family, names[0], 1, model.TCP, endpoints(family, podNet, 1))
					vip.Port, vip.LoadBalancerIPs = at.Addr.Port(), []netip.Addr{at.Addr.Addr()}
					port := clusterIP(family, names[1], 2, model.TCP, endpoints(family, podNet, 2))
					port.NodePort = at.Addr.Port()
					tc.change(&vip, &port, &node)
					expect := func(when string, planner *Planner, to Frontend, want fate) {
						t.Helper()
						trace := Tracer{NewSchema(family, policy.Features{}), planner.Elements()}.Trace(Packet{Source: tc.from, To: to})
						if diff := cmp.Diff(want, fateOf(family, trace)); diff != "" {
							t.Errorf("%s: -want +got:\n%s\nsteps: %q", when, diff, trace.Steps)
						}
					}
					var p Planner
					k := newKernel(t)
					k.carryOut(p.Sync(node, []policy.Decision{vip, port}, nil))
					expect("at the VIP", &p, at, tc.want)
					expect("at another address of the node", &p, elsewhere, tc.wantOther)
					k.carryOut(p.Apply(nil, []model.ServicePortName{vip.Name}))
					expect("once the VIP is gone", &p, at, tc.wantOther)
					k.carryOut(p.Apply([]policy.Decision{vip}, nil))
					expect("once it is back", &p, at, tc.want)
					if diff := cmp.Diff(p.Elements(), nonEmpty(k.elements)); diff != "" {
						t.Errorf("-planner +kernel:\n%s", diff)
					}
				})
			}
		}
	}
}

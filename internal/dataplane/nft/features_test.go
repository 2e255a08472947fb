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
package nft_test

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
	"switchyard.dev/switchyard/internal/netns"
)

var everyFeature = policy.Features{LocalInterface: "cali*", AnswerEcho: true, LocalhostNodePorts: true, CountConnections: true, RefusePooled: true}

func TestTheStockToolKnowsEveryFeature(t *testing.T) {
	for name, features := range map[string]policy.Features{
		"all": everyFeature, "one interface": {LocalInterface: "cbr0"}, "echo": {AnswerEcho: true},
		"localhost": {LocalhostNodePorts: true}, "counters": {CountConnections: true}, "pools": {RefusePooled: true},
	} {
		for _, family := range families {
			t.Run(name+" "+family.String(), func(t *testing.T) {
				ns, elsewhere := newNamespace(t), newNamespace(t)
				opts := nft.Options{Features: features}
				fullSync(t, open(t, ns, family, opts), node(family), mixture(family))
				listed := list(t, ns, family)
				tool(t, elsewhere, listed, "-f", "-")
				if diff := cmp.Diff(sorted(listed), sorted(list(t, elsewhere, family))); diff != "" {
					t.Errorf("-ours +loaded:\n%s", diff)
				}
				for _, ns := range []*netns.Namespace{ns, elsewhere} {
					if result := fullSync(t, open(t, ns, family, opts), node(family), mixture(family)); result.Transactions != 0 {
						t.Errorf("a second full sync wrote: %+v", result)
					}
				}
			})
		}
	}
}

func TestATableOfOtherFeaturesIsReplaced(t *testing.T) {
	ns := newNamespace(t)
	fullSync(t, open(t, ns, model.IPv4, nft.Options{}), node(model.IPv4), mixture(model.IPv4))
	result := fullSync(t, open(t, ns, model.IPv4, nft.Options{Features: everyFeature}), node(model.IPv4), mixture(model.IPv4))
	if !result.Recreated {
		t.Errorf("%+v, want it recreated", result)
	}
	expectNoStandIn(t, ns)
}

func TestConnectionsAreCountedThroughChangesAndRestarts(t *testing.T) {
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			ns := newNamespace(t)
			leadEverywhere(t, ns, family)
			opts := nft.Options{Features: policy.Features{CountConnections: true}}
			first, second := decision(family, 1, 2), decision(family, 2, 2)
			first.Name.Protocol, second.Name.Protocol = model.UDP, model.UDP
			ours := open(t, ns, family, opts)
			fullSync(t, ours, node(family), []policy.Decision{first, second})
			want := map[ruleset.Frontend]uint64{frontend(first): 0, frontend(second): 0}
			count := func(when string) {
				t.Helper()
				got, err := ours.Connections(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, maps.Clone(got), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
					t.Errorf("%s: -want +got:\n%s", when, diff)
				}
			}
			count("at first")
			for range 3 {
				connect(t, ns, frontend(first))
			}
			want[frontend(first)] = 3
			count("after three connections")
			first.Cluster = first.Cluster[:1]
			if _, err := ours.Apply(context.Background(), []policy.Decision{first}, nil); err != nil {
				t.Fatal(err)
			}
			count("after a change of endpoints")
			ours = open(t, ns, family, opts)
			fullSync(t, ours, node(family), []policy.Decision{first, second})
			connect(t, ns, frontend(first))
			want[frontend(first)] = 4
			count("after a restart")
		})
	}
}

func frontend(d policy.Decision) ruleset.Frontend {
	return ruleset.Frontend{Protocol: d.Name.Protocol, Addr: netip.AddrPortFrom(d.ClusterIP, d.Port)}
}

// leadEverywhere gives a namespace a route for any destination.
func leadEverywhere(t *testing.T, ns *netns.Namespace, family model.Family) {
	t.Helper()
	err := ns.Do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			return err
		}
		everywhere := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
		if family == model.IPv6 {
			everywhere = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
		}
		return netlink.RouteReplace(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: everywhere})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// connect sends one datagram from a port of its own.
func connect(t *testing.T, ns *netns.Namespace, to ruleset.Frontend) {
	t.Helper()
	err := ns.Do(func() error {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to.Addr))
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		_, err = conn.Write([]byte("hello"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

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

package layout

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var compareNet = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func TestNumbering(t *testing.T) {
	tests := map[string]struct {
		nodes int
		zones []string
		index int
		want  Node
	}{
		"the first node has the first pod ranges and no zone": {
			nodes: 2, index: 0,
			want: Node{
				Name:     "node-1",
				Addrs:    prefixes("172.30.0.11/24", "fd00:172:30::11/64"),
				PodCIDRs: prefixes("10.244.1.0/24", "fd00:10:244:1::/64"),
			},
		},
		"zones are dealt out in turn": {
			nodes: 3, zones: []string{"a", "b"}, index: 2,
			want: Node{
				Name: "node-3", Zone: "a",
				Addrs:    prefixes("172.30.0.13/24", "fd00:172:30::13/64"),
				PodCIDRs: prefixes("10.244.3.0/24", "fd00:10:244:3::/64"),
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := New(tc.nodes, tc.zones)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, c.Nodes[tc.index], compareNet); diff != "" {
				t.Errorf("node (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheLargestClusterHasNoNumberTwice(t *testing.T) {
	c, err := New(MaxNodes, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[netip.Prefix]string{}
	for _, p := range c.Outside {
		seen[netip.PrefixFrom(p.Addr(), p.Addr().BitLen())] = "outside"
	}
	pods := prefixes("10.244.0.0/16", "fd00:10:244::/48")
	for _, n := range c.Nodes {
		for i, p := range append(n.PodCIDRs, hostPrefixes(n.IPs())...) {
			if other, taken := seen[p]; taken {
				t.Errorf("%s has %v, which %s has too", n.Name, p, other)
			}
			seen[p] = n.Name
			if i < 2 && !pods[i].Overlaps(p) {
				t.Errorf("pod range %v of %s is outside %v", p, n.Name, pods[i])
			}
		}
		for i, p := range n.Addrs {
			if !c.Outside[i].Contains(p.Addr()) {
				t.Errorf("%s at %v can not reach its gateway %v", n.Name, p, c.Outside[i])
			}
		}
	}
}

func TestLoadBalancersHaveAddressesOfNobody(t *testing.T) {
	c, err := New(MaxNodes, nil)
	if err != nil {
		t.Fatal(err)
	}
	last := c.Nodes[MaxNodes-1]
	for i, text := range LoadBalancerRanges() {
		first, end, _ := strings.Cut(text, "-")
		low, high := netip.MustParseAddr(first), netip.MustParseAddr(end)
		if !c.Outside[i].Contains(low) || !c.Outside[i].Contains(high) || !last.IPs()[i].Less(low) || !low.Less(high) {
			t.Errorf("%s is not on the network %v behind %v", text, c.Outside[i], last.IPs()[i])
		}
	}
}

func TestImpossibleSizes(t *testing.T) {
	for _, nodes := range []int{-1, 0, MaxNodes + 1} {
		if _, err := New(nodes, nil); err == nil {
			t.Errorf("a cluster of %d nodes was numbered", nodes)
		}
	}
}

func prefixes(values ...string) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(values))
	for _, v := range values {
		out = append(out, netip.MustParsePrefix(v))
	}
	return out
}

func hostPrefixes(ips []netip.Addr) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(ips))
	for _, ip := range ips {
		out = append(out, netip.PrefixFrom(ip, ip.BitLen()))
	}
	return out
}

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
	"fmt"
	"net/netip"
)

// MaxNodes is how many nodes the numbering has room for.
const MaxNodes = 100

// What every cluster has in common.
const (
	ServiceCIDRs  = "10.96.0.0/16,fd00:10:96::/112"
	PodCIDRs      = "10.244.0.0/16,fd00:10:244::/48"
	ClusterDomain = "cluster.local"
)

// DNSAddrs are the ClusterIPs of the cluster's DNS Service, IPv4 first.
func DNSAddrs() []netip.Addr {
	return []netip.Addr{netip.MustParseAddr("10.96.0.10"), netip.MustParseAddr("fd00:10:96::a")}
}

// APIServerVIPs are the ClusterIPs of default/kubernetes.
func APIServerVIPs() []netip.Addr {
	return []netip.Addr{netip.MustParseAddr("10.96.0.1"), netip.MustParseAddr("fd00:10:96::1")}
}

// LoadBalancerRanges are the addresses that Services of type LoadBalancer get, IPv4
// first. They are on the nodes' network, above the last node that there can be.
func LoadBalancerRanges() []string {
	return []string{"172.30.0.200-172.30.0.250", "fd00:172:30::200-fd00:172:30::250"}
}

// Cluster is the network of a cluster.
type Cluster struct {
	// Outside are the addresses of the world outside on the nodes' network,
	// with its prefix length; it is the nodes' default gateway.
	Outside []netip.Prefix
	Nodes   []Node
}

// Node is one node's place in the network. Lists hold one value per IP family,
// IPv4 first.
type Node struct {
	Name string
	// Zone is the topology.kubernetes.io/zone label, or empty.
	Zone string
	// Addrs are the node's addresses, with the prefix length of their network.
	Addrs    []netip.Prefix
	PodCIDRs []netip.Prefix
}

// New numbers a cluster of 1 to MaxNodes nodes. Zones are dealt out to the
// nodes in turn.
func New(nodes int, zones []string) (Cluster, error) {
	if nodes < 1 || nodes > MaxNodes {
		return Cluster{}, fmt.Errorf("a cluster of %d nodes: the number must be from 1 to %d", nodes, MaxNodes)
	}
	c := Cluster{Outside: []netip.Prefix{
		netip.MustParsePrefix("172.30.0.1/24"),
		netip.MustParsePrefix("fd00:172:30::1/64"),
	}}
	for i := 1; i <= nodes; i++ {
		c.Nodes = append(c.Nodes, node(i, zones))
	}
	return c, nil
}

// node numbers the i-th node, from 1. The IPv6 numbers repeat the decimal
// digits of the IPv4 ones, for the eye.
func node(i int, zones []string) Node {
	n := Node{
		Name: fmt.Sprintf("node-%d", i),
		Addrs: []netip.Prefix{
			netip.MustParsePrefix(fmt.Sprintf("172.30.0.%d/24", 10+i)),
			netip.MustParsePrefix(fmt.Sprintf("fd00:172:30::%d/64", 10+i)),
		},
		PodCIDRs: []netip.Prefix{
			netip.MustParsePrefix(fmt.Sprintf("10.244.%d.0/24", i)),
			netip.MustParsePrefix(fmt.Sprintf("fd00:10:244:%d::/64", i)),
		},
	}
	if len(zones) > 0 {
		n.Zone = zones[(i-1)%len(zones)]
	}
	return n
}

// IPs are the node's addresses, IPv4 first.
func (n Node) IPs() []netip.Addr {
	ips := make([]netip.Addr, 0, len(n.Addrs))
	for _, p := range n.Addrs {
		ips = append(ips, p.Addr())
	}
	return ips
}

// Gateways are the addresses of the world outside, IPv4 first.
func (c Cluster) Gateways() []netip.Addr {
	gateways := make([]netip.Addr, 0, len(c.Outside))
	for _, p := range c.Outside {
		gateways = append(gateways, p.Addr())
	}
	return gateways
}

// ControlPlane is the node that the control plane runs on.
func (c Cluster) ControlPlane() Node { return c.Nodes[0] }

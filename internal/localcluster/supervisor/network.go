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

package supervisor

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/netns"
)

// The devices of the nodes' network: a bridge in the supervisor's namespace,
// which is the world outside, and one device in each node's.
const (
	bridgeName = "outside"
	nodeDevice = "eth0"
)

// network is the cluster's network: the bridge and a namespace per node.
type network struct {
	nodes map[string]*netns.Namespace
}

// buildNetwork makes the nodes' namespaces, below dir, and connects them.
func buildNetwork(cluster layout.Cluster, dir string) (*network, error) {
	if err := setSysctls(outsideSysctls); err != nil {
		return nil, err
	}
	outside, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("opening netlink: %w", err)
	}
	defer outside.Close()
	bridge, err := addBridge(outside, cluster.Outside)
	if err != nil {
		return nil, fmt.Errorf("making the bridge of the nodes: %w", err)
	}
	n := &network{nodes: map[string]*netns.Namespace{}}
	for _, node := range cluster.Nodes {
		namespace, err := netns.NewNamed(dir, node.Name)
		if err != nil {
			return nil, err
		}
		n.nodes[node.Name] = namespace
		if err := plugNode(outside, bridge, namespace, node, cluster); err != nil {
			return nil, fmt.Errorf("connecting %s: %w", node.Name, err)
		}
	}
	// The router outside sends what is not on its own network to the first
	// node: externalIPs and load-balancer IPs are reached this way.
	if err := addDefaultRoutes(outside, bridge, cluster.ControlPlane().IPs()); err != nil {
		return nil, fmt.Errorf("routing from outside: %w", err)
	}
	return n, nil
}

func addBridge(h *netlink.Handle, addrs []netip.Prefix) (netlink.Link, error) {
	snooping := false // with no querier around, snooping loses neighbour discovery
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName}, MulticastSnooping: &snooping}
	if err := h.LinkAdd(bridge); err != nil {
		return nil, err
	}
	return bridge, configureDevice(h, bridge, addrs)
}

// plugNode gives the node its device on the bridge, its addresses, and its
// routes to the other nodes' pods and to the world outside.
func plugNode(outside *netlink.Handle, bridge netlink.Link, namespace *netns.Namespace, node layout.Node, cluster layout.Cluster) error {
	err := namespace.Do(func() error {
		if err := setSysctls(nodeSysctls); err != nil {
			return err
		}
		return netns.LoopbackUp()
	})
	if err != nil {
		return err
	}
	port := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: node.Name, MasterIndex: bridge.Attrs().Index},
		PeerName:      nodeDevice,
		PeerNamespace: netlink.NsFd(namespace.Fd()),
	}
	if err := outside.LinkAdd(port); err != nil {
		return fmt.Errorf("adding its link: %w", err)
	}
	if err := outside.LinkSetUp(port); err != nil {
		return fmt.Errorf("setting its link up: %w", err)
	}
	return namespace.Do(func() error { return configureNode(node, cluster) })
}

// configureNode runs inside the node's namespace.
func configureNode(node layout.Node, cluster layout.Cluster) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("opening netlink: %w", err)
	}
	defer h.Close()
	device, err := h.LinkByName(nodeDevice)
	if err != nil {
		return fmt.Errorf("finding %s: %w", nodeDevice, err)
	}
	if err := configureDevice(h, device, node.Addrs); err != nil {
		return err
	}
	for _, peer := range cluster.Nodes {
		if peer.Name == node.Name {
			continue
		}
		for i, pods := range peer.PodCIDRs {
			if err := addRoute(h, device, pods, peer.Addrs[i].Addr()); err != nil {
				return fmt.Errorf("routing to the pods of %s: %w", peer.Name, err)
			}
		}
	}
	return addDefaultRoutes(h, device, cluster.Gateways())
}

func configureDevice(h *netlink.Handle, device netlink.Link, addrs []netip.Prefix) error {
	for _, addr := range addrs {
		// No duplicate address detection: an IPv6 address would be unusable for
		// the first second of the cluster.
		if err := h.AddrAdd(device, &netlink.Addr{IPNet: ipNet(addr), Flags: unix.IFA_F_NODAD}); err != nil {
			return fmt.Errorf("adding address %v: %w", addr, err)
		}
	}
	if err := h.LinkSetUp(device); err != nil {
		return fmt.Errorf("setting %s up: %w", device.Attrs().Name, err)
	}
	return nil
}

func addDefaultRoutes(h *netlink.Handle, device netlink.Link, gateways []netip.Addr) error {
	for _, gateway := range gateways {
		everything := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if gateway.Is6() {
			everything = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		if err := addRoute(h, device, everything, gateway); err != nil {
			return err
		}
	}
	return nil
}

func addRoute(h *netlink.Handle, device netlink.Link, to netip.Prefix, via netip.Addr) error {
	route := &netlink.Route{LinkIndex: device.Attrs().Index, Dst: ipNet(to), Gw: net.IP(via.AsSlice())}
	if err := h.RouteAdd(route); err != nil {
		return fmt.Errorf("adding route %v via %v: %w", to, via, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

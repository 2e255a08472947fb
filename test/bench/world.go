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

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/netns"
)

var (
	nodeAddress    = netip.MustParseAddr("172.31.0.2")
	controlAddress = netip.MustParseAddr("172.31.0.1")
	clientLink     = [2]netip.Addr{netip.MustParseAddr("172.31.1.1"), netip.MustParseAddr("172.31.1.2")}
	serverLink     = [2]netip.Addr{netip.MustParseAddr("172.31.2.1"), netip.MustParseAddr("172.31.2.2")}
)

// world is a node with an empty table, and those who talk through it.
type world struct {
	control, node, client, servers *netns.Namespace
	stopServers                    func()
}

// newWorld joins new namespaces to the current one.
func newWorld() (*world, error) {
	w := &world{}
	var err error
	if w.control, err = netns.Current(); err != nil {
		return nil, err
	}
	for _, ns := range []**netns.Namespace{&w.node, &w.client, &w.servers} {
		if *ns, err = netns.New(); err != nil {
			return nil, err
		}
		if err := (*ns).Do(func() error { return up("lo") }); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.wire(), w.route()); err != nil {
		return nil, fmt.Errorf("building the networks: %w", err)
	}
	w.stopServers, err = serve(w.servers)
	return w, err
}

func (w *world) close() {
	w.stopServers()
	_ = w.control.Do(func() error { return remove("node") })
	for _, ns := range []*netns.Namespace{w.control, w.node, w.client, w.servers} {
		_ = ns.Close()
	}
}

// wire makes a link from the node to each of the others.
func (w *world) wire() error {
	return errors.Join(
		link(w.control, "node", controlAddress, w.node, "control", nodeAddress),
		link(w.client, "eth0", clientLink[1], w.node, "client", clientLink[0]),
		link(w.servers, "eth0", serverLink[1], w.node, "servers", serverLink[0]),
	)
}

// route lets the node forward between clients and servers. Each of these
// accepts a whole range of addresses as its own.
func (w *world) route() error {
	anywhere := netip.MustParsePrefix("0.0.0.0/0")
	return errors.Join(
		w.node.Do(func() error {
			return errors.Join(
				set("net/ipv4/ip_forward", "1"),
				set("net/ipv4/icmp_ratelimit", "0"),
				set(closeTimeout, "1"),
				via(netip.PrefixFrom(apiServerAddress, 32), controlAddress),
				via(clientCIDR, clientLink[1]),
				via(endpointCIDR, serverLink[1]),
			)
		}),
		w.client.Do(func() error { return errors.Join(own(clientCIDR), via(anywhere, clientLink[0])) }),
		w.servers.Do(func() error {
			return errors.Join(set("net/core/somaxconn", "65535"), own(endpointCIDR), via(anywhere, serverLink[0]))
		}),
	)
}

func link(a *netns.Namespace, nameA string, addressA netip.Addr, b *netns.Namespace, nameB string, addressB netip.Addr) error {
	return errors.Join(
		a.Do(func() error {
			veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: nameA}, PeerName: nameB, PeerNamespace: netlink.NsFd(b.Fd())}
			if err := netlink.LinkAdd(veth); err != nil {
				return fmt.Errorf("adding %s: %w", nameA, err)
			}
			return errors.Join(address(nameA, netip.PrefixFrom(addressA, 30)), up(nameA))
		}),
		b.Do(func() error { return errors.Join(address(nameB, netip.PrefixFrom(addressB, 30)), up(nameB)) }),
	)
}

func remove(name string) error {
	device, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkDel(device)
}

func up(name string) error {
	device, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(device)
}

func address(name string, prefix netip.Prefix) error {
	device, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.AddrAdd(device, &netlink.Addr{IPNet: ipNet(prefix)})
}

func via(to netip.Prefix, gateway netip.Addr) error {
	return netlink.RouteAdd(&netlink.Route{Dst: ipNet(to), Gw: gateway.AsSlice()})
}

// own makes every address of prefix one of the namespace.
func own(prefix netip.Prefix) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{
		LinkIndex: lo.Attrs().Index, Dst: ipNet(prefix), Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: unix.RT_SCOPE_HOST,
	})
}

func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
}

func set(sysctl, value string) error { return os.WriteFile("/proc/sys/"+sysctl, []byte(value), 0) }

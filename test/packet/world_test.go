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

package packet

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

// world is a node with three pods, and a machine outside:
//
//	client   a   b          pods, each on a link of its own
//	      \  |  /
//	       node             routes, and holds the table
//	         |
//	      outside           a machine of the node's network
type world struct {
	*testing.T
	family                      model.Family
	node, client, a, b, outside *netns.Namespace
	table                       *nft.Table
	config                      policy.Node
	features                    policy.Features
	links                       byte // how many machines anotherMachine made
}

// TestMain lets four tests run at a time, on whatever machine: each has a world of
// its own, and most wait for what must not come.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// eachFamily runs a test in a world of IPv4 and in one of IPv6, beside other tests.
func eachFamily(t *testing.T, test func(w *world)) {
	t.Parallel()
	for _, family := range []model.Family{model.IPv4, model.IPv6} {
		t.Run(family.String(), func(t *testing.T) { test(newWorld(t, family)) })
	}
}

// reopen gives the node a table with other features.
func (w *world) reopen(features policy.Features) {
	w.Helper()
	w.features = features
	w.table = w.openTable()
}

func newWorld(t *testing.T, family model.Family) *world {
	prereq.Root(t)
	w := &world{T: t, family: family}
	for _, ns := range []**netns.Namespace{&w.node, &w.client, &w.a, &w.b, &w.outside} {
		*ns = w.namespace()
	}
	w.config = policy.Node{
		Family:        family,
		NodePortAddrs: []netip.Addr{w.nodeIP()},
		LocalPods:     []netip.Prefix{w.prefix(w.podIP(0), 24, 64)},
	}
	w.in(w.node, func() error { return forward() })
	w.connect(w.client, "pod-client", w.podIP(clientPod), w.podIP(gateway))
	w.connect(w.a, "pod-a", w.podIP(podA), w.podIP(gateway))
	w.connect(w.b, "pod-b", w.podIP(podB), w.podIP(gateway))
	w.connect(w.outside, "uplink", w.outsideIP(), w.nodeIP())
	w.in(w.node, func() error { return w.route("uplink", w.everything(), w.outsideIP()) })
	w.table = w.openTable()
	return w
}

// Host parts of the pods' addresses.
const (
	gateway   = 1
	clientPod = 10
	podA      = 11
	podB      = 12
)

func (w *world) namespace() *netns.Namespace {
	w.Helper()
	ns := prereq.Namespace(w)
	w.in(ns, func() error {
		// No wait for duplicate addresses: there are none.
		return os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0)
	})
	return ns
}

func (w *world) in(ns *netns.Namespace, fn func() error) {
	w.Helper()
	if err := ns.Do(fn); err != nil {
		w.Fatal(err)
	}
}

func (w *world) openTable() *nft.Table {
	w.Helper()
	var table *nft.Table
	w.in(w.node, func() (err error) {
		table, err = nft.Open(w.family, nft.Options{Features: w.features})
		return err
	})
	w.Cleanup(func() { _ = table.Close() })
	return table
}

// program brings the node's table to exactly these decisions.
func (w *world) program(decisions ...policy.Decision) nft.Result {
	w.Helper()
	result, err := w.table.FullSync(context.Background(), w.config, decisions)
	if err != nil {
		w.Fatal(err)
	}
	return result
}

// apply changes the table as the agent does, by what changed.
func (w *world) apply(changed ...policy.Decision) nft.Result {
	w.Helper()
	result, err := w.table.Apply(context.Background(), changed, nil)
	if err != nil {
		w.Fatal(err)
	}
	return result
}

// machine is a neighbour of the node, on a link of its own.
type machine struct {
	*netns.Namespace
	// ip is its address, via the node's on the link.
	ip, via netip.Addr
	link    string
}

// anotherMachine stands where other nodes and their pods are.
func (w *world) anotherMachine(name string) machine {
	w.Helper()
	w.links++
	ip := w.either(fmt.Sprintf("192.168.%d.2", 100+w.links), fmt.Sprintf("fd50:%x::2", w.links))
	m := machine{w.namespace(), ip, ip.Prev(), name}
	w.connect(m.Namespace, name, m.ip, m.via)
	return m
}

// wild is the machine that the node's default route leads to. Everything that
// is sent to addrs and that the table does not stop is answered there, by
// "wild", on ports.
func (w *world) wild(addrs []netip.Addr, ports ...uint16) machine {
	w.Helper()
	m := w.anotherMachine("wild")
	w.in(w.node, func() error { return w.route(m.link, w.everything(), m.ip) })
	for _, addr := range addrs {
		w.in(m.Namespace, func() error { return w.address("lo", addr) })
		for _, port := range ports {
			w.serveAt(m.Namespace, "wild", netip.AddrPortFrom(addr, port))
		}
	}
	return m
}

// remove takes a ServicePort away.
func (w *world) remove(name model.ServicePortName) {
	w.Helper()
	if _, err := w.table.Apply(context.Background(), nil, []model.ServicePortName{name}); err != nil {
		w.Fatal(err)
	}
}

// connect links ns to the node: eth0 with address there, the device named
// link with address via here, and routes both ways.
func (w *world) connect(ns *netns.Namespace, link string, address, via netip.Addr) {
	w.Helper()
	w.connectTo(w.node, ns, link, address, via)
}

// connectTo is connect with another machine in place of the node.
func (w *world) connectTo(hub, ns *netns.Namespace, link string, address, via netip.Addr) {
	w.Helper()
	w.in(hub, func() error {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: link}, PeerName: "eth0", PeerNamespace: netlink.NsFd(ns.Fd())}
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("adding %s: %w", link, err)
		}
		return w.address(link, via)
	})
	w.in(ns, func() error {
		if err := w.address("eth0", address); err != nil {
			return err
		}
		return w.route("eth0", w.everything(), via)
	})
	w.in(hub, func() error { return w.route(link, netip.PrefixFrom(address, address.BitLen()), netip.Addr{}) })
}

func (w *world) address(link string, addr netip.Addr) error {
	device, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(device); err != nil {
		return err
	}
	a := &netlink.Addr{IPNet: netlink.NewIPNet(addr.AsSlice())}
	if addr.Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return netlink.AddrAdd(device, a)
}

func (w *world) route(link string, to netip.Prefix, via netip.Addr) error {
	device, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	r := &netlink.Route{LinkIndex: device.Attrs().Index, Dst: prefixNet(to), Scope: netlink.SCOPE_LINK}
	if via.IsValid() {
		r.Gw, r.Scope = via.AsSlice(), netlink.SCOPE_UNIVERSE
		r.SetFlag(netlink.FLAG_ONLINK)
	}
	if err := netlink.RouteReplace(r); err != nil {
		return fmt.Errorf("routing %s to %s: %w", to, link, err)
	}
	return nil
}

// forward makes the namespace of the calling thread a router. It sends no
// redirects: the kernel counts them against the ICMP errors that a client may
// get in a second, and packets for a VIP do come back the way they came here.
func forward() error {
	for file, value := range map[string]string{
		"ipv4/ip_forward":                  "1",
		"ipv6/conf/all/forwarding":         "1",
		"ipv4/conf/all/send_redirects":     "0",
		"ipv4/conf/default/send_redirects": "0",
	} {
		if err := os.WriteFile("/proc/sys/net/"+file, []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}

// noWayTo makes packets to addr fail in the namespace of the calling thread.
func (w *world) noWayTo(addr netip.Addr) error {
	to := prefixNet(netip.PrefixFrom(addr, addr.BitLen()))
	return netlink.RouteReplace(&netlink.Route{Dst: to, Type: unix.RTN_UNREACHABLE})
}

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
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/netns"
)

func TestNodePortsOnLocalhostAreForTheNodeAlone(t *testing.T) {
	w := newWorld(t, model.IPv4)
	w.in(w.node, func() error {
		return os.WriteFile("/proc/sys/net/ipv4/conf/all/route_localnet", []byte("1"), 0)
	})
	localhost := netip.MustParseAddr("127.0.0.1")
	program := w.listen(w.node, netip.AddrPortFrom(localhost, 7777))
	w.sendLocalhostTo(w.nodeIP())
	w.program()
	w.tell(w.outside, netip.AddrPortFrom(localhost, 7777))
	if !heard(program, patience) {
		t.Fatal("with the setting alone, a neighbour does not reach the node's localhost: nothing is left to be protected")
	}

	w.reopen(policy.Features{LocalhostNodePorts: true})
	at := w.serve(w.a, "a", w.podIP(podA))
	for network, protocol := range networks {
		service := w.service(protocol, at)
		for _, scope := range []policy.Scope{policy.ClusterScope, policy.LocalScope} {
			service.External = scope
			w.program(service)
			way{from: w.node, to: netip.AddrPortFrom(localhost, nodePort)}.expect(t, network, "a")
		}
	}
	// Answers to a client whose peer is its own localhost are lost in any case,
	// so what counts is what is heard.
	pod := netip.AddrPortFrom(w.podIP(podA), 7777)
	service := w.service(model.UDP, pod)
	service.NodePort++
	w.program(service)
	for name, listener := range map[string]struct {
		at net.PacketConn
		to uint16
	}{
		"a program of the node": {program, 7777},
		"a NodePort":            {w.listen(w.a, pod), service.NodePort},
	} {
		w.tell(w.outside, netip.AddrPortFrom(localhost, listener.to))
		if heard(listener.at, shortPatience) {
			t.Errorf("%s hears a neighbour", name)
		}
		w.tell(w.node, netip.AddrPortFrom(localhost, listener.to))
		if !heard(listener.at, patience) {
			t.Errorf("%s does not hear the node itself", name)
		}
	}
}

// heard is true once a datagram has come.
func heard(conn net.PacketConn, limit time.Duration) bool {
	_ = conn.SetReadDeadline(time.Now().Add(limit))
	_, _, err := conn.ReadFrom(make([]byte, 16))
	return err == nil
}

// sendLocalhostTo has the machine outside take 127.0.0.1 for one behind via.
func (w *world) sendLocalhostTo(via netip.Addr) {
	w.Helper()
	w.in(w.outside, func() error {
		if err := os.WriteFile("/proc/sys/net/ipv4/conf/all/route_localnet", []byte("1"), 0); err != nil {
			return err
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		own, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_LOCAL, LinkIndex: lo.Attrs().Index},
			netlink.RT_FILTER_TABLE|netlink.RT_FILTER_OIF)
		for i := range own {
			err = errors.Join(err, netlink.RouteDel(&own[i]))
		}
		return errors.Join(err, w.route("eth0", netip.MustParsePrefix("127.0.0.0/8"), via))
	})
}

func (w *world) listen(ns *netns.Namespace, at netip.AddrPort) (conn net.PacketConn) {
	w.Helper()
	w.in(ns, func() (err error) {
		conn, err = net.ListenPacket("udp", at.String())
		return err
	})
	w.Cleanup(func() { _ = conn.Close() })
	return conn
}

// tell sends one datagram.
func (w *world) tell(ns *netns.Namespace, to netip.AddrPort) {
	w.Helper()
	w.in(ns, func() error {
		conn, err := net.Dial("udp", to.String())
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		_, err = conn.Write([]byte("hello"))
		return err
	})
}

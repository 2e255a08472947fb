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
	"encoding/binary"
	"hash/crc32"
	"net"
	"net/netip"
	"testing"
	"time"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/netns"
)

// Kernels without SCTP sockets still translate SCTP, so the test writes the
// packets itself (RFC 9260).

func TestSCTPIsTranslated(t *testing.T) {
	eachFamily(t, func(w *world) {
		w.program(w.service(model.SCTP, netip.AddrPortFrom(w.podIP(podA), 9000)))
		sourcePort := uint16(40000)
		for name, way := range w.ways() {
			w.Run(name, func(t *testing.T) {
				arrivals := w.sniffSCTP(w.a)
				sourcePort++ // conntrack would know a repeated one
				w.sendSCTP(way.from, way.to.Addr(), initPacket(sourcePort, way.to.Port()))
				_ = arrivals.SetReadDeadline(time.Now().Add(patience))
				buf := make([]byte, 1500)
				n, from, err := arrivals.ReadFrom(buf)
				if err != nil {
					t.Fatal(err)
				}
				if port := binary.BigEndian.Uint16(buf[2:]); n < 12 || port != 9000 {
					t.Errorf("arrived at port %d from %s, want 9000", port, from)
				}
			})
		}
	})
}

func TestSCTPWithoutEndpointsIsRefused(t *testing.T) {
	eachFamily(t, func(w *world) {
		w.program(w.service(model.SCTP))
		w.expectSCTPRefused(w.client, netip.AddrPortFrom(w.clusterIP(), 80), 41000)
	})
}

func (w *world) expectSCTPRefused(from *netns.Namespace, to netip.AddrPort, sourcePort uint16) {
	w.Helper()
	network, unreachable := "ip4:icmp", byte(unreachable4)
	if w.family == model.IPv6 {
		network, unreachable = "ip6:ipv6-icmp", unreachable6
	}
	var errors net.PacketConn
	w.in(from, func() (err error) {
		errors, err = net.ListenPacket(network, "")
		return err
	})
	defer func() { _ = errors.Close() }()
	w.sendSCTP(from, to.Addr(), initPacket(sourcePort, to.Port()))
	_ = errors.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 1500)
	for {
		if _, _, err := errors.ReadFrom(buf); err != nil {
			w.Fatalf("no ICMP unreachable came: %v", err)
		}
		if buf[0] == unreachable { // IPv6 neighbours talk ICMP, too
			return
		}
	}
}

// initPacket is an SCTP packet with an INIT chunk.
func initPacket(sourcePort, port uint16) []byte {
	p := make([]byte, 12, 32)
	binary.BigEndian.PutUint16(p[0:], sourcePort)
	binary.BigEndian.PutUint16(p[2:], port)
	p = append(p, 1, 0, 0, 20)            // INIT, no flags, length
	p = append(p, 0, 0, 0, 1, 0, 1, 0, 0) // initiate tag, receiver window
	p = append(p, 0, 1, 0, 1, 0, 0, 0, 1) // streams out and in, first TSN
	sum := crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli))
	binary.LittleEndian.PutUint32(p[8:], sum)
	return p
}

func (w *world) sctpNetwork() string {
	if w.family == model.IPv4 {
		return "ip4:132"
	}
	return "ip6:132"
}

func (w *world) sniffSCTP(ns *netns.Namespace) net.PacketConn {
	w.Helper()
	var conn net.PacketConn
	w.in(ns, func() (err error) {
		conn, err = net.ListenPacket(w.sctpNetwork(), "")
		return err
	})
	w.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (w *world) sendSCTP(ns *netns.Namespace, to netip.Addr, packet []byte) {
	w.Helper()
	w.in(ns, func() error {
		conn, err := net.Dial(w.sctpNetwork(), to.String())
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		_, err = conn.Write(packet)
		return err
	})
}

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
	"net"
	"net/netip"
	"time"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/netns"
)

// Types of ICMP messages, of both families.
const (
	echoRequest4, echoReply4, unreachable4 = 8, 0, 3
	echoRequest6, echoReply6, unreachable6 = 128, 129, 1
)

// ping says "reply", "unreachable" or "dropped". As in way.outcome, only who wants
// silence is content with shortPatience.
func (w *world) ping(ns *netns.Namespace, to netip.Addr, want outcome) outcome {
	w.Helper()
	network, request := "ip4:icmp", byte(echoRequest4)
	outcomes := map[byte]outcome{echoReply4: "reply", unreachable4: "unreachable"}
	if w.family == model.IPv6 {
		network, request = "ip6:ipv6-icmp", echoRequest6
		outcomes = map[byte]outcome{echoReply6: "reply", unreachable6: "unreachable"}
	}
	var conn net.PacketConn
	w.in(ns, func() (err error) {
		conn, err = net.ListenPacket(network, "")
		return err
	})
	defer func() { _ = conn.Close() }()
	// What stops it at home is told by an ICMP error as well, or not at all.
	_, _ = conn.WriteTo(echo(request), &net.IPAddr{IP: to.AsSlice()})
	limit := patience
	if want == dropped {
		limit = shortPatience
	}
	_ = conn.SetReadDeadline(time.Now().Add(limit))
	buf := make([]byte, 1500)
	for {
		_, _, err := conn.ReadFrom(buf)
		if err != nil {
			return dropped
		}
		if got, known := outcomes[buf[0]]; known { // IPv6 neighbours talk ICMP, too
			return got
		}
	}
}

// echo is an ICMP echo request (RFC 792). The kernel writes the checksum of
// IPv6 itself.
func echo(request byte) []byte {
	p := []byte{request, 0, 0, 0, 0x12, 0x34, 0, 1, 's', 'w', 'y', 'd'}
	sum := uint32(0)
	for i := 0; i < len(p); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	binary.BigEndian.PutUint16(p[2:], ^uint16(sum+sum>>16))
	return p
}

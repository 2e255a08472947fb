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

package conntrack

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

// Numbers of linux/netfilter/nfnetlink_conntrack.h.
const (
	getEntry      = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1
	deleteEntry   = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2
	getStatistics = unix.NFNL_SUBSYS_CTNETLINK<<8 | 5

	ctaOriginal = 1
	ctaReply    = 2
	ctaStatus   = 3
	ctaID       = 12
	ctaZone     = 18
	ctaFilter   = 25

	ctaStatusMask = 26

	ctaTupleAddrs = 1
	ctaTuplePorts = 2

	ctaIPv4Source, ctaIPv4Destination = 1, 2
	ctaIPv6Source, ctaIPv6Destination = 3, 4

	ctaProtocol, ctaSourcePort, ctaDestinationPort = 1, 2, 3
)

// Bits of an entry's status.
const (
	statusSeenReply  = 1 << 1
	statusTranslated = 1 << 5
)

// entry is what we look at of one tracked connection.
type entry struct {
	// sentTo is where the client sent the first packet.
	sentTo Destination
	// answering is where replies come from.
	answering netip.AddrPort
	status    uint32
}

func parseEntry(a nfnl.Attributes) entry {
	original, reply := a.Nested(ctaOriginal), a.Nested(ctaReply)
	return entry{
		sentTo: Destination{
			Protocol: model.Protocol(original.Nested(ctaTuplePorts).Uint8(ctaProtocol)),
			Addr:     netip.AddrPortFrom(address(original, ctaIPv4Destination, ctaIPv6Destination), original.Nested(ctaTuplePorts).Uint16(ctaDestinationPort)),
		},
		answering: netip.AddrPortFrom(address(reply, ctaIPv4Source, ctaIPv6Source), reply.Nested(ctaTuplePorts).Uint16(ctaSourcePort)),
		status:    a.Uint32(ctaStatus),
	}
}

func address(tuple nfnl.Attributes, v4, v6 uint16) netip.Addr {
	addrs := tuple.Nested(ctaTupleAddrs)
	bytes := addrs.Get(v4)
	if bytes == nil {
		bytes = addrs.Get(v6)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

// identity is what a delete request needs to name one entry: the tuple, the
// zone it is in, and the id, so that a successor with the same tuple stays.
func identity(a nfnl.Attributes) map[uint16][]byte {
	id := map[uint16][]byte{}
	for _, kind := range []uint16{ctaOriginal, ctaID, ctaZone} {
		if value := a.Get(kind); value != nil {
			id[kind] = append([]byte(nil), value...)
		}
	}
	return id
}

// appendFilter has the kernel leave out other protocols, and if only is an
// IPv4 address, other original destinations (Linux 5.8; older ones ignore it,
// so whoever reads the answer compares again). For IPv6 addresses the kernel
// has the comparison the wrong way round, seen as late as 6.18.
//
// Entries with any bit of without in their status are left out as well (5.15).
func appendFilter(m *nfnl.Messages, protocol model.Protocol, only netip.Addr, without uint32) {
	const byDestination, byProtocol = 1 << 1, 1 << 3
	flags := uint32(byProtocol)
	m.Nest(ctaOriginal, func() {
		if only.Is4() {
			flags |= byDestination
			m.Nest(ctaTupleAddrs, func() { m.Bytes(ctaIPv4Destination, only.AsSlice()) })
		}
		m.Nest(ctaTuplePorts, func() { m.Uint8(ctaProtocol, uint8(protocol)) })
	})
	if without != 0 {
		m.Uint32(ctaStatus, 0)
		m.Uint32(ctaStatusMask, without)
	}
	m.Nest(ctaFilter, func() { m.Bytes(ctaOriginal, binary.NativeEndian.AppendUint32(nil, flags)) })
}

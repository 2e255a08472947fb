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
	"bytes"
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

	ctaOriginal         = 1
	ctaReply            = 2
	ctaStatus           = 3
	ctaCountersOriginal = 9
	ctaCountersReply    = 10
	ctaID               = 12
	ctaZone             = 18
	ctaFilter           = 25

	ctaStatusMask = 26

	ctaCountersPackets, ctaCountersBytes = 1, 2

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

// replied is true once anything came back.
func (e entry) replied() bool { return e.status&statusSeenReply != 0 }

// translated is true if the flow does not go where the client sent it.
func (e entry) translated() bool { return e.status&statusTranslated != 0 }

// identity is what a delete request needs to name one entry: the tuple, the
// zone it is in, and the id, so that a successor with the same tuple stays.
// All are copies.
type identity struct{ tuple, id, zone []byte }

func identify(a nfnl.Attributes) identity {
	return identity{bytes.Clone(a.Get(ctaOriginal)), bytes.Clone(a.Get(ctaID)), bytes.Clone(a.Get(ctaZone))}
}

func (i identity) append(m *nfnl.Messages) {
	m.Bytes(ctaOriginal|unix.NLA_F_NESTED, i.tuple)
	if i.id != nil {
		m.Bytes(ctaID, i.id)
	}
	if i.zone != nil {
		m.Bytes(ctaZone, i.zone)
	}
}

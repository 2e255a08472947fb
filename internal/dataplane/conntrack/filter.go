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

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

// filter is what the kernel leaves out of a list, so that it need not be sent
// and read. Kernels that do not know a part of it send more, so whoever reads
// the list compares again.
type filter struct {
	// protocol, addr and port are of the original destination; zero for any.
	// They take Linux 5.8.
	protocol model.Protocol
	addr     netip.Addr
	port     uint16
	// statusMask picks the bits of an entry's status that have to be as in
	// status; it takes Linux 5.15.
	statusMask, status uint32
}

// filter is the narrowest one that still lets all entries through that the
// selection is about.
func (s selection) filter(g group) filter {
	f, first := filter{}, true
	f.statusMask = statusTranslated
	for to, r := range s {
		this := filter{protocol: to.Protocol, addr: to.Addr.Addr(), port: to.Addr.Port()}
		if first {
			f.protocol, f.addr, f.port = this.protocol, this.addr, this.port
			first = false
		}
		if f.protocol != this.protocol {
			f.protocol = 0
		}
		if f.addr != this.addr {
			f.addr = netip.Addr{}
		}
		if f.port != this.port {
			f.port = 0
		}
		if r.endpoint {
			f.statusMask = 0
		}
	}
	if g.unreplied || s.onlyUnreplied() {
		f.statusMask |= statusSeenReply
	}
	return f
}

func (s selection) onlyUnreplied() bool {
	for _, r := range s {
		if r.untranslated || !r.unreplied {
			return false
		}
	}
	return true
}

// Flags of CTA_FILTER for the original direction, in the order of the tuple's
// attributes (net/netfilter/nf_conntrack_netlink.c).
const (
	filterDestination     = 1 << 1
	filterProtocol        = 1 << 3
	filterDestinationPort = 1 << 5
)

// append writes the filter into a request for a list.
//
// IPv6 addresses are not in it: ctnetlink_filter_match_tuple leaves out the
// entries whose IPv6 address is the one asked for, and sends all others, since
// it came in with Linux 5.8 and still in 6.18. The port narrows IPv6 as well.
// The kernel compares ports of TCP and UDP only and lets all of SCTP pass.
func (f filter) append(m *nfnl.Messages) {
	flags := uint32(0)
	m.Nest(ctaOriginal, func() {
		if f.addr.Is4() {
			flags |= filterDestination
			m.Nest(ctaTupleAddrs, func() { m.Bytes(ctaIPv4Destination, f.addr.AsSlice()) })
		}
		if f.protocol != 0 {
			flags |= filterProtocol
			m.Nest(ctaTuplePorts, func() {
				m.Uint8(ctaProtocol, uint8(f.protocol))
				if f.port != 0 {
					flags |= filterDestinationPort
					m.Uint16(ctaDestinationPort, f.port)
				}
			})
		}
	})
	if f.statusMask != 0 {
		m.Uint32(ctaStatus, f.status)
		m.Uint32(ctaStatusMask, f.statusMask)
	}
	if flags != 0 {
		m.Nest(ctaFilter, func() { m.Bytes(ctaOriginal, binary.NativeEndian.AppendUint32(nil, flags)) })
	}
}

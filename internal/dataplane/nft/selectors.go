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

package nft

import (
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// load puts the parts of a key into consecutive registers from the first on.
func (x expressions) load(key ruleset.Key) { x.loadParts(key, false) }

// loadParts is load, for a set with ranges as well.
func (x expressions) loadParts(key ruleset.Key, ranges bool) {
	n := 0
	for _, s := range key {
		if s.Field == ruleset.ClientHash {
			x.clientHash(s.Modulus, register(wordsBeforeScratch+key.Size(x.family)/4), register(n))
		} else {
			x.loadOne(s, register(n))
		}
		if ranges && s.Field == ruleset.Protocol {
			x.swapProtocol(register(n))
		}
		n += (s.Type(x.family).Size + 3) / 4
	}
}

func (x expressions) loadOne(s ruleset.Selector, to uint32) {
	header := headers[x.family]
	switch s.Field {
	case ruleset.SourceAddress:
		x.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, header.source, header.size, to)
	case ruleset.DestinationAddress:
		x.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, header.destination, header.size, to)
	case ruleset.Protocol:
		x.meta(unix.NFT_META_L4PROTO, to)
	case ruleset.DestinationPort:
		x.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, to)
	case ruleset.ServicePortID:
		x.meta(unix.NFT_META_PRIORITY, to)
	case ruleset.ServicePortClass:
		x.meta(unix.NFT_META_PRIORITY, to)
		x.mask(ruleset.ClassMask, to)
	case ruleset.OriginalAddress:
		x.originalTuple(header.originalDestination, to)
	case ruleset.OriginalPort:
		x.originalTuple(unix.NFT_CT_PROTO_DST, to)
	case ruleset.DrawnSlot:
		x.random(s.Modulus, to)
	case ruleset.OnlyID:
		x.meta(unix.NFT_META_PRIORITY, to)
		x.mask(ruleset.IDMask, to)
	}
}

// header says where a family keeps its addresses: offsets and size in bytes,
// the key of conntrack's copy, its ICMP code for a refused port, and its ICMP
// and the type of an echo request.
type header struct {
	source, destination, size uint32
	originalDestination       uint32
	portUnreachable           uint8
	icmp, echoRequest         uint8
}

var headers = map[model.Family]header{
	model.IPv4: {12, 16, 4, unix.NFT_CT_DST_IP, 3, unix.IPPROTO_ICMP, 8},
	model.IPv6: {8, 24, 16, unix.NFT_CT_DST_IP6, 4, unix.IPPROTO_ICMPV6, 128},
}

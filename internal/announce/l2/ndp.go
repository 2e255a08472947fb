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

package l2

import (
	"encoding/binary"
	"net/netip"
)

const (
	ipv6Header   = 40
	protocolICMP = 58
	// hops is what proves that no router was between (RFC 4861 section 7.1).
	hops = 255

	neighbourSolicitation  = 135
	neighbourAdvertisement = 136
	// ndpLength is that of both without options.
	ndpLength = 24

	optionSource = 1
	optionTarget = 2

	flagSolicited = 0x40
	flagOverride  = 0x20
)

var allNodes = netip.MustParseAddr("ff02::1")

// ndp is a neighbour solicitation or advertisement of RFC 4861.
type ndp struct {
	kind     uint8
	from, to netip.Addr
	target   netip.Addr
	flags    uint8
	// link is the link-layer address in the option that goes with the kind, or
	// else that of the frame.
	link mac
}

// readNDP reads an Ethernet frame; ok is false if it is none, or one that RFC 4861
// section 7.1 says to discard.
func readNDP(frame []byte) (p ndp, ok bool) {
	if len(frame) < etherHeader+ipv6Header+ndpLength || binary.BigEndian.Uint16(frame[12:]) != etherIPv6 {
		return p, false
	}
	ip := frame[etherHeader:]
	length := int(binary.BigEndian.Uint16(ip[4:]))
	if ip[0]>>4 != 6 || ip[6] != protocolICMP || ip[7] != hops || length < ndpLength || length > len(ip)-ipv6Header {
		return p, false
	}
	p.from, p.to = netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40]))
	b := ip[ipv6Header : ipv6Header+length]
	p.kind, p.flags = b[0], b[4]
	p.target = netip.AddrFrom16([16]byte(b[8:24]))
	copy(p.link[:], frame[6:12])
	if b[1] != 0 || p.from.IsMulticast() || p.target.IsMulticast() || p.target.Is4In6() || checksum(p.from, p.to, b) != 0 {
		return p, false
	}
	return p, p.sensible() && p.readOptions(b[ndpLength:])
}

// sensible says whether the parts go together.
func (p *ndp) sensible() bool {
	switch p.kind {
	case neighbourSolicitation:
		return !p.from.IsUnspecified() || p.to == solicitedNode(p.target)
	case neighbourAdvertisement:
		return !p.from.IsUnspecified() && !(p.to.IsMulticast() && p.flags&flagSolicited != 0)
	}
	return false
}

func (p *ndp) readOptions(b []byte) bool {
	wanted := byte(optionSource)
	if p.kind == neighbourAdvertisement {
		wanted = optionTarget
	}
	for len(b) > 0 {
		if len(b) < 2 || b[1] == 0 || int(b[1])*8 > len(b) {
			return false
		}
		if b[0] == wanted {
			if p.from.IsUnspecified() {
				return false
			}
			copy(p.link[:], b[2:8])
		}
		b = b[int(b[1])*8:]
	}
	return !p.link.group()
}

// advertisement is the frame that says that addr is at the interface with that
// link address.
func advertisement(link mac, from, addr netip.Addr, to netip.Addr, toMAC mac, flags uint8) []byte {
	const length = ndpLength + 8
	b := appendEther(make([]byte, 0, etherHeader+ipv6Header+length), toMAC, link, etherIPv6)
	b = append(b, 0x60, 0, 0, 0, 0, length, protocolICMP, hops)
	b = append(b, from.AsSlice()...)
	b = append(b, to.AsSlice()...)
	start := len(b)
	b = append(b, neighbourAdvertisement, 0, 0, 0, flags, 0, 0, 0)
	b = append(b, addr.AsSlice()...)
	b = append(b, optionTarget, 1)
	b = append(b, link[:]...)
	binary.BigEndian.PutUint16(b[start+2:], checksum(from, to, b[start:]))
	return b
}

// unsolicited is the advertisement that tells everybody.
func unsolicited(link mac, from, addr netip.Addr) []byte {
	return advertisement(link, from, addr, allNodes, multicastMAC(allNodes), flagOverride)
}

// checksum is the one of an ICMPv6 message (RFC 8200 section 8.1), 0 over a message
// that has the right one.
func checksum(from, to netip.Addr, message []byte) uint16 {
	var sum uint32
	add := func(b []byte) {
		for len(b) > 1 {
			sum += uint32(b[0])<<8 | uint32(b[1])
			b = b[2:]
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	add(from.AsSlice())
	add(to.AsSlice())
	sum += uint32(len(message)) + protocolICMP
	add(message)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// solicitedNode is the group that a machine with that address listens to.
func solicitedNode(addr netip.Addr) netip.Addr {
	b := addr.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
}

// multicastMAC is where frames to an IPv6 group go (RFC 2464 section 7).
func multicastMAC(group netip.Addr) mac {
	b := group.As16()
	return mac{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

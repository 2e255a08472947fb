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

// mac is an Ethernet address.
type mac [6]byte

var broadcast = mac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// group says whether the address is that of several machines.
func (m mac) group() bool { return m[0]&1 != 0 }

const (
	etherHeader = 14
	etherARP    = 0x0806
	etherIPv6   = 0x86dd
)

func appendEther(b []byte, to, from mac, kind uint16) []byte {
	b = append(b, to[:]...)
	b = append(b, from[:]...)
	return binary.BigEndian.AppendUint16(b, kind)
}

// The operations of ARP.
const (
	arpRequest = 1
	arpReply   = 2
)

// arpLength is the length of a packet for Ethernet and IPv4.
const arpLength = 28

// arp is a packet of RFC 826 for Ethernet and IPv4.
type arp struct {
	operation          uint16
	senderMAC, mac     mac // the second is the target's
	sender, targetAddr netip.Addr
}

// readARP reads an Ethernet frame; ok is false if it is of no use here. What is
// behind the packet is padding.
func readARP(frame []byte) (p arp, ok bool) {
	if len(frame) < etherHeader+arpLength || binary.BigEndian.Uint16(frame[12:]) != etherARP {
		return p, false
	}
	b := frame[etherHeader:]
	if binary.BigEndian.Uint16(b) != 1 || binary.BigEndian.Uint16(b[2:]) != 0x0800 || b[4] != 6 || b[5] != 4 {
		return p, false
	}
	p.operation = binary.BigEndian.Uint16(b[6:])
	copy(p.senderMAC[:], b[8:])
	p.sender = netip.AddrFrom4([4]byte(b[14:18]))
	copy(p.mac[:], b[18:])
	p.targetAddr = netip.AddrFrom4([4]byte(b[24:28]))
	return p, (p.operation == arpRequest || p.operation == arpReply) && !p.senderMAC.group()
}

func (p arp) frame(to mac) []byte {
	b := appendEther(make([]byte, 0, etherHeader+arpLength), to, p.senderMAC, etherARP)
	b = append(b, 0, 1, 0x08, 0, 6, 4)
	b = binary.BigEndian.AppendUint16(b, p.operation)
	b = append(b, p.senderMAC[:]...)
	b = append(b, p.sender.AsSlice()...)
	b = append(b, p.mac[:]...)
	return append(b, p.targetAddr.AsSlice()...)
}

// gratuitousARP are the frames that tell everybody who has addr. Some machines
// take notice of requests only, some of replies only (RFC 5227 section 3).
func gratuitousARP(from mac, addr netip.Addr) [][]byte {
	request := arp{arpRequest, from, mac{}, addr, addr}
	reply := arp{arpReply, from, broadcast, addr, addr}
	return [][]byte{request.frame(broadcast), reply.frame(broadcast)}
}

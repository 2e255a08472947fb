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

import "net/netip"

// card is an interface as frames see it.
type card struct {
	mac mac
	// linkLocal is its IPv6 address, invalid for none.
	linkLocal netip.Addr
}

// source is where advertisements of addr come from.
func (c card) source(addr netip.Addr) netip.Addr {
	if c.linkLocal.IsValid() {
		return c.linkLocal
	}
	return addr
}

// holdings are the addresses to answer for, and the link addresses that are our
// own, on any interface: a frame that comes back to us is nobody else's.
type holdings struct {
	addrs map[netip.Addr]struct{}
	macs  map[mac]struct{}
}

func (h *holdings) has(addr netip.Addr) bool { _, ok := h.addrs[addr]; return ok }
func (h *holdings) own(m mac) bool           { _, ok := h.macs[m]; return ok }

// answer is what a frame leads to: a frame to send, nil for none, and an address
// that another machine has claimed as its own, invalid for none.
func (h *holdings) answer(on card, frame []byte) (reply []byte, claimed netip.Addr) {
	if p, ok := readARP(frame); ok {
		return h.answerARP(on, p)
	}
	if p, ok := readNDP(frame); ok {
		return h.answerNDP(on, p)
	}
	return nil, claimed
}

func (h *holdings) answerARP(on card, p arp) (reply []byte, claimed netip.Addr) {
	if h.own(p.senderMAC) {
		return nil, claimed
	}
	if h.has(p.sender) {
		claimed = p.sender
	}
	if p.operation == arpRequest && h.has(p.targetAddr) && p.sender != p.targetAddr {
		reply = arp{arpReply, on.mac, p.senderMAC, p.targetAddr, p.sender}.frame(p.senderMAC)
	}
	return reply, claimed
}

func (h *holdings) answerNDP(on card, p ndp) (reply []byte, claimed netip.Addr) {
	switch {
	case h.own(p.link) || !h.has(p.target):
	case p.kind == neighbourAdvertisement:
		claimed = p.target
	case p.from.IsUnspecified(): // somebody wants to know whether it is free
		reply = unsolicited(on.mac, on.source(p.target), p.target)
	default:
		reply = advertisement(on.mac, on.source(p.target), p.target, p.from, p.link, flagSolicited|flagOverride)
	}
	return reply, claimed
}

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
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	here  = card{mac: mac{2, 0, 0, 0, 0, 1}, linkLocal: netip.MustParseAddr("fe80::1")}
	twin  = mac{2, 0, 0, 0, 0, 2} // another interface of ours
	other = mac{2, 0, 0, 0, 0, 9}

	vip4, vip6       = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	another4         = netip.MustParseAddr("192.0.2.2")
	another6         = netip.MustParseAddr("2001:db8::2")
	client4, client6 = netip.MustParseAddr("192.0.2.99"), netip.MustParseAddr("2001:db8::99")
)

func held() *holdings {
	return &holdings{
		addrs: map[netip.Addr]struct{}{vip4: {}, vip6: {}},
		macs:  map[mac]struct{}{here.mac: {}, twin: {}},
	}
}

// solicitation asks who has target.
func solicitation(link mac, from, target netip.Addr) []byte {
	to := solicitedNode(target)
	frame := advertisement(link, from, target, to, multicastMAC(to), 0)
	b := frame[etherHeader+ipv6Header:]
	b[0], b[ndpLength], b[2], b[3] = neighbourSolicitation, optionSource, 0, 0
	sum := checksum(from, to, b)
	b[2], b[3] = byte(sum>>8), byte(sum)
	return frame
}

// duplicateCheck asks whether target is free.
func duplicateCheck(target netip.Addr) []byte {
	frame := solicitation(other, netip.IPv6Unspecified(), target)
	frame = frame[:len(frame)-8]
	frame[etherHeader+5] = ndpLength
	b := frame[etherHeader+ipv6Header:]
	b[2], b[3] = 0, 0
	sum := checksum(netip.IPv6Unspecified(), solicitedNode(target), b)
	b[2], b[3] = byte(sum>>8), byte(sum)
	return frame
}

func TestAnswers(t *testing.T) {
	ask4 := func(target netip.Addr) []byte {
		return arp{arpRequest, other, mac{}, client4, target}.frame(broadcast)
	}
	broken := func(frame []byte, at int) []byte { frame[at] ^= 1; return frame }
	reply4 := arp{arpReply, here.mac, other, vip4, client4}.frame(other)
	reply6 := advertisement(here.mac, here.linkLocal, vip6, client6, other, flagSolicited|flagOverride)
	for name, c := range map[string]struct {
		frame   []byte
		reply   []byte
		claimed netip.Addr
	}{
		"ARP for ours":                    {ask4(vip4), reply4, netip.Addr{}},
		"ARP for ours, padded":            {append(ask4(vip4), make([]byte, 18)...), reply4, netip.Addr{}},
		"ARP for another":                 {ask4(another4), nil, netip.Addr{}},
		"ARP, is it free":                 {arp{arpRequest, other, mac{}, netip.IPv4Unspecified(), vip4}.frame(broadcast), arp{arpReply, here.mac, other, vip4, netip.IPv4Unspecified()}.frame(other), netip.Addr{}},
		"ARP from ourselves":              {arp{arpRequest, twin, mac{}, client4, vip4}.frame(broadcast), nil, netip.Addr{}},
		"ARP, somebody claims by request": {gratuitousARP(other, vip4)[0], nil, vip4},
		"ARP, somebody claims by reply":   {gratuitousARP(other, vip4)[1], nil, vip4},
		"ARP, we claim":                   {gratuitousARP(twin, vip4)[0], nil, netip.Addr{}},
		"ARP, another's claim":            {gratuitousARP(other, another4)[0], nil, netip.Addr{}},
		"ARP from a group":                {arp{arpRequest, broadcast, mac{}, client4, vip4}.frame(broadcast), nil, netip.Addr{}},
		"ARP of another network":          {broken(ask4(vip4), etherHeader+1), nil, netip.Addr{}},
		"ARP of another operation":        {broken(ask4(vip4), etherHeader+6), nil, netip.Addr{}},
		"NDP for ours":                    {solicitation(other, client6, vip6), reply6, netip.Addr{}},
		"NDP for another":                 {solicitation(other, client6, another6), nil, netip.Addr{}},
		"NDP, is it free":                 {duplicateCheck(vip6), unsolicited(here.mac, here.linkLocal, vip6), netip.Addr{}},
		"NDP from ourselves":              {solicitation(twin, client6, vip6), nil, netip.Addr{}},
		"NDP, somebody claims":            {unsolicited(other, netip.MustParseAddr("fe80::9"), vip6), nil, vip6},
		"NDP, we claim":                   {unsolicited(twin, here.linkLocal, vip6), nil, netip.Addr{}},
		"NDP, another's claim":            {unsolicited(other, client6, another6), nil, netip.Addr{}},
		"NDP with a wrong checksum":       {broken(solicitation(other, client6, vip6), etherHeader+ipv6Header+2), nil, netip.Addr{}},
		"NDP from behind a router":        {broken(solicitation(other, client6, vip6), etherHeader+7), nil, netip.Addr{}},
		"NDP, longer than it is":          {broken(solicitation(other, client6, vip6), etherHeader+4), nil, netip.Addr{}},
		"something else":                  {broken(ask4(vip4), 13), nil, netip.Addr{}},
		"nothing":                         {nil, nil, netip.Addr{}},
	} {
		t.Run(name, func(t *testing.T) {
			reply, claimed := held().answer(here, c.frame)
			if diff := cmp.Diff(c.reply, reply); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
			if claimed != c.claimed {
				t.Errorf("claimed is %v, want %v", claimed, c.claimed)
			}
		})
	}
}

func TestSourceWithoutLinkLocalAddress(t *testing.T) {
	reply, _ := held().answer(card{mac: here.mac}, solicitation(other, client6, vip6))
	if p, ok := readNDP(reply); !ok || p.from != vip6 {
		t.Errorf("it comes from %v, want the address itself", p.from)
	}
}

// Whatever comes in, what goes out is a well-formed answer for an address that is
// held, and nothing is claimed that is not.
func FuzzAnswer(f *testing.F) {
	for _, frame := range slices.Concat(gratuitousARP(other, vip4), [][]byte{
		arp{arpRequest, other, mac{}, client4, vip4}.frame(broadcast),
		solicitation(other, client6, vip6), duplicateCheck(vip6), unsolicited(other, client6, vip6),
	}) {
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		h := held()
		reply, claimed := h.answer(here, frame)
		if claimed.IsValid() && !h.has(claimed) {
			t.Errorf("%s is claimed and not held", claimed)
		}
		if reply == nil {
			return
		}
		if p, ok := readARP(reply); ok {
			if p.operation != arpReply || p.sender != vip4 || p.senderMAC != here.mac {
				t.Errorf("answers %+v", p)
			}
			return
		}
		if p, ok := readNDP(reply); !ok || p.kind != neighbourAdvertisement || p.target != vip6 || p.link != here.mac {
			t.Errorf("answers %+v", p)
		}
	})
}

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

package sctp

import (
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// socket is a raw socket of one family that tells to which local address a
// packet came and sends from a chosen one: a node has several.
type socket struct {
	is4 bool
	v4  *ipv4.PacketConn
	v6  *ipv6.PacketConn
}

func listenSockets() ([]socket, error) {
	conn4, err := net.ListenIP("ip4:132", nil)
	if err != nil {
		return nil, err
	}
	v4 := ipv4.NewPacketConn(conn4)
	if err := v4.SetControlMessage(ipv4.FlagDst, true); err != nil {
		_ = v4.Close()
		return nil, err
	}
	conn6, err := net.ListenIP("ip6:132", nil)
	if err != nil {
		_ = v4.Close()
		return nil, err
	}
	v6 := ipv6.NewPacketConn(conn6)
	if err := v6.SetControlMessage(ipv6.FlagDst, true); err != nil {
		_ = v4.Close()
		_ = v6.Close()
		return nil, err
	}
	return []socket{{is4: true, v4: v4}, {v6: v6}}, nil
}

func (s socket) read(b []byte) (n int, local, peer netip.Addr, err error) {
	var from net.Addr
	var to net.IP
	if s.is4 {
		var cm *ipv4.ControlMessage
		if n, cm, from, err = s.v4.ReadFrom(b); cm != nil {
			to = cm.Dst
		}
	} else {
		var cm *ipv6.ControlMessage
		if n, cm, from, err = s.v6.ReadFrom(b); cm != nil {
			to = cm.Dst
		}
	}
	if err != nil {
		return 0, local, peer, err
	}
	local, _ = netip.AddrFromSlice(to)
	if ip, ok := from.(*net.IPAddr); ok {
		peer, _ = netip.AddrFromSlice(ip.IP)
	}
	return n, local.Unmap(), peer.Unmap(), nil
}

func (s socket) write(b []byte, local, peer netip.Addr) error {
	to := &net.IPAddr{IP: peer.AsSlice()}
	if s.is4 {
		_, err := s.v4.WriteTo(b, &ipv4.ControlMessage{Src: local.AsSlice()}, to)
		return err
	}
	_, err := s.v6.WriteTo(b, &ipv6.ControlMessage{Src: local.AsSlice()}, to)
	return err
}

func (s socket) close() error {
	if s.is4 {
		return s.v4.Close()
	}
	return s.v6.Close()
}

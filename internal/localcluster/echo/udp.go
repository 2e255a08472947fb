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

package echo

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// listenUDP opens one socket per family and asks for each datagram's
// destination: on a node an answer must leave from the address that was asked.
func (s *Server) listenUDP(port uint16) error {
	conn4, err := net.ListenUDP("udp4", &net.UDPAddr{Port: int(port)})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, conn4)
	packets4 := ipv4.NewPacketConn(conn4)
	if err := packets4.SetControlMessage(ipv4.FlagDst, true); err != nil {
		return err
	}
	conn6, err := net.ListenUDP("udp6", &net.UDPAddr{Port: int(port)})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, conn6)
	packets6 := ipv6.NewPacketConn(conn6)
	if err := packets6.SetControlMessage(ipv6.FlagDst, true); err != nil {
		return err
	}
	s.goRun(func() { s.serveUDP4(packets4, port) })
	s.goRun(func() { s.serveUDP6(packets6, port) })
	return nil
}

func (s *Server) serveUDP4(conn *ipv4.PacketConn, port uint16) {
	buffer := make([]byte, 64<<10)
	for {
		n, cm, peer, err := conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // an ICMP error of an earlier answer
			continue
		}
		from := &ipv4.ControlMessage{}
		if cm != nil && !cm.Dst.IsMulticast() {
			from.Src = cm.Dst
		}
		_, _ = conn.WriteTo(s.answerUDP(port, peer, buffer[:n]), from, peer)
	}
}

func (s *Server) serveUDP6(conn *ipv6.PacketConn, port uint16) {
	buffer := make([]byte, 64<<10)
	for {
		n, cm, peer, err := conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		from := &ipv6.ControlMessage{}
		if cm != nil && !cm.Dst.IsMulticast() && !cm.Dst.IsLinkLocalUnicast() {
			from.Src = cm.Dst
		}
		_, _ = conn.WriteTo(s.answerUDP(port, peer, buffer[:n]), from, peer)
	}
}

func (s *Server) answerUDP(port uint16, peer net.Addr, datagram []byte) []byte {
	reply := s.config.Identity.reply("UDP", port, addrPort(peer)).to(trimLine(datagram))
	s.log(reply, "datagram")
	return reply.line()
}

func addrPort(addr net.Addr) netip.AddrPort {
	switch addr := addr.(type) {
	case *net.TCPAddr:
		return addr.AddrPort()
	case *net.UDPAddr:
		return addr.AddrPort()
	}
	return netip.AddrPort{}
}

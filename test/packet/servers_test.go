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

package packet

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"switchyard.dev/switchyard/internal/netns"
)

// patience bounds every wait of a client. What is expected comes at once; only
// a failing test waits.
const (
	patience = 2 * time.Minute
	// shortPatience is for answers that must not come.
	shortPatience = 300 * time.Millisecond
)

// answer is what a server tells a client.
type answer struct {
	// server is the name of the one that answered.
	server string
	// source and port are where it saw the client.
	source netip.Addr
	port   uint16
}

func (a answer) String() string {
	return fmt.Sprintf("an answer of %q to %s port %d", a.server, a.source, a.port)
}

// serve is serveAt on port 8080.
func (w *world) serve(ns *netns.Namespace, name string, addr netip.Addr) netip.AddrPort {
	w.Helper()
	at := netip.AddrPortFrom(addr, 8080)
	w.serveAt(ns, name, at)
	return at
}

// serveAt answers TCP and UDP in ns: each line or datagram with the server's
// name and the client's address.
func (w *world) serveAt(ns *netns.Namespace, name string, at netip.AddrPort) {
	w.Helper()
	var listener net.Listener
	var datagrams net.PacketConn
	w.in(ns, func() (err error) {
		if listener, err = net.Listen("tcp", at.String()); err != nil {
			return err
		}
		datagrams, err = net.ListenPacket("udp", at.String())
		return err
	})
	w.Cleanup(func() { _ = listener.Close(); _ = datagrams.Close() })
	go serveTCP(listener, name)
	go serveUDP(datagrams, name)
}

func serveTCP(listener net.Listener, name string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			for lines := bufio.NewScanner(conn); lines.Scan(); {
				fmt.Fprintf(conn, "%s %s\n", name, conn.RemoteAddr())
			}
		}()
	}
}

func serveUDP(conn net.PacketConn, name string) {
	buf := make([]byte, 1500)
	for {
		_, from, err := conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = conn.WriteTo(fmt.Appendf(nil, "%s %s\n", name, from), from)
		}
	}
}

// dial connects from ns. The socket stays there.
func dial(ns *netns.Namespace, network string, to netip.AddrPort) (net.Conn, error) {
	return dialWithin(patience, ns, network, to)
}

func dialWithin(limit time.Duration, ns *netns.Namespace, network string, to netip.AddrPort) (net.Conn, error) {
	return dialAs(limit, ns, netip.Addr{}, network, to)
}

// dialAs is dialWithin from one of the addresses of ns, or the zero Addr.
func dialAs(limit time.Duration, ns *netns.Namespace, source netip.Addr, network string, to netip.AddrPort) (conn net.Conn, err error) {
	dialer := net.Dialer{Timeout: limit}
	if source.IsValid() {
		dialer.LocalAddr = localAddr(network, netip.AddrPortFrom(source, 0))
	}
	err = ns.Do(func() error {
		conn, err = dialer.Dial(network, to.String())
		return err
	})
	return conn, err
}

func localAddr(network string, source netip.AddrPort) net.Addr {
	if network == "udp" {
		return net.UDPAddrFromAddrPort(source)
	}
	return net.TCPAddrFromAddrPort(source)
}

// exchange asks once over an open connection.
func exchange(conn net.Conn) (answer, error) { return exchangeWithin(patience, conn) }

func exchangeWithin(limit time.Duration, conn net.Conn) (answer, error) {
	_ = conn.SetDeadline(time.Now().Add(limit))
	if _, err := conn.Write([]byte("who\n")); err != nil {
		return answer{}, err
	}
	buf := make([]byte, 200)
	n, err := conn.Read(buf)
	if err != nil {
		return answer{}, err
	}
	server, source, _ := strings.Cut(strings.TrimSpace(string(buf[:n])), " ")
	from, err := netip.ParseAddrPort(source)
	return answer{server, from.Addr(), from.Port()}, err
}

// ask connects, asks once and closes.
func ask(ns *netns.Namespace, network string, to netip.AddrPort) (answer, error) {
	return askWithin(patience, ns, network, to)
}

func askWithin(limit time.Duration, ns *netns.Namespace, network string, to netip.AddrPort) (answer, error) {
	return askAs(limit, ns, netip.Addr{}, network, to)
}

func askAs(limit time.Duration, ns *netns.Namespace, source netip.Addr, network string, to netip.AddrPort) (answer, error) {
	conn, err := dialAs(limit, ns, source, network, to)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = conn.Close() }()
	return exchangeWithin(limit, conn)
}

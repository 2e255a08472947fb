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

package announce

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/netns"
)

// serve answers each TCP connection in ns with a name and the client's address.
func (b *bed) serve(ns *netns.Namespace, name string, at netip.AddrPort) {
	b.Helper()
	var listener net.Listener
	b.in(ns, func() (err error) {
		listener, err = net.Listen("tcp", at.String())
		return err
	})
	b.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(conn, "%s %s", name, conn.RemoteAddr())
			_ = conn.Close()
		}
	}()
}

// errCut is that of a connection that had begun when its way changed: the new node
// knows nothing of it.
var errCut = errors.New("cut")

// connect makes one connection from outside and reads who answered, and to whom.
// retried says that a packet of it had to be sent again.
func (b *bed) connect(to netip.Addr, limit time.Duration) (server string, client netip.Addr, retried bool, err error) {
	var conn net.Conn
	err = b.outside.Do(func() error {
		conn, err = net.DialTimeout("tcp", netip.AddrPortFrom(to, 80).String(), limit)
		return err
	})
	if errors.Is(err, unix.ECONNRESET) { // by who was not asked first; a refusal is another error
		err = fmt.Errorf("%w: %w", errCut, err)
	}
	if err != nil {
		return "", client, false, err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(limit))
	buffer := make([]byte, 100)
	n, err := conn.Read(buffer)
	if err != nil {
		return "", client, false, fmt.Errorf("%w: %w", errCut, err)
	}
	server, text, _ := strings.Cut(string(buffer[:n]), " ")
	from, err := netip.ParseAddrPort(text)
	if err != nil {
		return "", client, false, err
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return "", client, false, err
	}
	var info *unix.TCPInfo
	if failed := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); failed != nil {
		return "", client, false, failed
	}
	if err != nil {
		return "", client, false, err
	}
	return server, from.Addr(), info.Total_retrans > 0, nil
}

// traffic is one connection after the other from outside, to all VIPs.
type traffic struct {
	stop chan struct{}
	done sync.WaitGroup

	mu sync.Mutex
	// gap is the longest time without an answer, per VIP; failed what went wrong.
	gap     map[netip.Addr]time.Duration
	made    int
	retried int
	cut     int
	failed  []error
}

// begin makes connections until end. With anew, each asks first who has the address.
func (b *bed) begin(anew bool) *traffic {
	t := &traffic{stop: make(chan struct{}), gap: map[netip.Addr]time.Duration{}}
	for _, vip := range vips {
		t.done.Go(func() { t.run(b, vip, anew) })
	}
	return t
}

func (t *traffic) run(b *bed, vip netip.Addr, anew bool) {
	last := time.Now()
	for {
		select {
		case <-t.stop:
			return
		default:
		}
		var forgot error
		limit := patience
		if anew {
			forgot = b.forget(vip)
			limit = 300 * time.Millisecond
		}
		_, _, retried, err := b.connect(vip, limit)
		t.mu.Lock()
		t.made++
		switch err = errors.Join(forgot, err); {
		case errors.Is(err, errCut):
			t.cut++
		case err != nil:
			t.failed = append(t.failed, err)
		default:
			t.gap[vip] = max(t.gap[vip], time.Since(last))
			last = time.Now()
		}
		if retried {
			t.retried++
		}
		t.mu.Unlock()
		time.Sleep(2 * time.Millisecond) // the clients' pace
	}
}

func (t *traffic) end() {
	close(t.stop)
	t.done.Wait()
}

func (t *traffic) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.made
}

// whoHas asks on the wire, as any machine may, and tells which nodes answer within
// a while.
func (b *bed) whoHas(addr netip.Addr) []string {
	b.Helper()
	return must(b.ask(addr, 300*time.Millisecond, len(b.nodes)))(b.T)
}

// ask sends one question, which is not repeated, and returns once that many nodes
// have answered.
func (b *bed) ask(addr netip.Addr, limit time.Duration, enough int) (names []string, err error) {
	fd, own, err := packets(b.outside, addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	frame := arpRequest(own, addr)
	if addr.Is6() {
		frame = solicitation(own, addr)
	}
	if _, err := unix.Write(fd, frame); err != nil {
		return nil, err
	}
	buffer := make([]byte, 2048)
	for deadline := time.Now().Add(limit); time.Now().Before(deadline) && len(names) < enough; {
		n, err := unix.Read(fd, buffer)
		if err != nil {
			continue // nothing yet
		}
		// An announcement to everybody is no answer.
		if name := b.answerer(buffer[:n], addr); name != "" && slices.Equal(own, net.HardwareAddr(buffer[:6])) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// packets is a socket at a machine for the frames by which addresses of that family
// are found, and its link address. Each read takes a tenth of a second at most.
func packets(at *netns.Namespace, addr netip.Addr) (fd int, own net.HardwareAddr, err error) {
	kind := uint16(unix.ETH_P_ARP)
	if addr.Is6() {
		kind = unix.ETH_P_IPV6
	}
	err = at.Do(func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		own = link.Attrs().HardwareAddr
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(kind<<8|kind>>8)); err != nil {
			return err
		}
		return errors.Join(
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: kind<<8 | kind>>8, Ifindex: link.Attrs().Index}))
	})
	return fd, own, err
}

// askAlways asks one question after the other until stop, and tells how many of
// them nobody answered. A question is not repeated: one that was lost has no answer
// however long it waits.
func (b *bed) askAlways(addr netip.Addr, stop <-chan struct{}) (asked, unanswered int) {
	for {
		select {
		case <-stop:
			return asked, unanswered
		case <-time.After(time.Millisecond): // the clients' pace
		}
		asked++
		if names, err := b.ask(addr, patience, 1); err != nil || len(names) == 0 {
			unanswered++
		}
	}
}

// answerer is the node whose frame says that it has addr.
func (b *bed) answerer(frame []byte, addr netip.Addr) string {
	said := addr.AsSlice()
	switch {
	case addr.Is4() && (len(frame) < 42 || frame[21] != 2 || !slices.Equal(frame[28:32], said)):
		return ""
	case addr.Is6() && (len(frame) < 78 || frame[20] != 58 || frame[54] != 136 || !slices.Equal(frame[62:78], said)):
		return ""
	}
	for _, n := range b.nodes {
		if slices.Equal(n.mac, net.HardwareAddr(frame[6:12])) {
			return n.name
		}
	}
	return "somebody else"
}

func arpRequest(own net.HardwareAddr, addr netip.Addr) []byte {
	frame := slices.Concat([]byte{255, 255, 255, 255, 255, 255}, own, []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, own,
		outsideIPs[0].AsSlice(), make([]byte, 6), addr.AsSlice())
	return append(frame, make([]byte, 60-len(frame))...)
}

func solicitation(own net.HardwareAddr, addr netip.Addr) []byte {
	target := addr.As16()
	group := [16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: target[13], 14: target[14], 15: target[15]}
	message := slices.Concat([]byte{135, 0, 0, 0, 0, 0, 0, 0}, target[:], []byte{1, 1}, own)
	pseudo := slices.Concat(outsideIPs[1].AsSlice(), group[:], []byte{0, 0, 0, byte(len(message)), 0, 0, 0, 58}, message)
	var sum uint32
	for i := 0; i < len(pseudo); i += 2 {
		sum += uint32(pseudo[i])<<8 | uint32(pseudo[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(message[2:], ^uint16(sum))
	return slices.Concat([]byte{0x33, 0x33, 0xff, target[13], target[14], target[15]}, own, []byte{0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(message)), 58, 255},
		outsideIPs[1].AsSlice(), group[:], message)
}

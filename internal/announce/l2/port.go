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
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// port are our sockets on one interface.
type port struct {
	card
	index int
	name  string
	files []*os.File
	raw   []syscall.RawConn
	// groups are the sockets that keep us in the solicited-node groups. One
	// each: the kernel bounds the memory that a socket may use for groups.
	groups map[netip.Addr]int
	// join returns a socket that keeps us in a group.
	join func(group netip.Addr) (int, error)
	// broken says that a socket has failed.
	broken atomic.Bool
}

// filters keep everything else in the kernel.
var filters = map[uint16][]bpf.Instruction{
	etherARP: {
		bpf.LoadAbsolute{Off: etherHeader, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 1<<16 | 0x0800, SkipTrue: 3}, // Ethernet, IPv4
		bpf.LoadAbsolute{Off: etherHeader + 4, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 6<<8 | 4, SkipTrue: 1},
		bpf.RetConstant{Val: 128},
		bpf.RetConstant{Val: 0},
	},
	etherIPv6: {
		bpf.LoadAbsolute{Off: etherHeader + 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolICMP<<8 | hops, SkipTrue: 4},
		bpf.LoadAbsolute{Off: etherHeader + ipv6Header, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: neighbourSolicitation, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: neighbourAdvertisement, SkipTrue: 1},
		bpf.RetConstant{Val: 1500},
		bpf.RetConstant{Val: 0},
	},
}

func openPort(i Interface) (p *port, err error) {
	p = &port{card: card{i.mac, i.linkLocal}, index: i.Index, name: i.Name, groups: map[netip.Addr]int{}}
	p.join = p.joinGroup
	defer func() {
		if err != nil {
			p.close()
			err = fmt.Errorf("answering on %s: %w", i.Name, err)
		}
	}()
	for _, kind := range []uint16{etherARP, etherIPv6} {
		if err := p.open(kind); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *port) open(kind uint16) error {
	// Without protocol it gets nothing until it is bound, with its filter.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: it takes CAP_NET_RAW", err)
	}
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), p.name)
	p.files = append(p.files, file)
	program, err := bpf.Assemble(filters[kind])
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}); err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: kind<<8 | kind>>8, Ifindex: p.index}); err != nil {
		return err
	}
	raw, err := file.SyscallConn()
	p.raw = append(p.raw, raw)
	return err
}

// read passes on frames of one socket until it is closed or its interface is gone.
func (p *port) read(raw syscall.RawConn, each func(frame []byte)) error {
	buffer := make([]byte, 2048)
	for {
		var n int
		var from unix.Sockaddr
		var err error
		if closed := raw.Read(func(fd uintptr) bool {
			n, from, err = unix.Recvfrom(int(fd), buffer, 0)
			return !errors.Is(err, unix.EAGAIN)
		}); closed != nil {
			return closed
		}
		switch link, ok := from.(*unix.SockaddrLinklayer); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("reading from %s: %w", p.name, err)
		case ok && p.isFor(link):
			each(buffer[:n])
		}
	}
}

// isFor says whether a frame has come from others on this interface's own network.
// The kernel passes on what others are told, what we say, and what is of a VLAN
// that has an interface of its own above this one.
func (p *port) isFor(link *unix.SockaddrLinklayer) bool {
	return link.Pkttype != unix.PACKET_OTHERHOST && link.Pkttype != unix.PACKET_OUTGOING && link.Ifindex == p.index
}

// send sends a frame. One that is lost is asked for again.
func (p *port) send(frame []byte) error {
	var err error
	if closed := p.raw[0].Control(func(fd uintptr) {
		kind := uint16(frame[12])<<8 | uint16(frame[13])
		err = unix.Sendto(int(fd), frame, 0, &unix.SockaddrLinklayer{Protocol: kind<<8 | kind>>8, Ifindex: p.index})
	}); closed != nil {
		return closed
	}
	return err
}

// listen joins the solicited-node groups of addrs and leaves all others, so that
// switches that look at group memberships pass on what is asked. What has failed
// is tried again by the next call.
func (p *port) listen(addrs map[netip.Addr]struct{}) error {
	wanted := map[netip.Addr]struct{}{}
	for addr := range addrs {
		if addr.Is6() {
			wanted[solicitedNode(addr)] = struct{}{}
		}
	}
	for group, fd := range p.groups {
		if _, still := wanted[group]; !still {
			_ = unix.Close(fd)
			delete(p.groups, group)
		}
	}
	failed, first := 0, error(nil)
	for group := range wanted {
		if _, joined := p.groups[group]; joined {
			continue
		}
		fd, err := p.join(group)
		if err != nil {
			failed++
			first = cmp.Or(first, err)
			continue
		}
		p.groups[group] = fd
	}
	if failed > 0 {
		return fmt.Errorf("joining %d of %d solicited-node groups on %s, without which switches may not pass on who asks: %w",
			failed, len(wanted), p.name, first)
	}
	return nil
}

func (p *port) joinGroup(group netip.Addr) (int, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	request := unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(p.index)}
	if err := unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &request); err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

func (p *port) close() {
	for _, file := range p.files {
		_ = file.Close()
	}
	_ = p.listen(nil)
}

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

package nfnl

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrOverrun means that notifications were lost because too many came at once.
var ErrOverrun = errors.New("notifications were lost")

// Listener receives the notifications of one multicast group.
type Listener struct {
	file *os.File
	buf  []byte
}

// Listen joins group (NFNLGRP_...) in the network namespace of the calling
// thread, deaf to what the sockets with the given ports cause.
func Listen(group int, deafTo []uint32) (*Listener, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	l := &Listener{os.NewFile(uintptr(fd), "nfnetlink"), make([]byte, dumpBuffer)}
	if err := l.join(fd, group, deafTo); err != nil {
		_ = l.file.Close()
		return nil, err
	}
	return l, nil
}

func (l *Listener) join(fd, group int, deafTo []uint32) error {
	filter := deafFilter(deafTo)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		return os.NewSyscallError("setsockopt SO_ATTACH_FILTER", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	// A deleted table is told rule by rule, which is more than the default.
	kernelSocket(fd).enlarge(unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, receiveBuffer)
	return os.NewSyscallError("setsockopt NETLINK_ADD_MEMBERSHIP",
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group))
}

// deafFilter drops packets whose first message names one of ports as its
// sender. The kernel puts messages of one sender only into one packet.
func deafFilter(ports []uint32) []unix.SockFilter {
	const senderOffset, everything = 12, 0xffffffff
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: senderOffset}}
	for _, port := range ports {
		// The filter reads in network byte order what is in the machine's.
		swapped := binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, port))
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: swapped},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0})
	}
	return append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: everything})
}

// Close makes a Receive that waits return.
func (l *Listener) Close() error { return l.file.Close() }

// Receive waits for notifications and hands each to handle, which must not
// keep the attributes. It returns ErrOverrun when some were lost, after which
// it can be called again, and ctx's error when that is done.
func (l *Listener) Receive(ctx context.Context, handle func(kind uint16, family uint8, a Attributes)) error {
	stop := context.AfterFunc(ctx, func() { _ = l.file.Close() })
	defer stop()
	n, err := l.file.Read(l.buf)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return l.hand(n, err, handle)
}

// ReceiveFor is Receive for a while at most, which leaves the listener open. What has
// come by the end of the while, or of ctx, is handed over however late this process
// finds out; with nothing there the error is os.ErrDeadlineExceeded.
func (l *Listener) ReceiveFor(ctx context.Context, while time.Duration, handle func(kind uint16, family uint8, a Attributes)) error {
	if err := l.file.SetReadDeadline(time.Now().Add(while)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	n, err := l.file.Read(l.buf)
	if errors.Is(err, os.ErrDeadlineExceeded) { // which it says without a look at the socket
		if n, err = l.readNow(); errors.Is(err, unix.EAGAIN) {
			return os.ErrDeadlineExceeded
		}
	}
	return l.hand(n, err, handle)
}

// readNow reads one packet; the error is EAGAIN if there is none.
func (l *Listener) readNow() (n int, err error) {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	if failed := raw.Control(func(fd uintptr) { n, err = unix.Read(int(fd), l.buf) }); failed != nil {
		return 0, failed
	}
	return n, err
}

// hand hands over the notifications of a packet that was read.
func (l *Listener) hand(n int, err error, handle func(kind uint16, family uint8, a Attributes)) error {
	switch {
	case errors.Is(err, unix.ENOBUFS):
		return ErrOverrun
	case err != nil:
		return err
	}
	for data := l.buf[:n]; len(data) >= headerSize; {
		size := int(binary.NativeEndian.Uint32(data))
		if size < headerSize || size > len(data) {
			return ErrOverrun // cut: as good as lost
		}
		handle(binary.NativeEndian.Uint16(data[4:]), data[unix.NLMSG_HDRLEN], Attributes(data[headerSize:size]))
		data = data[min((size+3)&^3, len(data)):]
	}
	return nil
}

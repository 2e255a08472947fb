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
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// sendBuffer takes a transaction of half a million elements. It is a limit,
	// not an allocation.
	sendBuffer = 64 << 20
	// receiveBuffer takes the replies to one transaction.
	receiveBuffer = 8 << 20
)

// Socket carries packets of netlink messages to the kernel and back. It is
// where tests let the kernel fail.
type Socket interface {
	// Send hands all messages of data to the kernel, which answers before it
	// returns, but for lists.
	Send(data []byte) error
	// Receive reads one packet; without wait it returns EAGAIN if none is
	// there.
	Receive(buf []byte, wait bool) (n int, err error)
	// SendLimit is how many bytes Send takes at once.
	SendLimit() int
	// Port names the socket to the kernel, as sender of messages and owner of
	// tables.
	Port() (uint32, error)
	Close() error
}

// kernelSocket is a Socket, by its file descriptor.
type kernelSocket int

// OpenSocket opens an nfnetlink socket in the network namespace of the calling
// thread. Without CAP_NET_ADMIN the kernel will answer nothing.
func OpenSocket() (Socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("opening a netfilter netlink socket (is the kernel built with CONFIG_NETFILTER_NETLINK?): %w", os.NewSyscallError("socket", err))
	}
	s := kernelSocket(fd)
	if err := s.setUp(); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

func (s kernelSocket) setUp() error {
	if err := unix.Bind(int(s), &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	// Errors come without a copy of the message that caused them.
	_ = unix.SetsockoptInt(int(s), unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	s.enlarge(unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, sendBuffer)
	s.enlarge(unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, receiveBuffer)
	return nil
}

// enlarge exceeds the machine's limit where that is allowed (before Linux 6.0
// only outside user namespaces), and stays within it elsewhere.
func (s kernelSocket) enlarge(force, ask, size int) {
	if unix.SetsockoptInt(int(s), unix.SOL_SOCKET, force, size) != nil {
		_ = unix.SetsockoptInt(int(s), unix.SOL_SOCKET, ask, size)
	}
}

func (s kernelSocket) Close() error { return unix.Close(int(s)) }

func (s kernelSocket) SendLimit() int {
	size, err := unix.GetsockoptInt(int(s), unix.SOL_SOCKET, unix.SO_SNDBUF)
	if err != nil {
		return 64 << 10
	}
	return size - 1024
}

func (s kernelSocket) Port() (uint32, error) {
	address, err := unix.Getsockname(int(s))
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	netlink, ok := address.(*unix.SockaddrNetlink)
	if !ok {
		return 0, fmt.Errorf("a netlink socket has the address %v", address)
	}
	return netlink.Pid, nil
}

func (s kernelSocket) Send(data []byte) error {
	for {
		err := unix.Sendto(int(s), data, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (s kernelSocket) Receive(buf []byte, wait bool) (int, error) {
	flags := unix.MSG_DONTWAIT
	if wait {
		flags = 0
	}
	n, _, err := unix.Recvfrom(int(s), buf, flags)
	return n, err
}

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
	"encoding/binary"
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
	// dumpBuffer is how much of a dump is read at once; the kernel sends at
	// most 32 KiB in one piece.
	dumpBuffer = 64 << 10
)

// Conn is an nfnetlink socket in the network namespace of the thread that
// opened it. It is for one goroutine at a time.
type Conn struct {
	fd  int
	buf []byte
}

// Dial opens a socket. Without CAP_NET_ADMIN the kernel will answer nothing.
func Dial() (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("opening a netfilter netlink socket (is the kernel built with CONFIG_NETFILTER_NETLINK?): %w", os.NewSyscallError("socket", err))
	}
	c := &Conn{fd: fd, buf: make([]byte, dumpBuffer)}
	if err := c.setUp(); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return c, nil
}

func (c *Conn) setUp() error {
	if err := unix.Bind(c.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	// Errors come without a copy of the message that caused them.
	_ = unix.SetsockoptInt(c.fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	c.enlarge(unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, sendBuffer)
	c.enlarge(unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, receiveBuffer)
	return nil
}

// enlarge exceeds the machine's limit where that is allowed (before Linux 6.0
// only outside user namespaces), and stays within it elsewhere.
func (c *Conn) enlarge(force, ask, size int) {
	if unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, force, size) != nil {
		_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, ask, size)
	}
}

// Close closes the socket.
func (c *Conn) Close() error { return unix.Close(c.fd) }

// MaxTransaction is the largest transaction in bytes that Commit can send.
func (c *Conn) MaxTransaction() int {
	size, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	if err != nil {
		return 64 << 10
	}
	return size - 1024
}

func (c *Conn) send(data []byte) error {
	for {
		err := unix.Sendto(c.fd, data, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EMSGSIZE):
			return fmt.Errorf("sending %d bytes to the kernel at once (raise the sysctl net.core.wmem_max): %w", len(data), err)
		case err != nil:
			return os.NewSyscallError("sendto", err)
		}
		return nil
	}
}

// receive waits for messages unless flags say otherwise, and hands each to
// handle. The bytes are overwritten by the next call.
func (c *Conn) receive(flags int, handle func(header unix.NlMsghdr, body []byte) error) error {
	n, _, err := unix.Recvfrom(c.fd, c.buf, flags)
	if err != nil {
		return err
	}
	for data := c.buf[:n]; len(data) >= unix.NLMSG_HDRLEN; {
		size := int(binary.NativeEndian.Uint32(data))
		if size < unix.NLMSG_HDRLEN || size > len(data) {
			return fmt.Errorf("a netlink message of %d bytes is cut to %d", size, len(data))
		}
		header := unix.NlMsghdr{
			Len:   uint32(size),
			Type:  binary.NativeEndian.Uint16(data[4:]),
			Flags: binary.NativeEndian.Uint16(data[6:]),
			Seq:   binary.NativeEndian.Uint32(data[8:]),
		}
		if err := handle(header, data[unix.NLMSG_HDRLEN:size]); err != nil {
			return err
		}
		data = data[min((size+3)&^3, len(data)):]
	}
	return nil
}

// errno reads the body of an NLMSG_ERROR or NLMSG_DONE; nil means success.
func errno(body []byte) error {
	if len(body) < 4 {
		return nil
	}
	if code := int32(binary.NativeEndian.Uint32(body)); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

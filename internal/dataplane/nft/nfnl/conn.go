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

// dumpBuffer is how much of a dump is read at once; the kernel sends at most
// 32 KiB in one piece.
const dumpBuffer = 64 << 10

// Conn makes requests over a Socket. It is for one goroutine at a time.
type Conn struct {
	socket Socket
	buf    []byte
	// batch is room for a transaction.
	batch Messages
}

// Dial opens a Conn to the kernel, like OpenSocket.
func Dial() (*Conn, error) {
	socket, err := OpenSocket()
	if err != nil {
		return nil, err
	}
	return NewConn(socket), nil
}

// NewConn is a Conn over a Socket, which it closes in the end.
func NewConn(socket Socket) *Conn { return &Conn{socket: socket, buf: make([]byte, dumpBuffer)} }

// Close closes the socket.
func (c *Conn) Close() error { return c.socket.Close() }

// MaxTransaction is the largest Messages in bytes that Commit can send.
func (c *Conn) MaxTransaction() int { return c.socket.SendLimit() - batchOverhead }

// batchOverhead is what begins and ends a transaction.
const batchOverhead = 2 * headerSize

// Port identifies the socket as the sender of messages.
func (c *Conn) Port() (uint32, error) { return c.socket.Port() }

func (c *Conn) send(data []byte) error {
	err := c.socket.Send(data)
	if errors.Is(err, unix.EMSGSIZE) {
		return fmt.Errorf("sending %d bytes to the kernel at once (raise the sysctl net.core.wmem_max): %w", len(data), err)
	}
	return os.NewSyscallError("sendto", err)
}

// receive hands the messages of one packet to handle. The bytes are
// overwritten by the next call.
func (c *Conn) receive(wait bool, handle func(header unix.NlMsghdr, body []byte) error) error {
	n, err := c.socket.Receive(c.buf, wait)
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

// discard drops replies that an earlier, failed call left unread, the rest of
// a dump included: the kernel begins no other before.
func (c *Conn) discard() {
	for failures := 0; failures < 10; {
		err := c.receive(false, func(unix.NlMsghdr, []byte) error { return nil })
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil:
			failures++
		}
	}
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

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

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/netns"
)

// kept is how many connections an accepting thread leaves open: the client ends
// each with a reset, so that neither side keeps a socket in TIME_WAIT.
const kept = 1024

// serve answers TCP connections to any address of the namespace with that
// address. Plain blocking sockets on two threads take less of the machine than
// anything else would.
func serve(ns *netns.Namespace) (stop func(), err error) {
	var listener int
	err = ns.Do(func() error {
		listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if err := unix.Bind(listener, &unix.SockaddrInet4{Port: endpointPort}); err != nil {
			return err
		}
		return unix.Listen(listener, 65535)
	})
	if err != nil {
		return nil, fmt.Errorf("listening for connections: %w", err)
	}
	for range 2 {
		go acceptAll(listener)
	}
	return func() { _ = unix.Shutdown(listener, unix.SHUT_RDWR); _ = unix.Close(listener) }, nil
}

func acceptAll(listener int) {
	var open [kept]int
	for n := 0; ; n = (n + 1) % kept {
		conn, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED) {
			continue
		}
		if err != nil {
			break
		}
		if local, err := unix.Getsockname(conn); err == nil {
			if v4, ok := local.(*unix.SockaddrInet4); ok {
				_, _ = unix.SendmsgN(conn, v4.Addr[:], nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
			}
		}
		if open[n] != 0 {
			_ = unix.Close(open[n])
		}
		open[n] = conn
	}
	for _, conn := range open {
		if conn != 0 {
			_ = unix.Close(conn)
		}
	}
}

// answer is what came of one connection.
type answer struct {
	// server is the endpoint that answered.
	server netip.Addr
	// connected is how long the handshake took.
	connected time.Duration
}

// ask opens one connection from the namespace of the calling thread and reads
// who answers. It gives up after patience.
func ask(from netip.Addr, to netip.AddrPort, patience time.Duration) (answer, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = unix.Close(fd) }()
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()}),
	)
	if err != nil {
		return answer{}, fmt.Errorf("preparing a socket: %w", err)
	}
	begin := time.Now()
	if err := connect(fd, to); err != nil {
		return answer{}, err
	}
	connected := time.Since(begin)
	var name [4]byte
	n, err := unix.Read(fd, name[:])
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Read(fd, name[:])
	}
	if err != nil {
		return answer{}, err
	}
	if n < len(name) {
		return answer{}, errors.New("the answer was cut short")
	}
	return answer{netip.AddrFrom4(name), connected}, nil
}

// connect goes on where a signal of the Go runtime interrupted it; the kernel
// does not, for sockets with a time limit.
func connect(fd int, to netip.AddrPort) error {
	for {
		err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
		switch {
		case errors.Is(err, unix.EISCONN):
			return nil
		case !errors.Is(err, unix.EINTR):
			return err
		}
	}
}

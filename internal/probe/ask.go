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

package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// askHTTP uses a connection of its own, so that each attempt is balanced anew.
func askHTTP(ctx context.Context, r Request) (reply, error) {
	path := r.Path
	if path == "" {
		path = "/hostname"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Address+path, nil)
	if err != nil {
		return reply{}, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", resp.Status)
	}
	return reply{text: string(body)}, err
}

func askTCP(ctx context.Context, r Request) (reply, error) { return askSocket(ctx, "tcp", r) }
func askUDP(ctx context.Context, r Request) (reply, error) { return askSocket(ctx, "udp", r) }

// askSocket sends one line and takes what the first read returns. A connected
// UDP socket is told of an ICMP port unreachable as ECONNREFUSED. A sender on the
// node itself is told EPERM first, whether its packet was rejected or dropped;
// only of a reject an ICMP error follows, so EPERM alone says nothing yet.
func askSocket(ctx context.Context, network string, r Request) (got reply, err error) {
	dialer := net.Dialer{Control: func(_, _ string, socket syscall.RawConn) error {
		var bound error
		err := socket.Control(func(fd uintptr) { got.port, bound = bind(int(fd), r.Address) })
		return errors.Join(err, bound)
	}}
	conn, err := dialer.DialContext(ctx, network, r.Address)
	if err != nil {
		return got, err
	}
	defer func() { _ = conn.Close() }()
	if r.ConnectOnly && network == "tcp" {
		return got, nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := io.WriteString(conn, r.Text+"\n"); err != nil && !errors.Is(err, unix.EPERM) {
		return got, err
	}
	buf := make([]byte, maxAnswer)
	n, err := conn.Read(buf)
	got.text = string(buf[:n])
	return got, err
}

// bind takes a port before the connection is made, so that it is known even if
// nothing comes of that.
func bind(fd int, to string) (port uint16, err error) {
	var any unix.Sockaddr = &unix.SockaddrInet4{}
	if remote, err := netip.ParseAddrPort(to); err == nil && remote.Addr().Is6() && !remote.Addr().Is4In6() {
		any = &unix.SockaddrInet6{}
	}
	if err := unix.Bind(fd, any); err != nil {
		return 0, err
	}
	local, err := unix.Getsockname(fd)
	switch local := local.(type) {
	case *unix.SockaddrInet4:
		return uint16(local.Port), err
	case *unix.SockaddrInet6:
		return uint16(local.Port), err
	}
	return 0, err
}

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

package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
)

// PortForward connects the stream to a TCP port inside the Pod: on its
// loopback, as kubectl promises, or else on its addresses.
func (r *Runner) PortForward(ctx context.Context, namespace, name string, port int32, stream io.ReadWriteCloser) error {
	defer func() { _ = stream.Close() }()
	w, err := r.worker(namespace, name)
	if err != nil {
		return err
	}
	at, err := w.where()
	if err != nil {
		return err
	}
	hosts := []string{"127.0.0.1", "::1"}
	for _, ip := range at.ips {
		hosts = append(hosts, ip.String())
	}
	var errs []error
	for _, host := range hosts {
		conn, err := dialIn(ctx, at.ns, "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		return join(ctx, conn.(*net.TCPConn), stream)
	}
	return fmt.Errorf("forwarding port %d to pod %s/%s: %w", port, namespace, name, errs[0])
}

// join copies both ways until both sides have ended.
func join(ctx context.Context, conn *net.TCPConn, stream io.ReadWriteCloser) error {
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	go func() {
		_, _ = io.Copy(conn, stream)
		_ = conn.CloseWrite()
	}()
	_, err := io.Copy(stream, conn)
	if errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

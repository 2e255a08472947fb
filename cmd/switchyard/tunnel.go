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
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"switchyard.dev/switchyard/internal/localcluster"
	"switchyard.dev/switchyard/internal/localcluster/state"
	"switchyard.dev/switchyard/internal/status"
)

// tunnels lead to the pods of a cluster, and to what runs in the local one without a
// pod.
type tunnels struct {
	status.Tunnels
	local *state.Dir
}

func tunnelsInto(cluster reach) (status.Tunnels, error) {
	forwarding, err := status.Forwarding(cluster.config)
	return tunnels{forwarding, cluster.local}, err
}

// Open enters a local node's network.
func (t tunnels) Open(ctx context.Context, to status.Instance) (status.Tunnel, error) {
	if to.Pod.Name != "" || t.local == nil {
		return t.Tunnels.Open(ctx, to)
	}
	network, err := localcluster.OfNode(*t.local, to.Node)
	return networkTunnel{network}, err
}

// networkTunnel makes connections by a process in the network.
type networkTunnel struct{ localcluster.Network }

// Close does nothing: connections are closed one by one.
func (networkTunnel) Close() error { return nil }

// Dial starts a process that copies what goes through its standard streams.
func (n networkTunnel) Dial(ctx context.Context, port int) (net.Conn, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the switchyard program: %w", err)
	}
	command, err := n.Command(ctx, self, connectTo, fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	p := &piped{command: command}
	command.Stderr = &p.stderr
	if p.WriteCloser, err = command.StdinPipe(); err != nil {
		return nil, err
	}
	if p.Reader, err = command.StdoutPipe(); err != nil {
		return nil, err
	}
	return p, command.Start()
}

// piped is a connection that a process has made.
type piped struct {
	io.Reader
	io.WriteCloser
	command *exec.Cmd
	stderr  bytes.Buffer
	wait    sync.Once
	err     error
}

// end waits for the process, as both Read and Close may.
func (p *piped) end() error {
	p.wait.Do(func() { p.err = p.command.Wait() })
	return p.err
}

// Read ends with what the process says of its connection.
func (p *piped) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if n == 0 && err != nil {
		if p.end() != nil && p.stderr.Len() > 0 {
			return n, errors.New(strings.TrimPrefix(strings.TrimSpace(p.stderr.String()), "switchyard: "))
		}
	}
	return n, err
}

// Close ends the process.
func (p *piped) Close() error {
	err := p.WriteCloser.Close()
	_ = p.command.Process.Kill()
	_ = p.end() // by which it was killed
	if errors.Is(err, os.ErrClosed) {
		return nil // by the end of the process
	}
	return err
}

// LocalAddr is none.
func (*piped) LocalAddr() net.Addr { return &net.UnixAddr{} }

// RemoteAddr is none.
func (*piped) RemoteAddr() net.Addr { return &net.UnixAddr{} }

// SetDeadline does nothing: the context ends it.
func (*piped) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing: the context ends it.
func (*piped) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: the context ends it.
func (*piped) SetWriteDeadline(time.Time) error { return nil }

// connectTo is the hidden command that connects its standard streams to an address
// of the network that it is started in.
const connectTo = "connect-to"

func connectCommand() *cobra.Command {
	return &cobra.Command{
		Use:    connectTo,
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var dialer net.Dialer
			conn, err := dialer.DialContext(c.Context(), "tcp", args[0])
			if refused, is := errors.AsType[*net.OpError](err); is {
				err = refused.Err // without what it was told
			}
			if err != nil {
				return fmt.Errorf("connecting to %s from within the node: %w", args[0], err)
			}
			go func() {
				_, _ = io.Copy(conn, c.InOrStdin())
				_ = conn.(*net.TCPConn).CloseWrite()
			}()
			_, err = io.Copy(c.OutOrStdout(), conn)
			return err
		},
	}
}

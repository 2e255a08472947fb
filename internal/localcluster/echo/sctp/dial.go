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

package sctp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Conn is the client's end of an association. Its methods may be called from
// several goroutines.
type Conn struct {
	socket   *net.IPConn
	release  func() // its port
	messages chan []byte
	opened   chan struct{}
	done     chan struct{}
	running  sync.WaitGroup

	mu    sync.Mutex
	assoc *association
	err   error
}

// Dial opens an association to remote from the calling thread's network
// namespace: call it inside netns.Namespace.Do. It needs CAP_NET_RAW. A
// refusal, by an ABORT or an ICMP error, is returned at once.
func Dial(ctx context.Context, remote netip.AddrPort) (*Conn, error) {
	network := "ip6:132"
	if remote.Addr().Is4() {
		network = "ip4:132"
	}
	port, release, err := takePort()
	if err != nil {
		return nil, fmt.Errorf("dialling SCTP %s: %w", remote, err)
	}
	// Connected, so that the kernel hands over ICMP errors and other hosts'
	// packets stay out.
	socket, err := net.DialIP(network, nil, &net.IPAddr{IP: remote.Addr().AsSlice(), Zone: remote.Addr().Zone()})
	if err != nil {
		release()
		return nil, fmt.Errorf("dialling SCTP %s: %w", remote, err)
	}
	c := &Conn{socket: socket, release: release, messages: make(chan []byte, 64), opened: make(chan struct{}), done: make(chan struct{})}
	c.start(remote, port)
	select {
	case <-c.opened:
		return c, nil
	case <-c.done:
		err = c.failure()
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.stop(err)
	return nil, fmt.Errorf("dialling SCTP %s: %w", remote, err)
}

func (c *Conn) start(remote netip.AddrPort, port uint16) {
	local, _ := netip.AddrFromSlice(c.socket.LocalAddr().(*net.IPAddr).IP)
	assoc, first := newClient(netip.AddrPortFrom(local.Unmap(), port), remote, randomTag(), rand.Uint32(), time.Now())
	c.assoc = assoc
	c.transmit([]packet{first})
	c.running.Go(c.read)
	c.running.Go(c.tickLoop)
}

// LocalAddr is the client's address before any translation.
func (c *Conn) LocalAddr() netip.AddrPort { return c.assoc.local }

// Send sends one message of 1 byte to about 70 KB.
func (c *Conn) Send(message []byte) error {
	if len(message) == 0 {
		return errors.New("sending over SCTP: a message must not be empty")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	packets, err := c.assoc.send(message, time.Now())
	if err != nil {
		return err
	}
	c.transmit(packets)
	return nil
}

// Receive waits for the next message.
func (c *Conn) Receive(ctx context.Context) ([]byte, error) {
	select {
	case message := <-c.messages:
		return message, nil
	default:
	}
	select {
	case message := <-c.messages:
		return message, nil
	case <-c.done:
		return nil, c.failure()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close ends the association in order, waiting up to two seconds for the peer.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.transmit(c.assoc.close(time.Now()))
	c.finishIfClosed()
	c.mu.Unlock()
	select {
	case <-c.done:
	case <-time.After(2 * time.Second):
	}
	c.stop(net.ErrClosed)
	return nil
}

// stop ends the association at once and waits for the goroutines.
func (c *Conn) stop(err error) {
	c.mu.Lock()
	if c.assoc.state != stateClosed {
		if c.assoc.peerTag != 0 {
			c.transmit([]packet{c.assoc.abort()})
		}
		c.assoc.end(err)
	}
	c.finishIfClosed()
	c.mu.Unlock()
	_ = c.socket.Close()
	c.running.Wait()
	c.release()
}

func (c *Conn) read() {
	buffer := make([]byte, 64<<10)
	for {
		n, _, err := c.socket.ReadFromIP(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // an ICMP error: refused or unreachable
			c.fail(err)
			return
		}
		if p, err := parse(buffer[:n]); err == nil && len(p.chunks) > 0 {
			c.handle(p)
		}
	}
}

func (c *Conn) handle(p packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.src != c.assoc.peer.Port() || p.dst != c.assoc.local.Port() {
		return
	}
	before := c.assoc.state
	r := c.assoc.receive(p, time.Now())
	c.transmit(r.packets)
	if before < stateEstablished && c.assoc.state == stateEstablished {
		close(c.opened)
	}
	for _, message := range r.messages {
		select {
		case c.messages <- message:
		default:
			c.transmit([]packet{c.assoc.abort()}) // nobody reads
		}
	}
	c.finishIfClosed()
}

func (c *Conn) tickLoop() {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-c.done:
			return
		case now := <-ticker.C:
			c.mu.Lock()
			c.transmit(c.assoc.tick(now))
			c.finishIfClosed()
			c.mu.Unlock()
		}
	}
}

func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.assoc.end(err)
	c.finishIfClosed()
}

// finishIfClosed is called with the lock held.
func (c *Conn) finishIfClosed() {
	if c.assoc.state != stateClosed || c.err != nil {
		return
	}
	if c.err = c.assoc.err; c.err == nil {
		c.err = net.ErrClosed
	}
	close(c.done)
}

func (c *Conn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// transmit is best effort: what gets lost is sent again, and an ICMP error
// that a write reports is seen by the reader, too, or by the next attempt. EPERM
// is what a packet filter of this machine makes of a drop and of a reject alike;
// only a reject is followed by an ICMP error.
func (c *Conn) transmit(packets []packet) {
	for _, p := range packets {
		_, err := c.socket.Write(p.marshal())
		if errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EPERM) {
			continue
		}
		if err != nil && c.assoc.state < stateEstablished {
			c.assoc.end(err)
		}
	}
}

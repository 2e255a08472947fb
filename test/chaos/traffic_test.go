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

package chaos

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/netns"
)

// patience lets TCP send a SYN four times, and a UDP client ask ten times.
const patience = 10 * time.Second

// serve answers every line or datagram with the server's address.
func (b *bed) serve(at netip.AddrPort) {
	b.Helper()
	name := []byte(at.Addr().String() + "\n")
	var listener net.Listener
	var datagrams net.PacketConn
	b.in(b.pods, func() (err error) {
		if listener, err = net.Listen("tcp", at.String()); err != nil {
			return err
		}
		datagrams, err = net.ListenPacket("udp", at.String())
		return err
	})
	b.Cleanup(func() { _ = listener.Close(); _ = datagrams.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					_, _ = conn.Write(name)
				}
			}()
		}
	}()
	go func() {
		for buf := make([]byte, 64); ; {
			_, from, err := datagrams.ReadFrom(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = datagrams.WriteTo(name, from)
			}
		}
	}()
}

// way is one way to a Service.
type way struct {
	name, network string
	from          *netns.Namespace
	to            netip.AddrPort
	service       *service
	family        family
}

func (b *bed) ways() []way {
	var all []way
	for i, f := range families {
		for _, network := range []string{"tcp", "udp"} {
			for _, s := range b.services {
				all = append(all, way{strings.Join([]string{f.name, network, s.Name, "ClusterIP"}, " "), network, b.clients, s.clusterIP(i), s, f})
			}
			web := b.services[0]
			all = append(all, way{strings.Join([]string{f.name, network, web.Name, "NodePort"}, " "), network, b.outside, web.nodePort(i, network), web, f})
		}
	}
	return all
}

// toll is what the traffic of one bed has met.
type toll struct {
	// opened and exchanged count successes.
	opened, exchanged atomic.Int64
	// retransmitted counts new connections that needed more than one SYN, late
	// those of them that needed more than two.
	retransmitted, late atomic.Int64
	// resent counts datagrams that were sent again, lost questions by UDP that
	// needed more than two: one may have been under way to an endpoint that went.
	resent, lost atomic.Int64
	// refused counts connections to a NodePort that the node itself refused.
	refused atomic.Int64
	failed  atomic.Int64
	broken  atomic.Int64
	// moved counts held flows that went on to another server, as those over UDP
	// do when theirs has gone.
	moved atomic.Int64

	mu    sync.Mutex
	first map[*atomic.Int64][]string // the first of each counter
}

func newToll() *toll { return &toll{first: map[*atomic.Int64][]string{}} }

func (t *toll) String() string {
	return fmt.Sprintf("%d connections opened (%d after a retransmission, %d after more), %d exchanges over held ones, %d datagrams sent again (%d more than once); "+
		"%d attempts failed, %d refused by the node itself, %d established connections broken",
		t.opened.Load(), t.retransmitted.Load(), t.late.Load(), t.exchanged.Load(), t.resent.Load(), t.lost.Load(), t.failed.Load(), t.refused.Load(), t.broken.Load())
}

func (t *toll) note(counter *atomic.Int64, way way, err error) {
	counter.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.first[counter]) < 5 {
		t.first[counter] = append(t.first[counter], fmt.Sprintf("%s %s: %v", time.Now().Format("05.000"), way.name, err))
	}
}

// examples are the first of some counters.
func (t *toll) examples(counters ...*atomic.Int64) (all []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range counters {
		all = append(all, t.first[c]...)
	}
	return all
}

// traffic runs clients on every way until stop is called.
func (b *bed) traffic() (t *toll, stop func()) {
	t = newToll()
	done := make(chan struct{})
	var running sync.WaitGroup
	repeat := func(pace time.Duration, fn func()) {
		for {
			fn()
			select {
			case <-done:
				return
			case <-time.After(pace):
			}
		}
	}
	for _, way := range b.ways() {
		// A thread in the namespace for each, as making one is most of a dial.
		running.Go(func() {
			_ = way.from.Do(func() error {
				repeat(10*time.Millisecond, func() { t.open(way) })
				return nil
			})
		})
		running.Go(func() {
			_ = way.from.Do(func() error {
				held := &held{way: way}
				repeat(20*time.Millisecond, func() { held.use(t) })
				held.close()
				return nil
			})
		})
	}
	stop = sync.OnceFunc(func() { close(done); running.Wait() })
	b.Cleanup(stop) // where a test ends early, before its namespaces do
	return t, stop
}

// open is one new connection, used once.
func (t *toll) open(way way) {
	conn, err := net.DialTimeout(way.network, way.to.String(), patience)
	if err != nil {
		t.note(t.failure(way, err), way, err)
		return
	}
	defer abort(conn)
	if n := retransmits(conn); n > 0 {
		t.note(&t.retransmitted, way, fmt.Errorf("%d retransmissions, from %s", n, conn.LocalAddr()))
		if n > 1 {
			t.note(&t.late, way, fmt.Errorf("%d retransmissions, from %s", n, conn.LocalAddr()))
		}
	}
	if _, err := t.ask(way, conn); err != nil {
		counter := t.failure(way, err)
		if way.network == "tcp" {
			counter = &t.broken // it was established
		}
		t.note(counter, way, err)
		return
	}
	t.opened.Add(1)
}

// failure tells apart what a client meets while the node has no rules: a
// NodePort that the node refuses as any machine would, a connection that was
// established and is reset. All else is a failure at any time.
func (t *toll) failure(way way, err error) *atomic.Int64 {
	switch {
	case errors.Is(err, unix.ECONNREFUSED) && way.to.Addr() == way.family.node:
		return &t.refused
	case errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return &t.broken
	}
	return &t.failed
}

// ask sends a question and awaits the answer, over UDP up to ten times.
func (t *toll) ask(way way, conn net.Conn) (server string, err error) {
	tries, wait := 1, patience
	if conn.LocalAddr().Network() == "udp" {
		tries, wait = 10, patience/10
	}
	buf := make([]byte, 64)
	for try := range tries {
		if try > 0 {
			t.resent.Add(1)
		}
		if try == 2 {
			t.note(&t.lost, way, fmt.Errorf("two datagrams without an answer, from %s", conn.LocalAddr()))
		}
		_ = conn.SetDeadline(time.Now().Add(wait))
		if _, err = conn.Write([]byte("?\n")); err != nil {
			continue
		}
		var n int
		if n, err = conn.Read(buf); err == nil {
			return strings.TrimSpace(string(buf[:n])), nil
		}
	}
	return "", err
}

// held is a connection that is used again and again.
type held struct {
	way    way
	conn   net.Conn
	server string // the last one that answered
}

func (h *held) use(t *toll) {
	if h.conn == nil {
		conn, err := net.DialTimeout(h.way.network, h.way.to.String(), patience)
		if err != nil {
			return // the other client of the way reports it
		}
		h.conn = conn
	}
	server, err := t.ask(h.way, h.conn)
	if err != nil {
		t.note(&t.broken, h.way, err)
		h.close()
		return
	}
	if h.server != "" && server != h.server {
		t.note(&t.moved, h.way, fmt.Errorf("from %s to %s", h.server, server))
	}
	h.server = server
	t.exchanged.Add(1)
}

func (h *held) close() {
	if h.conn != nil {
		abort(h.conn)
		h.conn, h.server = nil, ""
	}
}

// abort closes without TIME_WAIT, so that ports do not run out.
func abort(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// retransmits counts the segments that TCP had to send again.
func retransmits(conn net.Conn) (n uint32) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), syscall.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = info.Total_retrans
		}
	})
	return n
}

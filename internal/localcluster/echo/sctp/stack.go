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
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxAssociations bounds a stack's memory; beyond it new peers are aborted.
const maxAssociations = 8192

// Message is one that a server received.
type Message struct {
	Client netip.AddrPort
	Data   []byte
}

// Handler answers a message; nil sends nothing. It must not block.
type Handler func(Message) []byte

// Listener is an open port.
type Listener struct {
	stack *stack
	port  uint16
}

// stack is SCTP for one network namespace: raw sockets see every packet of the
// protocol, so that ports can only be told apart when they share them. A stack
// lives as long as it has ports.
type stack struct {
	inode   uint64
	sockets []socket
	jar     *cookieJar
	stop    chan struct{}
	running sync.WaitGroup
	sent    func(packet) // in place of the sockets, in tests

	mu     sync.Mutex
	ports  map[uint16]Handler
	assocs map[pair]*association
}

type pair struct{ local, peer netip.AddrPort }

var (
	stacksMu sync.Mutex
	stacks   = map[uint64]*stack{} // by inode of the network namespace
)

// Listen opens a port on all addresses, of both families, of the calling
// thread's network namespace: call it inside netns.Namespace.Do. It needs
// CAP_NET_RAW there. EADDRINUSE is returned for a port that is open, or a
// client's.
func Listen(port uint16, handler Handler) (*Listener, error) {
	stacksMu.Lock()
	defer stacksMu.Unlock()
	inode, err := namespaceInode()
	if err != nil {
		return nil, err
	}
	if portTaken(inode, port) {
		return nil, os.NewSyscallError("bind", syscall.EADDRINUSE)
	}
	s := stacks[inode]
	if s == nil {
		if s, err = newStack(inode); err != nil {
			return nil, err
		}
		stacks[inode] = s
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ports[port] = handler
	return &Listener{stack: s, port: port}, nil
}

// Close aborts the port's associations and closes it.
func (l *Listener) Close() error {
	stacksMu.Lock()
	defer stacksMu.Unlock()
	if l.stack == nil {
		return net.ErrClosed
	}
	s := l.stack
	l.stack = nil
	if s.closePort(l.port) == 0 {
		delete(stacks, s.inode)
		s.close()
	}
	return nil
}

func newStack(inode uint64) (*stack, error) {
	sockets, err := listenSockets()
	if err != nil {
		return nil, fmt.Errorf("opening raw sockets for SCTP: %w", err)
	}
	s := &stack{
		inode: inode, sockets: sockets, jar: newCookieJar(), stop: make(chan struct{}),
		ports: map[uint16]Handler{}, assocs: map[pair]*association{},
	}
	for _, socket := range sockets {
		s.running.Go(func() { s.read(socket) })
	}
	s.running.Go(s.tickLoop)
	return s, nil
}

func (s *stack) closePort(port uint16) (left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ports, port)
	for key, a := range s.assocs {
		if key.local.Port() == port {
			s.transmit(key, a.abort())
			delete(s.assocs, key)
		}
	}
	return len(s.ports)
}

func (s *stack) close() {
	close(s.stop)
	for _, socket := range s.sockets {
		_ = socket.close()
	}
	s.running.Wait()
}

func (s *stack) read(socket socket) {
	buffer := make([]byte, 64<<10)
	for {
		n, local, peer, err := socket.read(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		p, err := parse(buffer[:n])
		if err != nil || len(p.chunks) == 0 {
			continue
		}
		s.handle(pair{netip.AddrPortFrom(local, p.dst), netip.AddrPortFrom(peer, p.src)}, p, time.Now())
	}
}

// handle is the state machine of section 5 and, for packets that belong to no
// association, section 8.4.
func (s *stack) handle(key pair, p packet, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := p.chunks[0]
	handler := s.ports[key.local.Port()]
	switch {
	case first.kind == chunkInit:
		s.onInit(key, p, handler != nil, now)
		return
	case handler == nil:
		return // perhaps a client's of another process in this namespace
	case first.kind == chunkCookieEcho:
		if !s.onCookieEcho(key, p, now) {
			return
		}
		p.chunks = p.chunks[1:] // DATA may follow in the same packet
		if len(p.chunks) == 0 {
			return
		}
	}
	a := s.assocs[key]
	if a == nil {
		s.onOutOfTheBlue(key, p)
		return
	}
	s.advance(key, a, p, handler, now)
}

func (s *stack) advance(key pair, a *association, p packet, handler Handler, now time.Time) {
	r := a.receive(p, now)
	s.transmit(key, r.packets...)
	for _, message := range r.messages {
		answer := handler(Message{Client: key.peer, Data: message})
		if answer == nil {
			continue
		}
		packets, err := a.send(answer, now)
		if err != nil {
			packets = []packet{a.abort()}
		}
		s.transmit(key, packets...)
	}
	if a.state == stateClosed {
		delete(s.assocs, key)
	}
}

func (s *stack) onInit(key pair, p packet, open bool, now time.Time) {
	body, err := parseInit(p.chunks[0].value)
	if err != nil || p.tag != 0 || len(p.chunks) != 1 {
		return // section 5.1: INIT comes alone and with a zero tag
	}
	answer := packet{src: p.dst, dst: p.src, tag: body.tag}
	if !open || len(s.assocs) >= maxAssociations {
		answer.chunks = []chunk{{kind: chunkAbort}}
		s.transmit(key, answer)
		return
	}
	c := cookie{local: key.local, peer: key.peer, peerTag: body.tag, peerTSN: body.tsn, issued: now}
	c.localTag, c.localTSN = s.jar.numbers(c)
	ack := initBody{tag: c.localTag, window: window, out: 1, in: 1, tsn: c.localTSN, cookie: s.jar.seal(c)}
	answer.chunks = []chunk{{kind: chunkInitAck, value: ack.marshal()}}
	s.transmit(key, answer)
}

// onCookieEcho makes the association and reports whether the packet's other
// chunks may be handled.
func (s *stack) onCookieEcho(key pair, p packet, now time.Time) bool {
	c, err := s.jar.open(p.chunks[0].value, now)
	if errors.Is(err, errStaleCookie) {
		stale := chunk{kind: chunkError, value: []byte{0, 3, 0, 8, 0, 0, 0, 0}}
		s.transmit(key, packet{src: p.dst, dst: p.src, tag: c.peerTag, chunks: []chunk{stale}})
		return false
	}
	if err != nil || c.local != key.local || c.peer != key.peer || c.localTag != p.tag {
		return false
	}
	a := s.assocs[key]
	if a == nil || a.localTag != c.localTag || a.peerTag != c.peerTag { // new, or the peer restarted
		if a == nil && len(s.assocs) >= maxAssociations {
			return false
		}
		a = newServer(c, now)
		s.assocs[key] = a
	}
	s.transmit(key, a.packet(chunk{kind: chunkCookieAck}))
	return true
}

func (s *stack) onOutOfTheBlue(key pair, p packet) {
	answer := packet{src: p.dst, dst: p.src, tag: p.tag}
	switch p.chunks[0].kind {
	case chunkAbort, chunkShutdownComplete, chunkCookieAck, chunkInitAck, chunkError:
		return
	case chunkShutdownAck:
		answer.chunks = []chunk{{kind: chunkShutdownComplete, flags: flagReflected}}
	default:
		answer.chunks = []chunk{{kind: chunkAbort, flags: flagReflected}}
	}
	s.transmit(key, answer)
}

func (s *stack) tickLoop() {
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-ticker.C:
			s.tick(now)
		}
	}
}

func (s *stack) tick(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, a := range s.assocs {
		s.transmit(key, a.tick(now)...)
		if a.state == stateClosed {
			delete(s.assocs, key)
		}
	}
}

// transmit is best effort, as the protocol sends again what got lost.
func (s *stack) transmit(key pair, packets ...packet) {
	if s.sent != nil {
		for _, p := range packets {
			s.sent(p)
		}
		return
	}
	for _, socket := range s.sockets {
		if socket.is4 != key.peer.Addr().Is4() {
			continue
		}
		for _, p := range packets {
			_ = socket.write(p.marshal(), key.local.Addr(), key.peer.Addr())
		}
	}
}

func randomTag() uint32 {
	for {
		if tag := rand.Uint32(); tag != 0 {
			return tag
		}
	}
}

func namespaceInode() (uint64, error) {
	var stat unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), &stat); err != nil {
		return 0, fmt.Errorf("reading the network namespace: %w", err)
	}
	return stat.Ino, nil
}

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

package echo

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	// silence is how long a TCP client may say nothing before it is told where
	// it is. An HTTP client that connects early and asks later than that gets
	// a line it does not expect; browsers and proxies ask sooner.
	silence = time.Second
	// maxLine bounds a line; a longer one is answered in pieces.
	maxLine = 16 << 10
	// maxConns bounds a server's open connections.
	maxConns = 8192
	// longestMethod is len("CONNECT "), the most bytes needed to know HTTP.
	longestMethod = 8
)

var methods = []string{"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "PATCH ", "OPTIONS ", "TRACE ", "CONNECT ", "PRI "}

func (s *Server) acceptTCP(listener *net.TCPListener, port uint16) {
	for {
		conn, err := listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file descriptors, aborted handshakes
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if !s.conns.add(conn) {
			_ = conn.Close()
			continue
		}
		s.goRun(func() {
			s.serveTCP(&peekedConn{TCPConn: conn, reader: bufio.NewReaderSize(conn, maxLine), port: port, done: s.conns.remove})
		})
	}
}

func (s *Server) serveTCP(conn *peekedConn) {
	_ = conn.SetReadDeadline(time.Now().Add(silence))
	if looksLikeHTTP(conn.reader) {
		_ = conn.SetReadDeadline(time.Time{})
		s.queue.push(conn)
		return
	}
	defer func() { _ = conn.Close() }()
	s.serveLines(conn)
}

// looksLikeHTTP waits for as many bytes as it needs to tell.
func looksLikeHTTP(reader *bufio.Reader) bool {
	for n := 1; n <= longestMethod; n++ {
		start, err := reader.Peek(n)
		if err != nil {
			return false
		}
		possible := false
		for _, method := range methods {
			if strings.HasPrefix(method, string(start)) {
				possible = true
				if len(start) == len(method) {
					return true
				}
			}
		}
		if !possible {
			return false
		}
	}
	return false
}

// serveLines answers each line, and once a client that is silent or done.
func (s *Server) serveLines(conn *peekedConn) {
	reply := s.config.Identity.reply("TCP", conn.port, addrPort(conn.RemoteAddr()))
	answered := false
	for {
		line, err := conn.reader.ReadSlice('\n')
		timedOut := errors.Is(err, os.ErrDeadlineExceeded)
		if len(line) > 0 || !answered {
			answer := reply.to(trimLine(line))
			_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
			if _, err := conn.Write(answer.line()); err != nil {
				return
			}
			if answer.Bytes > 0 || timedOut {
				s.log(answer, "line")
			}
			answered = true
		}
		if err != nil && !timedOut && !errors.Is(err, bufio.ErrBufferFull) {
			return // io.EOF or a reset
		}
		// Only the first wait is short: later text without a newline is
		// answered when the newline, or the end, comes.
		_ = conn.SetReadDeadline(time.Time{})
	}
}

func trimLine(line []byte) []byte { return bytes.TrimRight(line, "\r\n") }

// peekedConn is a connection some of whose bytes were already looked at.
type peekedConn struct {
	*net.TCPConn
	reader *bufio.Reader
	port   uint16
	done   func(net.Conn)
}

func (c *peekedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

func (c *peekedConn) Close() error {
	c.done(c.TCPConn)
	return c.TCPConn.Close()
}

// WriteTo and ReadFrom of the embedded connection would pass the reader by.
func (c *peekedConn) WriteTo(w io.Writer) (int64, error) { return c.reader.WriteTo(w) }
func (c *peekedConn) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c.TCPConn}, r)
}

// connQueue is a listener whose connections were accepted elsewhere.
type connQueue struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newConnQueue() *connQueue {
	return &connQueue{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (q *connQueue) push(conn net.Conn) {
	select {
	case q.conns <- conn:
	case <-q.closed:
		_ = conn.Close()
	}
}

func (q *connQueue) Accept() (net.Conn, error) {
	select {
	case conn := <-q.conns:
		return conn, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

func (q *connQueue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

func (q *connQueue) Addr() net.Addr { return &net.TCPAddr{} }

// connSet holds the open connections so that Close can end them.
type connSet struct {
	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
}

func (c *connSet) add(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.open) >= maxConns {
		return false
	}
	if c.open == nil {
		c.open = map[net.Conn]struct{}{}
	}
	c.open[conn] = struct{}{}
	return true
}

func (c *connSet) remove(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
}

func (c *connSet) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for conn := range c.open {
		_ = conn.Close()
	}
}

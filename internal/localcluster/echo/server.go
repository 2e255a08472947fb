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
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"switchyard.dev/switchyard/internal/localcluster/echo/sctp"
	"switchyard.dev/switchyard/internal/netns"
)

// Port is one declared container port.
type Port struct {
	Number   uint16
	Protocol string // TCP, UDP or SCTP
}

// Config describes one server.
type Config struct {
	Identity  Identity
	Ports     []Port
	Namespace *netns.Namespace // where the ports are opened
	// ReadinessPath is a path other than /ready that a readiness probe asks
	// for: once /ready?set=false was called, the probe is answered 503 there.
	ReadinessPath string
	// Log receives one line per request served, without a time.
	Log io.Writer
	// ReadyChanged is called, if set, after /ready?set=... changed the switch.
	ReadyChanged func()
}

// Server is a running echo server.
type Server struct {
	config  Config
	closers []io.Closer
	http    *http.Server
	queue   *connQueue
	conns   connSet
	running sync.WaitGroup

	unready, unhealthy atomic.Bool
}

// Start opens all ports or none. An error names the port.
func Start(config Config) (*Server, error) {
	s := &Server{config: config, queue: newConnQueue()}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Protocols:         protocols,
		Handler:           s.handler(),
		ConnContext:       withConn,
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          quiet,
	}
	if err := config.Namespace.Do(s.listen); err != nil {
		s.Close()
		return nil, err
	}
	s.goRun(func() { _ = s.http.Serve(s.queue) })
	return s, nil
}

// Ready is what /ready answers: true until /ready?set=false.
func (s *Server) Ready() bool { return !s.unready.Load() }

// Close ends all connections and waits until no goroutine of the server runs.
func (s *Server) Close() {
	for _, closer := range s.closers {
		_ = closer.Close()
	}
	_ = s.queue.Close()
	_ = s.http.Close()
	s.conns.closeAll()
	s.running.Wait()
}

func (s *Server) listen() error {
	for _, port := range s.config.Ports {
		if err := s.listenOn(port); err != nil {
			return fmt.Errorf("opening port %d/%s: %w", port.Number, port.Protocol, err)
		}
	}
	return nil
}

func (s *Server) listenOn(port Port) error {
	switch port.Protocol {
	case "TCP":
		listener, err := net.ListenTCP("tcp", &net.TCPAddr{Port: int(port.Number)})
		if err != nil {
			return err
		}
		s.closers = append(s.closers, listener)
		s.goRun(func() { s.acceptTCP(listener, port.Number) })
	case "UDP":
		return s.listenUDP(port.Number)
	case "SCTP":
		listener, err := sctp.Listen(port.Number, s.answerSCTP(port.Number))
		if err != nil {
			return err
		}
		s.closers = append(s.closers, listener)
	default:
		return errors.New("unknown protocol")
	}
	return nil
}

func (s *Server) answerSCTP(port uint16) sctp.Handler {
	return func(message sctp.Message) []byte {
		reply := s.config.Identity.reply("SCTP", port, message.Client).to(trimLine(message.Data))
		s.log(reply, "message")
		return reply.line()
	}
}

func (s *Server) goRun(f func()) {
	s.running.Go(func() {
		f()
	})
}

func (s *Server) log(reply Reply, what string) {
	if s.config.Log != nil {
		_, _ = fmt.Fprintf(s.config.Log, "%s %s port %d: %s (%d bytes)\n", reply.Client, reply.Protocol, reply.Port, what, reply.Bytes)
	}
}

type connKey struct{}

// withConn lets handlers know on which connection a request came.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

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

package managers

import (
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
)

// Front is what a Service is for the API server: one address, behind which each
// connection goes to one of the managers that it knows of.
type Front struct {
	listener net.Listener

	mu    sync.Mutex
	ports []int
	conns map[int][]net.Conn // by the port of a manager
}

// NewFront listens at a free port of this machine.
func NewFront() (*Front, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &Front{listener: listener, conns: map[int][]net.Conn{}}
	go f.run()
	return f, nil
}

// Port is where the API server is to call.
func (f *Front) Port() int { return f.listener.Addr().(*net.TCPAddr).Port }

// Add lets a manager have connections.
func (f *Front) Add(m *Manager) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ports = append(f.ports, m.WebhookPort)
}

// Remove lets it have no more, and ends those that it has.
func (f *Front) Remove(m *Manager) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ports = slices.DeleteFunc(f.ports, func(port int) bool { return port == m.WebhookPort })
	for _, conn := range f.conns[m.WebhookPort] {
		_ = conn.Close()
	}
	delete(f.conns, m.WebhookPort)
}

// Close ends everything.
func (f *Front) Close() { _ = f.listener.Close() }

func (f *Front) run() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		go f.forward(conn)
	}
}

func (f *Front) forward(from net.Conn) {
	defer func() { _ = from.Close() }()
	to := f.dial()
	if to == nil {
		return
	}
	defer func() { _ = to.Close() }()
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}()
	_, _ = io.Copy(from, to)
}

// dial connects to one of the managers, nil when there is none or it does not answer.
func (f *Front) dial() net.Conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ports) == 0 {
		return nil
	}
	port := f.ports[rand.IntN(len(f.ports))]
	conn, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return nil
	}
	f.conns[port] = append(f.conns[port], conn)
	return conn
}

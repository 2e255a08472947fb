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
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
)

// Front is what a Service is for the API server: one address, behind which each
// connection goes to one of the managers that it knows of.
type Front struct {
	listener net.Listener

	mu   sync.Mutex
	live map[string]map[net.Conn]struct{} // by the address of a manager
}

// NewFront listens at the address; port 0 is a free one.
func NewFront(address string) (*Front, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	f := &Front{listener: listener, live: map[string]map[net.Conn]struct{}{}}
	go f.run()
	return f, nil
}

// Port is where the API server is to call.
func (f *Front) Port() int { return f.listener.Addr().(*net.TCPAddr).Port }

// Add lets the manager that serves at the address have connections.
func (f *Front) Add(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live[address] = map[net.Conn]struct{}{}
}

// Remove lets it have no more, and ends those that it has.
func (f *Front) Remove(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for conn := range f.live[address] {
		_ = conn.Close()
	}
	delete(f.live, address)
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
	to, done := f.dial()
	if to == nil {
		return
	}
	defer done()
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}()
	_, _ = io.Copy(from, to)
}

// dial connects to one of the managers, nil when there is none or it does not answer.
func (f *Front) dial() (net.Conn, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	addresses := slices.Collect(maps.Keys(f.live))
	if len(addresses) == 0 {
		return nil, nil
	}
	address := addresses[rand.IntN(len(addresses))]
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, nil
	}
	f.live[address][conn] = struct{}{}
	return conn, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.live[address], conn)
		_ = conn.Close()
	}
}

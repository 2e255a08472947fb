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

package replicas

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// front is what a Service is for the API server: one address, behind which each
// connection goes to one of the replicas that live.
type front struct {
	listener net.Listener

	mu   sync.Mutex
	live map[string]map[net.Conn]struct{} // by the address of a replica
}

func newFront(t *testing.T, address string) *front {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{listener: listener, live: map[string]map[net.Conn]struct{}{}}
	t.Cleanup(func() { _ = listener.Close() })
	go f.run()
	return f
}

func (f *front) run() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		go f.forward(conn)
	}
}

func (f *front) forward(from net.Conn) {
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

// dial connects to any replica, nil when none lives.
func (f *front) dial() (net.Conn, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var addresses []string
	for address := range f.live {
		addresses = append(addresses, address)
	}
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

func (f *front) add(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live[address] = map[net.Conn]struct{}{}
}

// cut ends a replica's connections, and lets it have no more.
func (f *front) cut(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for conn := range f.live[address] {
		_ = conn.Close()
	}
	delete(f.live, address)
}

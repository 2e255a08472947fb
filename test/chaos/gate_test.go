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
	"io"
	"net"
	"net/url"
	"sync"
)

// gate is the agent's only way to the API server. It can be shut, which looks
// like a server that is away; frozen, which looks like one that hangs; and
// cut, which ends every watch.
type gate struct {
	listener net.Listener
	server   string

	mu    sync.Mutex
	thaw  *sync.Cond
	conns map[net.Conn]bool
	shut  bool
	ice   bool
}

func newGate(b *bed, server string) *gate {
	b.Helper()
	address, err := url.Parse(server)
	if err != nil || address.Host == "" {
		address = &url.URL{Host: server}
	}
	g := &gate{server: address.Host, conns: map[net.Conn]bool{}}
	g.thaw = sync.NewCond(&g.mu)
	b.in(b.node, func() (err error) {
		g.listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	b.Cleanup(func() { _ = g.listener.Close(); g.freeze(false); g.cut() })
	go g.accept()
	return g
}

func (g *gate) url() string { return "https://" + g.listener.Addr().String() }

func (g *gate) accept() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		go g.carry(conn)
	}
}

func (g *gate) carry(agent net.Conn) {
	server, err := net.Dial("tcp", g.server)
	if err != nil {
		_ = agent.Close()
		return
	}
	if !g.add(agent, server) {
		return
	}
	go g.copy(agent, server)
	g.copy(server, agent)
}

// add keeps the connections unless the gate is shut.
func (g *gate) add(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, conn := range conns {
		if g.shut {
			_ = conn.Close()
			continue
		}
		g.conns[conn] = true
	}
	return !g.shut
}

func (g *gate) copy(to, from net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		g.mu.Lock()
		for g.ice {
			g.thaw.Wait()
		}
		g.mu.Unlock()
		if n > 0 {
			if _, failed := to.Write(buf[:n]); failed != nil {
				err = failed
			}
		}
		if err != nil {
			break
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, conn := range []io.Closer{to, from} {
		_ = conn.Close()
	}
	delete(g.conns, to)
	delete(g.conns, from)
}

// close shuts or opens the gate.
func (g *gate) close(shut bool) {
	g.mu.Lock()
	g.shut = shut
	g.mu.Unlock()
	if shut {
		g.cut()
	}
}

func (g *gate) freeze(ice bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ice = ice
	g.thaw.Broadcast()
}

// cut ends all connections.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for conn := range g.conns {
		_ = conn.Close()
	}
}

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

package announce

import (
	"io"
	"net"
	"strings"
	"sync"
)

// gate is an agent's only way to the API server.
type gate struct {
	listener net.Listener
	server   string

	mu    sync.Mutex
	conns map[net.Conn]bool
	shut  bool
}

func newGate(n *node, server string) *gate {
	n.Helper()
	g := &gate{server: strings.Trim(strings.TrimPrefix(server, "https:"), "/"), conns: map[net.Conn]bool{}}
	n.in(n.ns, func() (err error) {
		g.listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	n.Cleanup(func() { _ = g.listener.Close(); g.close(true) })
	go func() {
		for {
			agent, err := g.listener.Accept()
			if err != nil {
				return
			}
			go g.carry(agent)
		}
	}()
	return g
}

func (g *gate) url() string { return "https://" + g.listener.Addr().String() }

func (g *gate) carry(agent net.Conn) {
	server, err := net.Dial("tcp", g.server)
	if err != nil {
		_ = agent.Close()
		return
	}
	g.mu.Lock()
	shut := g.shut
	g.conns[agent], g.conns[server] = true, true
	g.mu.Unlock()
	if !shut {
		go func() { _, _ = io.Copy(agent, server); _ = agent.Close() }()
		_, _ = io.Copy(server, agent)
	}
	_, _ = agent.Close(), server.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, agent)
	delete(g.conns, server)
}

// close ends all connections and lets none begin, or opens the gate again.
func (g *gate) close(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	for conn := range g.conns {
		_ = conn.Close()
	}
}

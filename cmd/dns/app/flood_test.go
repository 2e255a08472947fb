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

package app

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// flood asks for names that do not exist, so many in a second, each once.
func (p *program) flood(from, to, perSecond int, zone string, rcode int) {
	p.t.Helper()
	const clients = 16
	var all sync.WaitGroup
	began := time.Now()
	for client := range clients {
		all.Go(func() {
			conn, err := dns.Dial("udp", "127.0.0.1:"+p.port)
			if err != nil {
				p.t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			for n := from + client; n < to; n += clients {
				time.Sleep(time.Until(began.Add(time.Second * time.Duration(n-from) / time.Duration(perSecond))))
				name := fmt.Sprintf("%s-%d.%s", strings.Repeat("x", 50), n, zone)
				answer, _, err := (&dns.Client{Timeout: time.Minute}).ExchangeWithConn(new(dns.Msg).SetQuestion(name, dns.TypeA), conn)
				if err != nil || answer.Rcode != rcode {
					p.t.Errorf("%s: %v, %v", name, answer, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// What a search path makes of every name outside is asked here first, and whoever
// wants to can ask for more.
func TestNamesThatDoNotExistTakeNoMemory(t *testing.T) {
	port := freePort(t)
	p := launch(t, port, "--kubeconfig="+clusterKubeconfig(t), "--port="+port, "--listen=127.0.0.1", "--forward="+upstream(t, false),
		"--metrics-bind-address=", "--health-probe-bind-address=", "--ready-probe-bind-address=")
	for _, zone := range []string{"shop.svc.cluster.local.", "example.com."} {
		const perSecond = 10_000
		p.flood(0, 2*perSecond, perSecond, zone, dns.RcodeNameError) // the cache is full then
		before := p.memory()
		p.flood(2*perSecond, 5*perSecond, perSecond, zone, dns.RcodeNameError)
		grown := p.memory() - before
		t.Logf("%s: %d KiB more", zone, grown>>10)
		if grown > 8<<20 {
			t.Errorf("%d names of %s took %d KiB", 3*perSecond, zone, grown>>10)
		}
		p.answers("afterwards")
	}
}

// Connections on which nothing comes, or half of something, keep nobody else from
// being answered, and end.
func TestSlowClientsKeepNobodyWaiting(t *testing.T) {
	port := freePort(t)
	p := launch(t, port, "--kubeconfig="+clusterKubeconfig(t), "--port="+port, "--listen=127.0.0.1", "--forward=",
		"--metrics-bind-address=", "--health-probe-bind-address=", "--ready-probe-bind-address=")
	before := p.memory()
	const many = 500
	var conns []net.Conn
	halves := [][]byte{{}, {0}, {0, 60, 0, 7, 1, 0, 0, 1}} // nothing, of a length, of a question
	for n := range many {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.Write(halves[n%len(halves)]); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	p.answers("beside slow clients")
	if grown := p.memory() - before; grown > many*(64<<10) {
		t.Errorf("%d connections took %d KiB", many, grown>>10)
	}
	for n, conn := range conns {
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatalf("connection %d: %v", n, err)
		}
	}
	p.answers("afterwards")
}

// A resolver that is gone is not waited for longer than clients wait, and nobody
// who asks for a Service waits for it.
func TestAResolverThatIsGoneIsNotWaitedFor(t *testing.T) {
	for name, to := range map[string]string{"says nothing": upstream(t, true), "is not there": "127.0.0.1:" + freePort(t)} {
		t.Run(name, func(t *testing.T) {
			port := freePort(t)
			p := launch(t, port, "--kubeconfig="+clusterKubeconfig(t), "--port="+port, "--listen=127.0.0.1", "--forward="+to,
				"--metrics-bind-address=", "--health-probe-bind-address=", "--ready-probe-bind-address=")
			over := make(chan struct{})
			unanswered := p.askAll(over)
			var all sync.WaitGroup
			for n := range 50 {
				all.Go(func() {
					answer, err := p.ask("udp", fmt.Sprintf("n%d.example.com.", n))
					if err != nil || answer.Rcode != dns.RcodeServerFailure {
						t.Errorf("%v, %v", answer, err)
					}
				})
			}
			all.Wait()
			close(over)
			if err := <-unanswered; err != nil {
				t.Errorf("a name of the cluster, meanwhile: %v", err)
			}
		})
	}
}

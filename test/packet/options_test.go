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

package packet

import (
	"context"
	"net/netip"
	"os"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

func TestEchoToAVIPIsAnsweredWhereAskedFor(t *testing.T) {
	eachFamily(t, func(w *world) {
		w.reopen(policy.Features{AnswerEcho: true})
		w.program(w.service(model.TCP, w.serve(w.a, "a", w.podIP(podA))))
		for _, addr := range w.vips() {
			for name, way := range w.allWays() {
				if !toClusterIP(name) {
					continue
				}
				w.Run(name+" "+addr.String(), func(t *testing.T) {
					if got := w.ping(way.from, addr, "reply"); got != "reply" {
						t.Errorf("got %q, want a reply", got)
					}
				})
			}
		}
		unused := w.either("10.96.0.11", "fd00:96::11")
		if got := w.ping(w.client, unused, dropped); got == "reply" {
			w.Errorf("an address of no Service replied")
		}
	})
}

func TestNodePortsOnLocalhostWhereAskedFor(t *testing.T) {
	w := newWorld(t, model.IPv4)
	w.reopen(policy.Features{LocalhostNodePorts: true})
	w.in(w.node, func() error { return os.WriteFile("/proc/sys/net/ipv4/conf/all/route_localnet", []byte("1"), 0) })
	localhost := netip.MustParseAddr("127.0.0.1")
	at := w.serve(w.a, "a", w.podIP(podA))
	for network, protocol := range networks {
		w.program(w.service(protocol, at))
		way{w.node, netip.AddrPortFrom(localhost, nodePort)}.expect(t, network, "a")
		way{w.outside, netip.AddrPortFrom(w.nodeIP(), nodePort)}.expect(t, network, "a")
	}
}

func TestLocalPodsAreToldByTheirInterface(t *testing.T) {
	eachFamilyDivided(t, func(d *divided) {
		for pattern, known := range map[string]map[string]bool{
			"pod-client": {"client": true, "b": false},
			"pod-*":      {"client": true, "b": true},
		} {
			d.Run(pattern, func(t *testing.T) {
				d.reopen(policy.Features{LocalInterface: pattern})
				d.config.LocalPods = nil
				service := d.local(model.TCP, nil, d.off)
				service.External = policy.LocalScope
				d.program(service)
				clients := map[string]way{"client": {from: d.client}, "b": {from: d.b}, "outside": {from: d.outside}}
				sources := map[string]netip.Addr{"client": d.podIP(clientPod), "b": d.podIP(podB), "outside": d.outsideIP()}
				for name, client := range clients {
					// A stranger to a ClusterIP is masqueraded, and bound by the policy.
					source, outcome := sources[name], outcome("far")
					if !known[name] {
						source, outcome = d.far.via, dropped
					}
					got, err := ask(client.from, "tcp", netip.AddrPortFrom(d.clusterIP(), 80))
					if err != nil || got.source != source {
						t.Errorf("%s to the ClusterIP: %v, %v; want the source %s", name, got, err, source)
					}
					client.to = netip.AddrPortFrom(d.balancerIP(), 80)
					client.expect(t, "tcp", outcome)
				}
			})
		}
	})
}

func TestAnEndpointIsItsOwnClientWhereverPodsAreToldByInterface(t *testing.T) {
	eachFamily(t, func(w *world) {
		w.reopen(policy.Features{LocalInterface: "pod-*"})
		w.config.LocalPods = nil
		w.program(w.service(model.TCP, w.serve(w.a, "a", w.podIP(podA))))
		for name, way := range w.ways() {
			if way.from != w.client {
				continue
			}
			w.Run(name, func(t *testing.T) {
				if got, err := ask(w.a, "tcp", way.to); err != nil || got.source == w.podIP(podA) {
					t.Errorf("got %v, %v; want the node's address as the source", got, err)
				}
			})
		}
	})
}

func TestNewConnectionsAreCountedByDestination(t *testing.T) {
	eachFamily(t, func(w *world) {
		w.reopen(policy.Features{CountConnections: true})
		w.program(w.service(model.TCP, w.serve(w.a, "a", w.podIP(podA))))
		want := map[netip.AddrPort]uint64{}
		for name, way := range w.allWays() {
			conn, err := dial(way.from, "tcp", way.to)
			if err != nil {
				w.Fatalf("%s: %v", name, err)
			}
			for range 3 {
				expect(w.T, conn, "a")
			}
			_ = conn.Close()
			want[way.to]++
		}
		got, err := w.table.Connections(context.Background())
		if err != nil {
			w.Fatal(err)
		}
		for to, n := range want {
			if counted := got[ruleset.Frontend{Protocol: model.TCP, Addr: to}]; counted != n {
				w.Errorf("%s: %d connections counted, want %d", to, counted, n)
			}
		}
	})
}

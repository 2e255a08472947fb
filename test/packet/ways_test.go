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
	"maps"
	"net/netip"
	"strings"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/netns"
)

// way is one way to reach a Service.
type way struct {
	from *netns.Namespace
	to   netip.AddrPort
}

func (w *world) ways() map[string]way {
	clusterIP := netip.AddrPortFrom(w.clusterIP(), 80)
	externalIP := netip.AddrPortFrom(w.externalIP(), 80)
	balancerIP := netip.AddrPortFrom(w.balancerIP(), 80)
	onNode := netip.AddrPortFrom(w.nodeIP(), nodePort)
	return map[string]way{
		"pod to ClusterIP":            {w.client, clusterIP},
		"node to ClusterIP":           {w.node, clusterIP},
		"pod to externalIP":           {w.client, externalIP},
		"node to externalIP":          {w.node, externalIP},
		"outside to externalIP":       {w.outside, externalIP},
		"pod to load balancer IP":     {w.client, balancerIP},
		"node to load balancer IP":    {w.node, balancerIP},
		"outside to load balancer IP": {w.outside, balancerIP},
		"pod to NodePort":             {w.client, onNode},
		"node to NodePort":            {w.node, onNode},
		"outside to NodePort":         {w.outside, onNode},
	}
}

// toClusterIP and the others below sort the names of ways.
func toClusterIP(name string) bool { return strings.HasSuffix(name, "ClusterIP") }
func fromOutside(name string) bool { return strings.HasPrefix(name, "outside") }
func fromNode(name string) bool    { return strings.HasPrefix(name, "node") }

// allWays are ways, and that of a client outside who knows the ClusterIP.
func (w *world) allWays() map[string]way {
	all := maps.Clone(w.ways())
	all["outside to ClusterIP"] = way{w.outside, netip.AddrPortFrom(w.clusterIP(), 80)}
	return all
}

var networks = map[string]model.Protocol{"tcp": model.TCP, "udp": model.UDP}

func TestEveryWayLeadsToAnEndpoint(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.a, "a", w.podIP(podA))
		for network, protocol := range networks {
			w.program(w.service(protocol, at))
			for name, way := range w.ways() {
				w.Run(network+" "+name, func(t *testing.T) {
					got, err := ask(way.from, network, way.to)
					if err != nil || got.server != "a" {
						t.Errorf("got %+v, %v", got, err)
					}
					// A pod is seen as itself through the ClusterIP, and every
					// other client as the node.
					want := w.podIP(gateway)
					if name == "pod to ClusterIP" {
						want = w.podIP(clientPod)
					}
					if got.source != want {
						t.Errorf("the endpoint saw the client as %s, want %s", got.source, want)
					}
				})
			}
		}
	})
}

func TestAHostNetworkEndpointIsReachedEveryWay(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.node, "node", w.nodeIP())
		for network, protocol := range networks {
			w.program(w.service(protocol, at))
			for name, way := range w.ways() {
				w.Run(network+" "+name, func(t *testing.T) {
					if got, err := ask(way.from, network, way.to); err != nil || got.server != "node" {
						t.Errorf("got %+v, %v", got, err)
					}
				})
			}
		}
	})
}

func TestAnEndpointOnAnotherMachineIsReachedEveryWay(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.outside, "outside", w.outsideIP())
		for network, protocol := range networks {
			w.program(w.service(protocol, at))
			for name, way := range w.ways() {
				w.Run(network+" "+name, func(t *testing.T) {
					if got, err := ask(way.from, network, way.to); err != nil || got.server != "outside" {
						t.Errorf("got %+v, %v", got, err)
					}
				})
			}
		}
	})
}

func TestAnEndpointIsItsOwnClient(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.a, "a", w.podIP(podA))
		for network, protocol := range networks {
			w.program(w.service(protocol, at))
			for name, way := range w.ways() {
				if way.from != w.client {
					continue
				}
				w.Run(network+" "+name, func(t *testing.T) {
					got, err := ask(w.a, network, way.to)
					if err != nil || got.source == w.podIP(podA) {
						t.Errorf("got %+v, %v; want the node's address as the source", got, err)
					}
				})
			}
		}
	})
}

func TestANodePortIsOnlyWhereItShouldBe(t *testing.T) {
	eachFamily(t, func(w *world) {
		w.program(w.service(model.TCP, w.serve(w.a, "a", w.podIP(podA))))
		loopback := w.either("127.0.0.1", "::1")
		for _, at := range []netip.AddrPort{
			netip.AddrPortFrom(loopback, nodePort), netip.AddrPortFrom(w.podIP(gateway), nodePort), netip.AddrPortFrom(w.nodeIP(), 80),
		} {
			w.serveAt(w.node, "node", at)
		}
		w.serveAt(w.a, "pod", netip.AddrPortFrom(w.podIP(podA), nodePort))
		for name, tc := range map[string]struct {
			way
			want outcome
		}{
			"where it should be":       {way{w.outside, netip.AddrPortFrom(w.nodeIP(), nodePort)}, "a"},
			"on loopback":              {way{w.node, netip.AddrPortFrom(loopback, nodePort)}, "node"},
			"on an address not listed": {way{w.client, netip.AddrPortFrom(w.podIP(gateway), nodePort)}, "node"},
			"on the ClusterIP":         {way{w.client, netip.AddrPortFrom(w.clusterIP(), nodePort)}, refused},
			"on the pod":               {way{w.client, netip.AddrPortFrom(w.podIP(podA), nodePort)}, "pod"},
			"Service port on the node": {way{w.outside, netip.AddrPortFrom(w.nodeIP(), 80)}, "node"},
		} {
			w.Run(name, func(t *testing.T) { tc.expect(t, "tcp", tc.want) })
		}
	})
}

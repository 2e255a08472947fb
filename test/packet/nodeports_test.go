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
	"net/netip"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

func TestAServiceWithoutANodePortLeavesThePortToOthers(t *testing.T) {
	eachFamily(t, func(w *world) {
		service := w.service(model.TCP, w.serve(w.a, "a", w.podIP(podA)))
		w.serveAt(w.node, "node", netip.AddrPortFrom(w.nodeIP(), nodePort))
		onNode := way{w.outside, netip.AddrPortFrom(w.nodeIP(), nodePort)}
		w.program(service)
		onNode.expect(w.T, "tcp", "a")
		service.NodePort = 0
		w.apply(service)
		onNode.expect(w.T, "tcp", "node")
		way{w.outside, netip.AddrPortFrom(w.balancerIP(), 80)}.expect(w.T, "tcp", "a")
	})
}

func TestNodePortsFollowTheNodesAddresses(t *testing.T) {
	eachFamily(t, func(w *world) {
		service := w.service(model.TCP, w.serve(w.a, "a", w.podIP(podA)))
		more := w.anotherMachine("more")
		for _, addr := range []netip.Addr{w.nodeIP(), more.via} {
			w.serveAt(w.node, "node", netip.AddrPortFrom(addr, nodePort))
		}
		for _, step := range []struct {
			addrs       []netip.Addr
			first, more outcome
		}{
			{[]netip.Addr{w.nodeIP()}, "a", "node"},
			{[]netip.Addr{w.nodeIP(), more.via}, "a", "a"},
			{[]netip.Addr{more.via}, "node", "a"},
			{nil, "node", "node"},
		} {
			w.config.NodePortAddrs = step.addrs
			w.program(service)
			for to, want := range map[netip.Addr]outcome{w.nodeIP(): step.first, more.via: step.more} {
				for _, from := range []way{{from: w.outside}, {from: more.Namespace}, {from: w.client}, {from: w.node}} {
					from.to = netip.AddrPortFrom(to, nodePort)
					from.expect(w.T, "tcp", want)
				}
			}
		}
	})
}

func TestALoopbackAddressGetsNoNodePorts(t *testing.T) {
	eachFamily(t, func(w *world) {
		loopback := w.either("127.0.0.1", "::1")
		w.config.NodePortAddrs = append(w.config.NodePortAddrs, loopback)
		w.program(w.service(model.TCP, w.serve(w.a, "a", w.podIP(podA))))
		way{w.node, netip.AddrPortFrom(loopback, nodePort)}.expect(w.T, "tcp", refused)
	})
}

// A health check node port is served by the agent on the node and is no
// ServicePort: nothing may capture it, wherever it is asked.
func TestAHealthCheckNodePortReachesTheNodeItself(t *testing.T) {
	const healthCheckNodePort = 32000
	eachFamily(t, func(w *world) {
		w.in(w.node, func() error { return w.address("lo", w.balancerIP()) })
		for _, addr := range []netip.Addr{w.nodeIP(), w.balancerIP()} {
			w.serveAt(w.node, "health", netip.AddrPortFrom(addr, healthCheckNodePort))
		}
		service := w.service(model.TCP, w.serve(w.a, "a", w.podIP(podA)))
		service.SourceRanges = []netip.Prefix{w.single(w.outsideIP())}
		w.program(service, w.service(model.UDP))
		for _, addr := range []netip.Addr{w.nodeIP(), w.balancerIP()} {
			for _, from := range []way{{from: w.outside}, {from: w.client}, {from: w.node}} {
				from.to = netip.AddrPortFrom(addr, healthCheckNodePort)
				from.expect(w.T, "tcp", "health")
			}
		}
	})
}

func TestTCPAndUDPOnOnePortAreIndependent(t *testing.T) {
	eachFamily(t, func(w *world) {
		a, b := w.serve(w.a, "a", w.podIP(podA)), w.serve(w.b, "b", w.podIP(podB))
		w.program(w.service(model.TCP, a), w.service(model.UDP, b))
		for name, way := range w.ways() {
			w.Run(name, func(t *testing.T) {
				way.expect(t, "tcp", "a")
				way.expect(t, "udp", "b")
			})
		}
		w.apply(w.service(model.TCP))
		for name, way := range w.ways() {
			w.Run(name+" without TCP", func(t *testing.T) {
				way.expect(t, "tcp", refused)
				way.expect(t, "udp", "b")
			})
		}
	})
}

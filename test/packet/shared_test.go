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
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// A load balancer that hands out the node's address may serve a port there that
// is another Service's NodePort. The VIP has it, and is treated as a VIP.
func TestAVIPOnTheNodesAddressComesBeforeANodePort(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := netip.AddrPortFrom(w.nodeIP(), nodePort)
		a, b := w.serve(w.a, "a", w.podIP(podA)), w.serve(w.b, "b", w.podIP(podB))
		for network, protocol := range networks {
			port := w.service(protocol, b)
			port.LoadBalancerIPs, port.ExternalIPs = nil, nil
			vip := port
			// By name it comes last.
			vip.Name = model.ServicePortName{Namespace: "vip", Name: "vip", Protocol: protocol}
			vip.ClusterIP, vip.Port, vip.NodePort = w.clusterIP().Next(), nodePort, 0
			vip.LoadBalancerIPs = []netip.Addr{w.nodeIP()}
			vip.External = policy.LocalScope
			for _, step := range []struct {
				endpoints []netip.AddrPort
				want      outcome
			}{{[]netip.AddrPort{a}, "a"}, {nil, refused}} {
				vip.Cluster, vip.Near, vip.Local, vip.Known = step.endpoints, step.endpoints, step.endpoints, step.endpoints
				w.program(port, vip)
				for name, from := range map[string]way{"outside": {w.outside, at}, "a pod": {w.client, at}, "the node": {w.node, at}} {
					w.Run(network+" from "+name+": "+string(step.want), func(t *testing.T) { from.expect(t, network, step.want) })
				}
				if step.want == refused {
					continue
				}
				if got, err := ask(w.outside, network, at); err != nil || got.source != w.outsideIP() {
					w.Errorf("%s: the endpoint sees %v, %v, and its policy is Local", network, got.source, err)
				}
			}
			w.program(port)
			way{w.outside, at}.expect(w.T, network, "b")
		}
	})
}

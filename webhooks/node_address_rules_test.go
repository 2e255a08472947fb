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

package webhooks

import (
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/allocator"
)

func TestExternalIPsThatAreNodes(t *testing.T) {
	tcp, udp := corev1.ProtocolTCP, corev1.ProtocolUDP
	elsewhere := hostPod("elsewhere", corev1.ContainerPort{HostPort: 8443})
	elsewhere.Spec.NodeName = "node-2"
	kubelet := node("node-2", "192.0.2.2")
	kubelet.Status.DaemonEndpoints.KubeletEndpoint.Port = 11250
	world := &memory{
		pods:  []*corev1.Pod{hostPod("proxy", corev1.ContainerPort{HostPort: 443}), elsewhere},
		nodes: []*corev1.Node{node("node-1", "192.0.2.1"), kubelet},
	}
	mild := `spec.externalIPs[0]: this is the address of node node-1, and kube-proxy in IPVS mode takes all ports of it`
	taken := func(what string) wantVerdict {
		return wantVerdict{errors: []string{"this is the address of node node-1, where " + what + "; use an address that is routed to the nodes"}, warnings: []string{mild}}
	}
	for name, tc := range map[string]struct {
		old, new *corev1.Service
		want     wantVerdict
	}{
		"X21: where nothing listens": {
			new: service("web", external("192.0.2.1")), want: wantVerdict{warnings: []string{mild}}},
		"X21: what listens at another node's port is not in the way": {
			new: service("web", external("192.0.2.1"), port(8443, tcp)), want: wantVerdict{warnings: []string{mild}}},
		"X21: nor what listens at the other protocol": {
			new: service("web", external("192.0.2.1"), port(443, udp)), want: wantVerdict{warnings: []string{mild}}},
		"X4: SSH":              {new: service("web", external("192.0.2.1"), port(22, tcp)), want: taken("SSH listens at port 22/TCP")},
		"X4: the kubelet":      {new: service("web", external("192.0.2.1"), port(10250, tcp)), want: taken("the kubelet listens at port 10250/TCP")},
		"X4: the proxy":        {new: service("web", external("192.0.2.1"), port(10256, tcp)), want: taken("the service proxy (health) listens at port 10256/TCP")},
		"X4: a hostPort there": {new: service("web", external("192.0.2.1"), port(443, tcp)), want: taken("pod edge/proxy listens at port 443/TCP")},
		"X4: a node port":      {new: service("web", external("192.0.2.1"), port(30080, udp)), want: taken("node ports are served at port 30080/UDP")},
		"X4: a kubelet at another port": {
			new:  service("web", external("192.0.2.2"), port(11250, tcp)),
			want: wantVerdict{errors: []string{"this is the address of node node-2, where the kubelet listens at port 11250/TCP"}, warnings: []string{"rule X21"}}},
		"X4: by a port that comes later": {
			old:  service("web", external("192.0.2.1")),
			new:  service("web", external("192.0.2.1"), alsoPort(10250)),
			want: wantVerdict{errors: []string{"where the kubelet listens at port 10250/TCP"}}},
		"what was there before may stay": {
			old: service("web", external("192.0.2.1"), port(10250, tcp)), new: service("web", external("192.0.2.1"), port(10250, tcp), selecting("app", "x"))},
		"a load balancer may hand out a node's address, with any port": {
			old: service("web", ingress(), port(22, tcp)), new: service("web", ingress("192.0.2.1"), port(22, tcp))},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ValidateService(t.Context(), world, Severities{"X12": Off}, ServiceChange{Old: tc.old, New: tc.new})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

func TestNodePortsAreWhereTheServerGivesThemFrom(t *testing.T) {
	tcp := corev1.ProtocolTCP
	world := &memory{nodes: []*corev1.Node{node("node-1", "192.0.2.1")}, nodePorts: allocator.PortSpan{First: 20000, Last: 22767},
		servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:30443"), netip.MustParseAddrPort("192.0.2.1:20443")}}
	for name, tc := range map[string]struct {
		svc  *corev1.Service
		want wantVerdict
	}{
		"X4: inside of the range": {
			svc: service("web", external("192.0.2.1"), port(20080, tcp)), want: wantVerdict{errors: []string{"node ports are served at port 20080/TCP"}}},
		"outside of it":      {svc: service("web", external("192.0.2.1"), port(30080, tcp))},
		"X6: an API server":  {svc: service("web", onNodePort(30443, tcp)), want: wantVerdict{errors: []string{"the Kubernetes API server listens at port 30443 of node node-1"}}},
		"none in the range":  {svc: service("web", onNodePort(20443, tcp))},
		"nor at other ports": {svc: service("web", onNodePort(30444, tcp))},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ValidateService(t.Context(), world, Severities{"X12": Off, "X21": Off}, ServiceChange{New: tc.svc})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
	for want, given := range map[allocator.PortSpan]allocator.PortSpan{{First: 1, Last: 9}: {First: 1, Last: 9}, allocator.DefaultNodePorts: {}} {
		if got := (&Cluster{NodePorts: given}).NodePortRange(); got != want {
			t.Errorf("of %v: %v", given, got)
		}
	}
}

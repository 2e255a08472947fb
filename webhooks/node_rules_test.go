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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func onNodePort(number int32, protocol corev1.Protocol) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		svc.Spec.Type = corev1.ServiceTypeNodePort
		svc.Spec.Ports = []corev1.ServicePort{{Port: 80, NodePort: number, Protocol: protocol}}
	}
}

func healthCheck(number int32) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		svc.Spec.Type, svc.Spec.HealthCheckNodePort = corev1.ServiceTypeLoadBalancer, number
	}
}

// hostPod listens at ports of its node.
func hostPod(name string, ports ...corev1.ContainerPort) *corev1.Pod {
	return at(pod(name, ports...), "edge")
}

// networked puts a pod into its node's network.
func networked(pod *corev1.Pod) *corev1.Pod {
	pod.Spec.HostNetwork = true
	pod.Status.PodIPs = []corev1.PodIP{{IP: "192.0.2.1"}}
	return pod
}

func TestAddressesAndPortsOfNodes(t *testing.T) {
	tcp, udp := corev1.ProtocolTCP, corev1.ProtocolUDP
	pending := pod("pending", corev1.ContainerPort{HostPort: 30090})
	madeUp := hostPod("made-up", corev1.ContainerPort{HostPort: 30092})
	madeUp.Status.StartTime = nil
	nobodyAsked := func(svc *corev1.Service) { svc.ManagedFields = []metav1.ManagedFieldsEntry{{}} }
	finished := hostPod("finished", corev1.ContainerPort{HostPort: 30091})
	finished.Status.Phase = corev1.PodSucceeded
	world := &memory{
		pods: []*corev1.Pod{
			at(pod("db"), "shop", "10.244.9.9", "fd00:244::9"),
			hostPod("proxy", corev1.ContainerPort{ContainerPort: 80, HostPort: 30080}),
			networked(hostPod("exporter", corev1.ContainerPort{ContainerPort: 30081, Protocol: udp})),
			pending, finished, madeUp,
		},
		nodes:   []*corev1.Node{node("node-1", "192.0.2.1", "10.244.1.0/24", "fd00:244:1::/64")},
		servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:6443"), netip.MustParseAddrPort("198.51.100.99:8443")},
	}
	for name, tc := range map[string]struct {
		old, new *corev1.Service
		want     wantVerdict
	}{
		"X4: a load balancer may hand out a node's address": {
			old: service("web", ingress()), new: service("web", ingress("192.0.2.1"))},
		"X4: inside a podCIDR": {
			new:  service("web", external("10.244.1.77")),
			want: wantVerdict{errors: []string{"inside the podCIDRs of node node-1"}}},
		"X4: inside a podCIDR of IPv6": {
			new:  service("web", external("fd00:244:1::77")),
			want: wantVerdict{errors: []string{"inside the podCIDRs of node node-1"}}},
		"X4: a load balancer's address inside a podCIDR": {
			old: service("web", ingress()), new: service("web", ingress("10.244.1.78")),
			want: wantVerdict{errors: []string{"status.loadBalancer.ingress[0].ip"}}},
		"X4: a pod's address where nodes have no podCIDRs": {
			new:  service("web", external("10.244.9.9")),
			want: wantVerdict{errors: []string{"this is the address of pod shop/db"}}},
		"X4: a wish that was granted does not make it an external IP": {
			old: service("web", requests("10.244.1.77")), new: service("web", requests("10.244.1.77"), external("10.244.1.77")),
			want: wantVerdict{errors: []string{`spec.externalIPs[0]: Invalid value: "10.244.1.77": this is inside the podCIDRs of node node-1`}}},
		"X4: nor does one that a load balancer has": {
			old: service("web", ingress("192.0.2.1"), port(22, tcp)), new: service("web", ingress("192.0.2.1"), external("192.0.2.1"), port(22, tcp)),
			want: wantVerdict{errors: []string{"spec.externalIPs[0]"}, warnings: []string{"rule X21"}}},
		"an external IP of before may become the load balancer's": {
			old: service("web", ingress(), external("10.244.1.77")), new: service("web", ingress("10.244.1.77"), external("10.244.1.77"))},
		"a wish of before may be granted": {
			old: service("web", requests("10.244.1.78")), new: service("web", requests("10.244.1.78"), ingress("10.244.1.78"))},
		"beside a podCIDR": {new: service("web", external("10.244.2.1"))},
		"an address that was there before may stay": {
			old: service("web", external("192.0.2.1")), new: service("web", external("192.0.2.1"), port(8080, tcp))},
		"X6: a hostPort": {
			new:  service("web", onNodePort(30080, tcp)),
			want: wantVerdict{errors: []string{"spec.ports[0].nodePort: Invalid value: 30080: pod edge/proxy listens at port 30080/TCP of its node and would get no more traffic"}}},
		"X6: a hostPort, by a port that was drawn": {
			new: service("web", onNodePort(30080, tcp), nobodyAsked),
			want: wantVerdict{warnings: []string{"pod edge/proxy listens at port 30080/TCP of its node and would get no more traffic; " +
				"nobody asked for this port in particular: make the Service again"}}},
		"X6: the cluster's port, by one that was drawn": {
			new: service("web", onNodePort(10250, tcp), nobodyAsked),
			want: wantVerdict{errors: []string{"the kubelet of node node-1 listens at port 10250/TCP and would get no more traffic; " +
				"nobody asked for this port in particular, so send the request again"}}},
		"a pod on a node that was made up listens nowhere": {new: service("web", onNodePort(30092, tcp))},
		"the other protocol of a hostPort is free":         {new: service("web", onNodePort(30080, udp))},
		"X6: a port of a pod in its node's network": {
			new:  service("web", onNodePort(30081, udp)),
			want: wantVerdict{errors: []string{"pod edge/exporter listens"}}},
		"a container port alone is not on the node":   {new: service("web", onNodePort(80, tcp))},
		"a pod that is not scheduled listens nowhere": {new: service("web", onNodePort(30090, tcp))},
		"a finished pod listens no more":              {new: service("web", onNodePort(30091, tcp))},
		"X6: a health check": {
			new:  service("web", healthCheck(30080)),
			want: wantVerdict{errors: []string{"spec.healthCheckNodePort: Invalid value: 30080"}}},
		"X6: the kubelet's port": {
			new:  service("web", onNodePort(10250, tcp)),
			want: wantVerdict{errors: []string{"the kubelet of node node-1 listens at port 10250/TCP"}}},
		"X6: a port of the control plane": {
			new:  service("web", onNodePort(2379, tcp)),
			want: wantVerdict{errors: []string{"etcd listens at port 2379/TCP"}}},
		"X6: the API server's port": {
			new:  service("web", onNodePort(6443, tcp)),
			want: wantVerdict{errors: []string{"the Kubernetes API server listens at port 6443 of node node-1"}}},
		"the port of an API server that is on no node": {new: service("web", onNodePort(8443, tcp))},
		"a port that was there before may stay": {
			old: service("web", onNodePort(30080, tcp)), new: service("web", onNodePort(30080, tcp), selecting("app", "x"))},
		"a ClusterIP Service has no node ports": {
			new: service("web", onNodePort(30080, tcp), func(svc *corev1.Service) { svc.Spec.Type = corev1.ServiceTypeClusterIP })},
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

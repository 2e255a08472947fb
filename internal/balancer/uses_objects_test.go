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

package balancer

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestUsesOfService(t *testing.T) {
	ours := Class{Name: "a.b/c"}
	for name, tc := range map[string]struct {
		edit func(*corev1.Service)
		want string
	}{
		"another controller's":                                    {func(*corev1.Service) {}, "[10.96.0.7 fd00::7 198.51.100.1 192.0.2.1]"},
		"ours: what it has is known from its claim":               {func(s *corev1.Service) { s.Spec.LoadBalancerClass = new("a.b/c") }, "[10.96.0.7 fd00::7 198.51.100.1]"},
		"no load balancer: a status of before counts for nothing": {func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP }, "[10.96.0.7 fd00::7 198.51.100.1]"},
		"headless": {func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ClusterIP = corev1.ServiceTypeClusterIP, corev1.ClusterIPNone
		}, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: corev1.ServiceSpec{
				Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.96.0.7", ClusterIPs: []string{"10.96.0.7", "fd00::7"}, ExternalIPs: []string{"198.51.100.1"},
			}}
			service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}, {Hostname: "web.example"}}
			tc.edit(service)
			source, addrs := UsesOfService(service, ours)
			expect(t, "used", fmt.Sprint(source, addrs), "{Service shop/web} "+tc.want)
		})
	}
}

func TestUsesOfNode(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.1"}, {Type: corev1.NodeHostName, Address: "node-1"}, {Type: corev1.NodeExternalIP, Address: "2001:db8::1"}}
	source, addrs := UsesOfNode(node)
	expect(t, "used", fmt.Sprint(source, addrs), "{Node /node-1} [10.0.0.1 2001:db8::1]")
}

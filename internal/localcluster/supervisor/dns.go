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

package supervisor

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/localcluster/refusedns"
)

// The DNS Service has the name that programs and people look for, whatever
// serves it.
const (
	dnsNamespace = "kube-system"
	dnsName      = "kube-dns"
	// dnsPort is where the server listens on the first node: not on 53, which
	// a pod of the node's network may want.
	dnsPort = 10053
)

// installDNS creates the Service that resolv.conf files name, and leads it to
// the first node.
func (s *Supervisor) installDNS(ctx context.Context) error {
	if err := s.client.Create(ctx, dnsService()); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating Service %s/%s: %w", dnsNamespace, dnsName, err)
	}
	return s.pointAtFirstNode(ctx, dnsNamespace, dnsName)
}

func dnsService() *corev1.Service {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: dnsNamespace, Name: dnsName,
			Labels: map[string]string{"k8s-app": dnsName},
		},
		Spec: corev1.ServiceSpec{
			IPFamilyPolicy: new(corev1.IPFamilyPolicyPreferDualStack),
			Ports: []corev1.ServicePort{
				{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53, TargetPort: intstr.FromInt32(dnsPort)},
				{Name: "dns-tcp", Protocol: corev1.ProtocolTCP, Port: 53, TargetPort: intstr.FromInt32(dnsPort)},
			},
		},
	}
	for _, addr := range layout.DNSAddrs() {
		service.Spec.ClusterIPs = append(service.Spec.ClusterIPs, addr.String())
	}
	service.Spec.ClusterIP = service.Spec.ClusterIPs[0]
	return service
}

// serveDNS refuses every question, so that names fail at once.
func (s *Supervisor) serveDNS(ctx context.Context) error {
	node := s.cluster.ControlPlane()
	var addrs []netip.AddrPort
	for _, addr := range node.IPs() {
		addrs = append(addrs, netip.AddrPortFrom(addr, dnsPort))
	}
	return refusedns.Serve(ctx, s.network.nodes[node.Name], addrs, nil)
}

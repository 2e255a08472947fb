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
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// memory is a World of plain values: the cluster of a test.
type memory struct {
	services []*corev1.Service
	pods     []*corev1.Pod
	cidrs    []ServiceCIDR
	servers  []netip.AddrPort
	broken   bool
}

var errBroken = errors.New("the API server is away")

func (m *memory) err() error {
	if m.broken {
		return errBroken
	}
	return nil
}

func (m *memory) where(holds func(*corev1.Service) bool) ([]*corev1.Service, error) {
	return slices.DeleteFunc(slices.Clone(m.services), func(svc *corev1.Service) bool { return !holds(svc) }), m.err()
}

func (m *memory) ServicesByFrontend(_ context.Context, f Frontend) ([]*corev1.Service, error) {
	return m.where(func(svc *corev1.Service) bool { return heldFrontends(svc)[f] })
}

func (m *memory) ServicesByClusterIP(_ context.Context, addr netip.Addr) ([]*corev1.Service, error) {
	return m.where(func(svc *corev1.Service) bool { return slices.Contains(clusterAddrs(svc), addr) })
}

func (m *memory) ServicesBySelector(_ context.Context, namespace string, selector map[string]string) ([]*corev1.Service, error) {
	return m.where(func(svc *corev1.Service) bool {
		return svc.Namespace == namespace && maps.Equal(svc.Spec.Selector, selector)
	})
}

func (m *memory) ServiceCIDRs(context.Context) ([]ServiceCIDR, error)  { return m.cidrs, m.err() }
func (m *memory) APIServers(context.Context) ([]netip.AddrPort, error) { return m.servers, m.err() }
func (m *memory) NameOf(_ context.Context, svc *corev1.Service) string {
	return svc.Namespace + "/" + svc.Name
}

func (m *memory) PodsBySelector(_ context.Context, namespace string, selector map[string]string) ([]*corev1.Pod, error) {
	return slices.DeleteFunc(slices.Clone(m.pods), func(pod *corev1.Pod) bool {
		return pod.Namespace != namespace || !labels.SelectorFromSet(selector).Matches(labels.Set(pod.Labels))
	}), m.err()
}

// service builds one of namespace default, with port 80/TCP.
func service(name string, changes ...func(*corev1.Service)) *corev1.Service {
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.ServiceSpec{
			Type:      corev1.ServiceTypeClusterIP,
			ClusterIP: "10.96.7.7", ClusterIPs: []string{"10.96.7.7"},
			Ports: []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(8080)}},
		},
	}
	for _, change := range changes {
		change(svc)
	}
	return svc
}

func external(ips ...string) func(*corev1.Service) {
	return func(svc *corev1.Service) { svc.Spec.ExternalIPs = ips }
}

func clusterIP(ips ...string) func(*corev1.Service) {
	return func(svc *corev1.Service) { svc.Spec.ClusterIP, svc.Spec.ClusterIPs = ips[0], ips }
}

func ingress(ips ...string) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		svc.Spec.Type = corev1.ServiceTypeLoadBalancer
		for _, ip := range ips {
			svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: ip})
		}
	}
}

func requests(ip string) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		svc.Spec.Type, svc.Spec.LoadBalancerIP = corev1.ServiceTypeLoadBalancer, ip
	}
}

func port(number int32, protocol corev1.Protocol) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		svc.Spec.Ports = []corev1.ServicePort{{Port: number, Protocol: protocol, TargetPort: intstr.FromInt32(number)}}
	}
}

func target(name string, protocol corev1.Protocol) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		svc.Spec.Ports = []corev1.ServicePort{{Port: 80, Protocol: protocol, TargetPort: intstr.FromString(name)}}
	}
}

func selecting(key, value string) func(*corev1.Service) {
	return func(svc *corev1.Service) { svc.Spec.Selector = map[string]string{key: value} }
}

// pod has the label app=web and one container with these ports.
func pod(name string, ports ...corev1.ContainerPort) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Ports: ports}}},
	}
}

func named(name string, protocol corev1.Protocol) corev1.ContainerPort {
	return corev1.ContainerPort{Name: name, ContainerPort: 8080, Protocol: protocol}
}

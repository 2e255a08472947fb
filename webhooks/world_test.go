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
	"cmp"
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// memory is a World of plain values: the cluster of a test.
type memory struct {
	services []*corev1.Service
	pods     []*corev1.Pod
	// unseenPods are not in the cache yet.
	unseenPods []*corev1.Pod
	nodes      []*corev1.Node
	cidrs      []ServiceCIDR
	servers    []netip.AddrPort
	broken     bool
	// stranger is told no names.
	stranger bool
	domain   string

	namespaces   map[string]labels.Set
	pools        *Pools
	reservations []allocator.Reservation
	required     v1alpha1.AddressUse
	classes      []string
	nodePorts    allocator.PortSpan
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

func (m *memory) ServicesByVIP(_ context.Context, addr netip.Addr, serves func(*corev1.Service) bool) ([]*corev1.Service, error) {
	return m.where(func(svc *corev1.Service) bool { return wantedAddrs(svc)[addr] && serves(svc) })
}

func (m *memory) ServiceByName(_ context.Context, name types.NamespacedName) (*corev1.Service, error) {
	found, err := m.where(func(svc *corev1.Service) bool { return client.ObjectKeyFromObject(svc) == name })
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

func (m *memory) ServicesBySharingKey(_ context.Context, key string) ([]*corev1.Service, error) {
	return m.where(func(svc *corev1.Service) bool { return sharingKey(svc) == key })
}

func (m *memory) LoadBalancerClassServed(_ context.Context, class string) (bool, error) {
	return slices.Contains(m.classes, class), m.err()
}

func (m *memory) Nodes(context.Context) ([]*corev1.Node, error) { return m.nodes, m.err() }

func (m *memory) NamespaceLabels(_ context.Context, name string) (labels.Set, error) {
	return m.namespaces[name], m.err()
}

func (m *memory) Pools(context.Context) (*Pools, error) {
	if m.pools == nil {
		m.pools = NewPools(nil, nil)
	}
	return m.pools, m.err()
}

func (m *memory) ReservationOf(_ context.Context, number allocator.Number) (*allocator.Reservation, error) {
	for _, reservation := range m.reservations {
		if reservation.Number == number {
			return &reservation, m.err()
		}
	}
	return nil, m.err()
}

func (m *memory) PoolsRequired(use v1alpha1.AddressUse) bool { return use == m.required }

func (m *memory) RangeNameOf(_ context.Context, kind, name string) string {
	if m.stranger {
		return "another " + kind
	}
	return kind + " " + name
}

func (m *memory) ClusterDomain() string { return cmp.Or(m.domain, DefaultClusterDomain) }

func (m *memory) nodesWhere(holds func(*corev1.Node) bool) ([]*corev1.Node, error) {
	return slices.DeleteFunc(slices.Clone(m.nodes), func(node *corev1.Node) bool { return !holds(node) }), m.err()
}

func (m *memory) NodesByAddress(_ context.Context, addr netip.Addr) ([]*corev1.Node, error) {
	return m.nodesWhere(func(node *corev1.Node) bool { return slices.Contains(nodeAddrs(node), addr) })
}

func (m *memory) NodesByPodAddress(_ context.Context, addr netip.Addr) ([]*corev1.Node, error) {
	return m.nodesWhere(func(node *corev1.Node) bool {
		return slices.ContainsFunc(podCIDRs(node), func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
	})
}

func (m *memory) NodesByKubeletPort(_ context.Context, port int32) ([]*corev1.Node, error) {
	return m.nodesWhere(func(node *corev1.Node) bool { return node.Status.DaemonEndpoints.KubeletEndpoint.Port == port })
}

func (m *memory) podsWhere(holds func(*corev1.Pod) bool) ([]*corev1.Pod, error) {
	return slices.DeleteFunc(slices.Clone(m.pods), func(pod *corev1.Pod) bool { return !holds(pod) }), m.err()
}

func (m *memory) PodsByIP(_ context.Context, addr netip.Addr) ([]*corev1.Pod, error) {
	return m.podsWhere(func(pod *corev1.Pod) bool { return slices.Contains(podAddrs(pod), addr) })
}

func (m *memory) NamespaceHasPod(_ context.Context, namespace string, addr netip.Addr) (bool, error) {
	pods, err := m.podsWhere(func(pod *corev1.Pod) bool { return pod.Namespace == namespace && slices.Contains(podAddrs(pod), addr) })
	return len(pods) > 0, err
}

func (m *memory) NodePortRange() allocator.PortSpan {
	return cmp.Or(m.nodePorts, allocator.DefaultNodePorts)
}

func (m *memory) PodsOfNamespaceByIP(_ context.Context, namespace string, addr netip.Addr) ([]*corev1.Pod, error) {
	return slices.DeleteFunc(slices.Clone(m.unseenPods), func(pod *corev1.Pod) bool {
		return pod.Namespace != namespace || !slices.Contains(podAddrs(pod), addr)
	}), m.err()
}

func (m *memory) PodsByHostPort(_ context.Context, port PortKey) ([]*corev1.Pod, error) {
	return m.podsWhere(func(pod *corev1.Pod) bool { return slices.Contains(hostPorts(pod), port) })
}

func (m *memory) ServicesByClusterIP(_ context.Context, addr netip.Addr) ([]*corev1.Service, error) {
	return m.where(func(svc *corev1.Service) bool { return slices.Contains(clusterAddrs(svc), addr) })
}

func (m *memory) ServicesByNodePort(_ context.Context, port int32) ([]*corev1.Service, error) {
	return m.where(func(svc *corev1.Service) bool { return slices.Contains(heldPorts(svc), port) })
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

func (m *memory) PodNameOf(_ context.Context, pod *corev1.Pod) (string, bool) {
	if m.stranger {
		return "a pod", false
	}
	return "pod " + pod.Namespace + "/" + pod.Name, true
}

func (m *memory) NodeNameOf(_ context.Context, node *corev1.Node) string { return "node " + node.Name }

func (m *memory) PodsBySelector(_ context.Context, namespace string, selector map[string]string) ([]*corev1.Pod, error) {
	return m.podsWhere(func(pod *corev1.Pod) bool {
		return pod.Namespace == namespace && labels.SelectorFromSet(selector).Matches(labels.Set(pod.Labels))
	})
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

// at gives a pod an address of its own on a node.
func at(pod *corev1.Pod, namespace string, ips ...string) *corev1.Pod {
	pod.Namespace, pod.Spec.NodeName = namespace, "node-1"
	pod.Status.StartTime = new(metav1.Unix(1, 0)) // a kubelet has taken it
	for _, ip := range ips {
		pod.Status.PodIPs = append(pod.Status.PodIPs, corev1.PodIP{IP: ip})
	}
	return pod
}

// node has one address, and a range for its pods.
func node(name, address string, podCIDRs ...string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.NodeSpec{PodCIDRs: podCIDRs},
		Status: corev1.NodeStatus{
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}, {Type: corev1.NodeHostName, Address: name}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 10250}},
		},
	}
}

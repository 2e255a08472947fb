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

package main

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// town is what the API server holds while webhooks are measured: enough of
// everything that they look things up in.
type town struct {
	*cluster
	api      client.Client
	services int
	crowds   int
}

const (
	tenants = 20
	// inPools is how many tenants have pools of their own.
	inPools = 3
	// Every so many Services have a NodePort, external IPs, a load balancer, a pod.
	nodePortEvery, externalEvery, balancerEvery, podEvery = 10, 11, 25, 5
	townNodes                                             = 50
	reservations                                          = 20
	firstTownPort                                         = 31400
	firstFixedPort                                        = 30100
)

var (
	serviceCIDRv6 = netip.MustParsePrefix("fd00:96::/108")
	externalCIDR  = netip.MustParsePrefix("198.18.0.0/16")
	balancerCIDR  = netip.MustParsePrefix("198.19.0.0/16")
)

func tenant(n int) string { return fmt.Sprintf("tenant-%02d", n%tenants) }

// build writes everything: those whose numbers the API server has to know of
// through it, the rest into etcd.
func (t *town) build(ctx context.Context) error {
	for n := range tenants {
		labels := map[string]string{"pools": fmt.Sprint(n < inPools)}
		if err := t.api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant(n), Labels: labels}}); err != nil {
			return err
		}
	}
	if err := t.createNodes(ctx); err != nil {
		return err
	}
	var puts []put
	for i := range t.services {
		service := t.service(i)
		if i%nodePortEvery == 0 && i/nodePortEvery < 1000 {
			if err := t.api.Create(ctx, service); err != nil {
				return err
			}
			continue
		}
		puts = append(puts, put{fmt.Sprintf("services/specs/%s/%s", service.Namespace, service.Name), service})
		for _, ip := range service.Spec.ClusterIPs {
			puts = append(puts, addressOf(service, netip.MustParseAddr(ip)))
		}
		if i%podEvery == 0 {
			puts = append(puts, podOf(service, i))
		}
	}
	return t.store.write(ctx, puts)
}

func (t *town) createNodes(ctx context.Context) error {
	for n := range townNodes {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%03d", n)}}
		node.Spec.PodCIDR = netip.PrefixFrom(nth(endpointCIDR, n<<8), 24).String()
		node.Spec.PodCIDRs = []string{node.Spec.PodCIDR}
		if err := t.api.Create(ctx, node); err != nil {
			return err
		}
		node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("172.30.0.%d", n+1)}}
		node.Status.DaemonEndpoints.KubeletEndpoint.Port = 10250
		if err := t.api.Status().Update(ctx, node); err != nil {
			return err
		}
	}
	return nil
}

func (t *town) createPools(ctx context.Context) error {
	for _, object := range t.pools() {
		if err := t.api.Create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// pools are for the first tenants, but external IPs may be used by all, and
// reservations are for Services that never come.
func (t *town) pools() []client.Object {
	selected := &metav1.LabelSelector{MatchLabels: map[string]string{"pools": "true"}}
	objects := []client.Object{
		&v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: "tenants"},
			Spec: v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"31000-31399"}, NamespaceSelector: selected}},
		&v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: "tenants"},
			Spec: v1alpha1.AddressPoolSpec{Use: v1alpha1.UseClusterIP, Addresses: []v1alpha1.AddressRange{"10.100.0.0/16"}, NamespaceSelector: selected}},
		&v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: "external"},
			Spec: v1alpha1.AddressPoolSpec{Use: v1alpha1.UseExternalIP, Addresses: []v1alpha1.AddressRange{v1alpha1.AddressRange(externalCIDR.String())}}},
		&v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: "balancers"},
			Spec: v1alpha1.AddressPoolSpec{Use: v1alpha1.UseLoadBalancer, Addresses: []v1alpha1.AddressRange{v1alpha1.AddressRange(balancerCIDR.String())}}},
	}
	for n := range reservations {
		owner := &v1alpha1.ServiceReference{Namespace: tenant(n), Name: fmt.Sprintf("reserved-%d", n)}
		address := nth(serviceCIDR, 512+n)
		objects = append(objects,
			&v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(30960 + n)}, Spec: v1alpha1.PortReservationSpec{ServiceRef: owner}},
			&v1alpha1.AddressReservation{ObjectMeta: metav1.ObjectMeta{Name: address.String()},
				Spec: v1alpha1.AddressReservationSpec{Address: address.String(), ServiceRef: owner}})
	}
	return objects
}

// service is the i-th as the API server would have stored it, dual-stack every
// other one.
func (t *town) service(i int) *corev1.Service {
	s := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant(i), Name: serviceName(i), Labels: map[string]string{"app": serviceName(i)}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, Selector: map[string]string{"app": serviceName(i)}, SessionAffinity: corev1.ServiceAffinityNone,
			Ports:          []corev1.ServicePort{{Name: portName, Protocol: corev1.ProtocolTCP, Port: servicePort, TargetPort: intstr.FromInt32(endpointPort)}},
			ClusterIPs:     []string{clusterIP(i).String()},
			IPFamilies:     []corev1.IPFamily{corev1.IPv4Protocol},
			IPFamilyPolicy: new(corev1.IPFamilyPolicySingleStack), InternalTrafficPolicy: new(corev1.ServiceInternalTrafficPolicyCluster),
		},
	}
	s.Spec.ClusterIP = s.Spec.ClusterIPs[0]
	if i%2 == 1 {
		s.Spec.ClusterIPs = append(s.Spec.ClusterIPs, sixth(i).String())
		s.Spec.IPFamilies, s.Spec.IPFamilyPolicy = append(s.Spec.IPFamilies, corev1.IPv6Protocol), new(corev1.IPFamilyPolicyRequireDualStack)
	}
	switch {
	case i%nodePortEvery == 0 && i/nodePortEvery < 1000:
		s.Spec.Type, s.Spec.ExternalTrafficPolicy = corev1.ServiceTypeNodePort, corev1.ServiceExternalTrafficPolicyCluster
		s.Spec.Ports[0].NodePort = int32(firstTownPort + i/nodePortEvery)
		return s // the API server gives it the rest
	case i%externalEvery == 0:
		s.Spec.ExternalIPs, s.Spec.ExternalTrafficPolicy = []string{nth(externalCIDR, i).String()}, corev1.ServiceExternalTrafficPolicyCluster
	case i%balancerEvery == 0:
		s.Spec.Type, s.Spec.ExternalTrafficPolicy = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyCluster
		s.Spec.AllocateLoadBalancerNodePorts = new(false)
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: nth(balancerCIDR, i).String(), IPMode: new(corev1.LoadBalancerIPModeVIP)}}
	}
	s.UID, s.CreationTimestamp = uuid.NewUUID(), metav1.Now()
	return s
}

// sixth is the IPv6 address of the i-th Service.
func sixth(i int) netip.Addr {
	bytes := serviceCIDRv6.Addr().As16()
	bytes[13], bytes[14], bytes[15] = byte((1024+i)>>16), byte((1024+i)>>8), byte(1024+i)
	return netip.AddrFrom16(bytes)
}

// addressOf is the record that the API server keeps of a ClusterIP (KEP-1880).
func addressOf(service *corev1.Service, address netip.Addr) put {
	family := corev1.IPv4Protocol
	if address.Is6() {
		family = corev1.IPv6Protocol
	}
	a := &networkingv1.IPAddress{
		TypeMeta: metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "IPAddress"},
		ObjectMeta: metav1.ObjectMeta{Name: address.String(), UID: uuid.NewUUID(), CreationTimestamp: metav1.Now(), Labels: map[string]string{
			networkingv1.LabelIPAddressFamily: string(family), networkingv1.LabelManagedBy: "ipallocator.k8s.io",
		}},
		Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: service.Namespace, Name: service.Name}},
	}
	return put{"ipaddresses/" + a.Name, a}
}

func podOf(service *corev1.Service, i int) put {
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: service.Namespace, Name: service.Name + "-x7k2p", UID: uuid.NewUUID(), CreationTimestamp: metav1.Now(), Labels: service.Spec.Selector,
		},
		Spec: corev1.PodSpec{
			NodeName: fmt.Sprintf("node-%03d", i%townNodes), RestartPolicy: corev1.RestartPolicyAlways, DNSPolicy: corev1.DNSClusterFirst,
			Containers: []corev1.Container{{
				Name: "web", Image: "web", Ports: []corev1.ContainerPort{{Name: portName, ContainerPort: endpointPort, Protocol: corev1.ProtocolTCP}},
			}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
	pod.Status.PodIP = nth(endpointCIDR, i%townNodes<<8+1+i/townNodes%250).String()
	pod.Status.PodIPs = []corev1.PodIP{{IP: pod.Status.PodIP}}
	return put{fmt.Sprintf("pods/%s/%s", pod.Namespace, pod.Name), pod}
}

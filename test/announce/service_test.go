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

package announce

import (
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/balancer"
)

// service is a dual-stack Service with the VIPs, as the manager would have it, and
// its slices.
type service struct {
	*corev1.Service
	slices []*discoveryv1.EndpointSlice
}

// newService has an endpoint on each of the nodes given.
func (b *bed) newService(policy corev1.ServiceExternalTrafficPolicy, nodes ...*node) *service {
	b.Helper()
	services := b.client.CoreV1().Services(metav1.NamespaceDefault)
	created := must(services.Create(b.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, IPFamilyPolicy: new(corev1.IPFamilyPolicyRequireDualStack),
			ExternalTrafficPolicy: policy, Ports: []corev1.ServicePort{{Port: 80}},
		},
	}, metav1.CreateOptions{}))(b.T)
	b.Cleanup(func() { _ = services.Delete(b.late(), created.Name, metav1.DeleteOptions{}) })
	s := &service{Service: created}
	for i, kind := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
		slice := &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Name: []string{"web-4", "web-6"}[i], Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
			AddressType: kind, Ports: []discoveryv1.EndpointPort{{Port: new(int32(endpointPort))}},
			Endpoints: endpoints(i, nodes),
		}
		api := b.client.DiscoveryV1().EndpointSlices(metav1.NamespaceDefault)
		s.slices = append(s.slices, must(api.Create(b.Context(), slice, metav1.CreateOptions{}))(b.T))
		b.Cleanup(func() { _ = api.Delete(b.late(), slice.Name, metav1.DeleteOptions{}) })
	}
	for _, vip := range vips {
		created.Status.LoadBalancer.Ingress = append(created.Status.LoadBalancer.Ingress,
			corev1.LoadBalancerIngress{IP: vip.String(), IPMode: new(corev1.LoadBalancerIPModeVIP)})
		b.claim(vip, created)
	}
	s.Service = must(services.UpdateStatus(b.Context(), created, metav1.UpdateOptions{}))(b.T)
	return s
}

func endpoints(family int, nodes []*node) []discoveryv1.Endpoint {
	list := []discoveryv1.Endpoint{}
	for _, n := range nodes {
		list = append(list, discoveryv1.Endpoint{Addresses: []string{n.endpoints[family].String()}, NodeName: &n.name})
	}
	return list
}

// move gives the Service endpoints on other nodes.
func (b *bed) move(s *service, nodes ...*node) {
	b.Helper()
	for i := range s.slices {
		s.slices[i].Endpoints = endpoints(i, nodes)
		s.slices[i] = must(b.client.DiscoveryV1().EndpointSlices(metav1.NamespaceDefault).Update(b.Context(), s.slices[i], metav1.UpdateOptions{}))(b.T)
	}
}

func (b *bed) claim(vip netip.Addr, s *corev1.Service) {
	b.Helper()
	lease := balancer.LeaseOf(system, balancer.Claim{Addr: vip, Holders: []balancer.Holder{
		{Service: types.NamespacedName{Namespace: s.Namespace, Name: s.Name}, UID: s.UID},
	}})
	api := b.client.CoordinationV1().Leases(system)
	must(api.Create(b.Context(), lease, metav1.CreateOptions{}))(b.T)
	b.Cleanup(func() { _ = api.Delete(b.late(), lease.Name, metav1.DeleteOptions{}) })
}

// owner is the node that the Lease of a VIP names, nil for none.
func (b *bed) owner(vip netip.Addr) *node {
	b.Helper()
	name := balancer.LeaseOf(system, balancer.Claim{Addr: vip}).Name
	lease := must(b.client.CoordinationV1().Leases(system).Get(b.Context(), name, metav1.GetOptions{}))(b.T)
	for _, n := range b.nodes {
		if lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity == n.name {
			return n
		}
	}
	return nil
}

// answered waits until each VIP is answered by exactly one node, its owner, which
// is none of those not wanted, and connections are answered.
func (b *bed) answered(unwanted ...*node) {
	b.Helper()
	for _, vip := range vips {
		times := 0 // in a row: on a busy machine another's answer may come too late once
		b.await("one node answers for "+vip.String(), func() bool {
			n := b.owner(vip)
			if n == nil || slices.Contains(unwanted, n) || !slices.Equal(b.whoHas(vip), []string{n.name}) {
				times = 0
				return false
			}
			times++
			return times == 4
		})
		b.await("a connection to "+vip.String(), func() bool {
			_, _, _, err := b.connect(vip, time.Second)
			return err == nil
		})
	}
}

// moved waits until the Leases name others than from, and asks nobody.
func (b *bed) moved(from *node) {
	b.Helper()
	for _, vip := range vips {
		b.await(vip.String()+" is another's", func() bool { n := b.owner(vip); return n != nil && n != from })
	}
}

// gather moves both VIPs to one node, and returns it.
func (b *bed) gather() *node {
	b.Helper()
	b.answered()
	keep := b.owner(vips[0])
	if b.owner(vips[1]) == keep {
		return keep
	}
	var others []*node
	for _, n := range b.nodes {
		if n != keep {
			others = append(others, n)
			b.exclude(n, true)
		}
	}
	b.answered(others...)
	for _, n := range others {
		b.exclude(n, false)
	}
	return keep
}

// exclude takes a node out of load balancers, or back.
func (b *bed) exclude(n *node, out bool) {
	b.Helper()
	patch := `{"metadata":{"labels":{"` + corev1.LabelNodeExcludeBalancers + `":null}}}`
	if out {
		patch = `{"metadata":{"labels":{"` + corev1.LabelNodeExcludeBalancers + `":""}}}`
	}
	must(b.client.CoreV1().Nodes().Patch(b.Context(), n.name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}))(b.T)
}

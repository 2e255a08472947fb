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

package explain

import (
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// web is Service default/NAME with TCP port 80 and NodePort 30080.
func web(name, clusterIP string, change func(*corev1.Service)) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Annotations: map[string]string{}}}
	svc.Spec = corev1.ServiceSpec{
		Type: corev1.ServiceTypeLoadBalancer, ClusterIP: clusterIP, ClusterIPs: []string{clusterIP},
		Ports: []corev1.ServicePort{{Port: 80, NodePort: 30080, Protocol: corev1.ProtocolTCP}},
	}
	if change != nil {
		change(svc)
	}
	return svc
}

func localPolicies(svc *corev1.Service) {
	svc.Spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyLocal)
	svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
}

// fromPool makes the load balancer's addresses those of an AddressPool.
func fromPool(svc *corev1.Service) {
	svc.ManagedFields = []metav1.ManagedFieldsEntry{{
		Manager: v1alpha1.LoadBalancerFieldManager, Operation: metav1.ManagedFieldsOperationApply, Subresource: "status",
		FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:status":{"f:loadBalancer":{"f:ingress":{}}}}`)},
	}}
}

// at is a slice of a Service's endpoints for the unnamed TCP port, such as
// "10.244.1.5 here ready zone:a".
func at(service string, texts ...string) *discoveryv1.EndpointSlice {
	eps := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: service + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new(""), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}},
	}
	for i, text := range texts {
		words := strings.Fields(text)
		has := func(word string) bool { return strings.Contains(text, " "+word) }
		endpoint := discoveryv1.Endpoint{
			Addresses: words[:1], NodeName: new(words[1]), TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: fmt.Sprint(service, "-", i)},
			Conditions: discoveryv1.EndpointConditions{
				Ready: new(has("ready")), Serving: new(has("ready") || has("leaving")), Terminating: new(has("leaving")),
			},
		}
		if _, zone, ok := strings.Cut(text, "zone:"); ok {
			endpoint.Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: zone}}}
		}
		eps.Endpoints = append(eps.Endpoints, endpoint)
	}
	return eps
}

// testWorld is node "here" in zone "a", 172.30.0.1, with pods 10.244.1.0/24.
func testWorld(services []*corev1.Service, slices []*discoveryv1.EndpointSlice) World {
	store := model.NewStore(model.Options{})
	for _, svc := range services {
		store.SetService(svc)
	}
	for _, eps := range slices {
		store.SetSlice(eps)
	}
	own := []netip.Addr{netip.MustParseAddr("172.30.0.1")}
	return World{
		Store: store, Place: policy.Place{NodeName: "here", Zone: "a", Addrs: own},
		Node: policy.Node{
			Family: model.IPv4, NodePortAddrs: own, LocalPods: prefixes("10.244.1.0/24"), ServiceCIDRs: prefixes("10.96.0.0/16"),
		},
	}
}

func ask(from, to string) Question {
	address, node := strings.CutPrefix(from, "node:")
	return Question{
		Source: netip.MustParseAddr(address), FromNode: node,
		Destination: netip.MustParseAddrPort(to), Protocol: model.TCP,
	}
}

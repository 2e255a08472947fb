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

package policy

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// balanced is LoadBalancer Service default/web with two ports and health check
// node port 31000.
func balanced(change func(*corev1.Service)) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
	svc.Spec = corev1.ServiceSpec{
		Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.96.0.1", ClusterIPs: []string{"10.96.0.1"},
		ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, HealthCheckNodePort: 31000,
		Ports: []corev1.ServicePort{{Name: "a", Port: 80, Protocol: "TCP"}, {Name: "b", Port: 81, Protocol: "TCP"}},
	}
	if change != nil {
		change(svc)
	}
	return svc
}

// sliceOf has endpoints at 10.0.0.FIRST and following, all on one node, for the
// port of the given name.
func sliceOf(port, node string, first, count int, ready bool) *discoveryv1.EndpointSlice {
	eps := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: fmt.Sprintf("web-%s-%s-%d", port, node, first), Labels: map[string]string{discoveryv1.LabelServiceName: "web"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &port, Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}},
	}
	for i := range count {
		eps.Endpoints = append(eps.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{fmt.Sprintf("10.0.0.%d", first+i)}, NodeName: &node,
			Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: new(true), Terminating: new(!ready)},
		})
	}
	return eps
}

func TestWhatALoadBalancerLearns(t *testing.T) {
	found := func(n int) *HealthCheck { return &HealthCheck{"default", "web", 31000, n} }
	for name, tc := range map[string]struct {
		service *corev1.Service
		slices  []*discoveryv1.EndpointSlice
		want    *HealthCheck
	}{
		"no endpoints":  {service: balanced(nil), want: found(0)},
		"some are here": {balanced(nil), []*discoveryv1.EndpointSlice{sliceOf("a", "here", 1, 2, true), sliceOf("a", "there", 9, 3, true)}, found(2)},
		"an address with two ports counts once": {
			balanced(nil), []*discoveryv1.EndpointSlice{sliceOf("a", "here", 1, 2, true), sliceOf("b", "here", 2, 2, true)}, found(3)},
		"those that only terminate do not count": {balanced(nil), []*discoveryv1.EndpointSlice{sliceOf("a", "here", 1, 2, false)}, found(0)},
		"policy Cluster":                         {service: balanced(func(svc *corev1.Service) { svc.Spec.ExternalTrafficPolicy = "Cluster" })},
		"not balanced":                           {service: balanced(func(svc *corev1.Service) { svc.Spec.Type = corev1.ServiceTypeNodePort })},
		"not this family": {service: balanced(func(svc *corev1.Service) {
			svc.Spec.ClusterIP, svc.Spec.ClusterIPs = "fd00::1", []string{"fd00::1"}
		})},
	} {
		t.Run(name, func(t *testing.T) {
			store := model.NewStore(model.Options{})
			store.SetService(tc.service)
			for _, eps := range tc.slices {
				store.SetSlice(eps)
			}
			var got *HealthCheck
			if check, ok := LocalHealth(store, "default", "web", model.IPv4, here); ok {
				got = &check
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWhoHasEndpointsOnlyElsewhere(t *testing.T) {
	some := addrPorts("10.0.0.1:80")
	for name, tc := range map[string]struct {
		decision           Decision
		internal, external bool
	}{
		"policy Cluster":       {decision: Decision{Cluster: some}},
		"internal Local":       {Decision{Cluster: some, Internal: LocalScope}, true, false},
		"external Local":       {Decision{Cluster: some, External: LocalScope}, false, true},
		"one is here":          {decision: Decision{Cluster: some, Local: some, Internal: LocalScope, External: LocalScope}},
		"none is anywhere":     {decision: Decision{Internal: LocalScope, External: LocalScope}},
		"both, none only here": {Decision{Cluster: some, Internal: LocalScope, External: LocalScope}, true, true},
	} {
		if internal, external := tc.decision.WithoutLocal(); internal != tc.internal || external != tc.external {
			t.Errorf("%s: internal %v, external %v", name, internal, external)
		}
	}
}

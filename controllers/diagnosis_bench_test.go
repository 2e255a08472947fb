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

package controllers

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/inventory"
)

// benchService is a Service whose pods are ready, on a hundred nodes.
func benchService(pods int) (*corev1.Service, []client.Object) {
	service := selecting("shop", "web", func(spec *corev1.ServiceSpec) {
		spec.ClusterIP, spec.ClusterIPs, spec.IPFamilies = "10.96.0.9", []string{"10.96.0.9"}, []corev1.IPFamily{corev1.IPv4Protocol}
		spec.Ports = []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}}
	})
	all := []client.Object{service}
	name, number := "http", int32(8080)
	var slice *discoveryv1.EndpointSlice
	for i := range pods {
		pod := diagnosedPod("shop", fmt.Sprint("web-", i), "web", fmt.Sprint("node-", i%100))
		pod.Spec.Containers = []corev1.Container{{Name: "main", Ports: []corev1.ContainerPort{{Name: name, ContainerPort: number}}}}
		address := fmt.Sprintf("10.%d.%d.%d", 1+i/60000, i/250%240, 1+i%250)
		pod.Status = corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		}
		all = append(all, pod)
		if i%100 == 0 {
			slice = &discoveryv1.EndpointSlice{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint("web-", i), Labels: map[string]string{
					discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: EndpointSliceControllerName}},
				AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &number}},
			}
			all = append(all, slice)
		}
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{address}, NodeName: &pod.Spec.NodeName, Conditions: discoveryv1.EndpointConditions{Ready: new(true)},
		})
	}
	for i := range 100 {
		all = append(all, nodeOf(fmt.Sprint("node-", i), corev1.ConditionTrue))
	}
	return service, all
}

// BenchmarkDiagnosis is one look at a Service that has not changed, of which
// nothing is written: facts from the caches, examination, comparison.
func BenchmarkDiagnosis(b *testing.B) {
	for _, pods := range []int{10, 100, 1000, 5000} {
		b.Run(fmt.Sprint(pods, " pods"), func(b *testing.B) {
			service, all := benchService(pods)
			service.Status.Conditions = allWell()
			r := diagnosisOf(b, all...)
			// An Endpoints object of more than 1000 is read once a minute at most.
			memory := &diagnosisMemory{endpointsRead: judgedAt}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.look(context.Background(), service, memory); err != nil || memory.since == nil || len(memory.since) > 0 {
					b.Fatal(memory.since, err)
				}
			}
		})
	}
}

// BenchmarkNumberAudit is one look at the numbers of all Services, each with an
// IPAddress and every tenth with a NodePort.
func BenchmarkNumberAudit(b *testing.B) {
	for _, count := range []int{5000, 50_000} {
		b.Run(fmt.Sprint(count, " Services"), func(b *testing.B) {
			inv := &inventory.Inventory{NodePorts: inventory.NodePorts{Span: allocator.DefaultNodePorts, From: inventory.FromFlag},
				ServiceCIDRs: []networkingv1.ServiceCIDR{{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/12"}}}}}
			for i := range count {
				address := fmt.Sprintf("10.%d.%d.%d", 96+i/62500, i/250%250, 1+i%250)
				s := corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint("web-", i), UID: types.UID(fmt.Sprint(i))}}
				s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: address, ClusterIPs: []string{address}, Ports: []corev1.ServicePort{{Port: 80}}}
				if i%10 == 0 && i < 20_000 {
					s.Spec.Type, s.Spec.Ports[0].NodePort = corev1.ServiceTypeNodePort, int32(30000+i/10)
				}
				inv.Services = append(inv.Services, s)
				inv.IPAddresses = append(inv.IPAddresses, networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: address},
					Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: "shop", Name: s.Name}}})
			}
			b.ReportAllocs()
			for b.Loop() {
				if found := ofServices(audit.Run(inv.Index(), judgedAt)).Findings; len(found) > 0 {
					b.Fatal(found[0])
				}
			}
		})
	}
}

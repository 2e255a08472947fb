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

package diagnosis

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// dualStack gives Service and pods both families.
func (f *Facts) dualStack() {
	f.Service.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
	f.Service.Spec.ClusterIPs = []string{"10.0.0.10", "fd00::10"}
	f.Service.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicyPreferDualStack)
	f.eachPod(func(pod *corev1.Pod) {
		pod.Status.PodIPs = append(pod.Status.PodIPs, corev1.PodIP{IP: "fd01::" + pod.Status.PodIP[len("10.1.0."):]})
	})
}

func TestFamilies(t *testing.T) {
	examined(t, map[string]outcome{
		"IPv6 alone": {state: OK, change: func(f *Facts) {
			f.dualStack()
			f.Service.Spec.IPFamilies, f.Service.Spec.ClusterIPs, f.Service.Spec.ClusterIP = f.Service.Spec.IPFamilies[1:], []string{"fd00::10"}, "fd00::10"
		}},
		"a Service older than families": {state: OK, change: func(f *Facts) { f.Service.Spec.IPFamilies, f.Service.Spec.ClusterIPs = nil, nil }},
		"pods have the other family only": {state: Problem, check: CheckFamilies, want: FamilyMismatch, says: []string{"the Service is IPv6", "web-1, web-2 and web-3"}, change: func(f *Facts) {
			f.Service.Spec.IPFamilies, f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs = []corev1.IPFamily{corev1.IPv6Protocol}, "fd00::10", []string{"fd00::10"}
		}},
		"pods have one of two families": {state: Warning, check: CheckFamilies, want: FamilyMismatch, says: []string{"the Service is IPv4 and IPv6, and none of its endpoints has an IPv6 address", "addresses, or set spec.ipFamilyPolicy to SingleStack."}, change: func(f *Facts) {
			f.dualStack()
			f.eachPod(func(pod *corev1.Pod) { pod.Status.PodIPs = pod.Status.PodIPs[:1] })
		}},
		"one pod has one of two families": {state: Warning, check: CheckFamilies, want: FamilyMismatch, says: []string{"1 of 3 endpoints has no IPv6 address (web-2)"}, change: func(f *Facts) {
			f.dualStack()
			f.Selected[1].Status.PodIPs = f.Selected[1].Status.PodIPs[:1]
		}},
		"a name may lead to one of two families": {state: OK, check: CheckFamilies, details: []string{"the Service is IPv4 and IPv6"}, change: func(f *Facts) {
			f.dualStack()
			f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs = "None", []string{"None"}
			f.eachPod(func(pod *corev1.Pod) { pod.Status.PodIPs = pod.Status.PodIPs[:1] })
		}},
		"the client has the other family only": {state: Problem, check: CheckFamilies, want: FamilyMismatch, says: []string{"pod shop/client has no such address"}, change: func(f *Facts) {
			f.Client = &Client{Pod: clientPod("shop")}
			f.Client.Pod.Status.PodIPs = []corev1.PodIP{{IP: "fd01::9"}}
		}},
		"one pod has not the only family": {state: Warning, check: CheckFamilies, want: FamilyMismatch, says: []string{"the Service is IPv4, and 1 of 3 endpoints has no such address (web-2); give the endpoints IPv4 addresses."}, change: func(f *Facts) {
			f.Selected[1].Status.PodIPs = []corev1.PodIP{{IP: "fd01::2"}}
		}},
		"pods have the second of two families": {state: Warning, check: CheckFamilies, want: FamilyMismatch, says: []string{"has an IPv4 address", "or create the Service anew with"}, change: func(f *Facts) {
			f.dualStack()
			f.eachPod(func(pod *corev1.Pod) { pod.Status.PodIPs = pod.Status.PodIPs[1:] })
		}},
		"a client outside of the other family": {state: Problem, check: CheckFamilies, want: FamilyMismatch, says: []string{"the Service is IPv4, and 2001:db8::7 is no such address; set spec.ipFamilyPolicy"}, change: func(f *Facts) {
			f.Service.Spec.Type, f.Service.Spec.Ports[0].NodePort = corev1.ServiceTypeNodePort, 30080
			f.Client = outside("2001:db8::7")
		}},
		"a load balancer may translate for it": {state: Warning, check: CheckFamilies, want: FamilyMismatch, says: []string{"unless the load balancer translates"}, change: func(f *Facts) {
			f.Service.Spec.Type, f.Service.Spec.Ports[0].NodePort = corev1.ServiceTypeLoadBalancer, 30080
			f.Service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}
			f.Client = outside("2001:db8::7")
		}},
		"pods that have none are told before it": {state: Problem, check: CheckFamilies, want: FamilyMismatch, says: []string{"none of its endpoints has such an address"}, change: func(f *Facts) {
			f.Service.Spec.Type, f.Service.Spec.Ports[0].NodePort = corev1.ServiceTypeNodePort, 30080
			f.eachPod(func(pod *corev1.Pod) { pod.Status.PodIPs = []corev1.PodIP{{IP: "fd01::1"}} })
			f.Client = outside("2001:db8::7")
		}},
		"slices by hand have the other family only": {state: Problem, check: CheckFamilies, want: FamilyMismatch, change: func(f *Facts) {
			f.noSelectorNorPods()
			f.Slices = append(f.Slices, byHand("", "2001:db8::5", "http", 8080))
		}},
		"slices by hand have one of two families": {state: Warning, check: CheckFamilies, want: FamilyMismatch, change: func(f *Facts) {
			f.dualStack()
			f.noSelectorNorPods()
			f.Slices = append(f.Slices, byHand("", "192.0.2.5", "http", 8080))
		}},
	})
}

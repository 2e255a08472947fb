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

package allocation

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/allocator"
)

// headless is the kind of Service that is no type of its own in the API.
const headless = corev1.ServiceType("headless")

var kinds = []corev1.ServiceType{
	corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeExternalName, headless,
}

// types are the rows about Services that change their type.
func types(s *scene) {
	for _, from := range kinds {
		for _, to := range kinds {
			if from == to {
				continue
			}
			It("keeps, releases and allocates as a Service goes from "+string(from)+" to "+string(to), func(ctx SpecContext) {
				web := become(service("web", "", 0), from)
				s.create(ctx, web)
				before := web.DeepCopy()
				err := s.admin.Update(ctx, become(web, to))
				if text, refused := refusedTransitions[[2]corev1.ServiceType{from, to}]; refused {
					refusal(err, text)
					Expect(numbersOf(s.reread(ctx, web))).To(Equal(numbersOf(before)))
					return
				}
				Expect(err).NotTo(HaveOccurred())
				expectKind(web, to)
				s.expectClaims(ctx, append(numbersOf(before), numbersOf(web)...)...)
				if hasAddress(from) && hasAddress(to) {
					Expect(web.Spec.ClusterIPs).To(Equal(before.Spec.ClusterIPs))
				}
				if hasNodePorts(from) && hasNodePorts(to) {
					Expect(nodePortsOf(web)).To(Equal(nodePortsOf(before)))
				}
				s.free(ctx, slices.DeleteFunc(numbersOf(before), func(n allocator.Number) bool { return slices.Contains(numbersOf(web), n) })...)
				s.taken(ctx, numbersOf(web)...)
			})
		}
	}

	It("drops what only a load balancer has", func(ctx SpecContext) {
		lb := become(service("lb", "", 0), corev1.ServiceTypeLoadBalancer)
		lb.Spec.LoadBalancerClass = new("example.org/lb")
		lb.Spec.AllocateLoadBalancerNodePorts = new(true)
		s.create(ctx, lb)
		lb.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}
		Expect(s.admin.Status().Update(ctx, lb)).To(Succeed())
		s.update(ctx, become(lb, corev1.ServiceTypeClusterIP))
		Expect(lb.Spec.LoadBalancerClass).To(BeNil())
		Expect(lb.Spec.AllocateLoadBalancerNodePorts).To(BeNil())
		Expect(lb.Spec.HealthCheckNodePort).To(BeZero())
		Expect(lb.Spec.ExternalTrafficPolicy).To(BeEmpty())
		Expect(lb.Status.LoadBalancer.Ingress).To(BeEmpty())
	})

	It("keeps selector and ports through ExternalName, and allocates anew after it", func(ctx SpecContext) {
		web := local(at(service("web", corev1.ServiceTypeLoadBalancer, 30003), "10.0.0.9", "fd00:10::9"), 30004)
		s.create(ctx, web)
		s.update(ctx, become(web, corev1.ServiceTypeExternalName))
		Expect(web.Spec.Selector).To(HaveKey("app"))
		Expect(web.Spec.Ports).To(HaveLen(1))
		Expect(web.Spec.IPFamilies).To(BeEmpty())
		Expect(web.Spec.IPFamilyPolicy).To(BeNil())
		s.free(ctx, addr("10.0.0.9"), addr("fd00:10::9"), port(30003), port(30004))
		become(web, corev1.ServiceTypeNodePort)
		at(web, "10.0.0.10")
		s.update(ctx, web)
		Expect(web.Spec.ClusterIPs).To(Equal([]string{"10.0.0.10"}), "the only way to another primary address")
		expectGiven(web)
	})

	It("names the holder to a Service that comes from ExternalName", func(ctx SpecContext) {
		first := at(service("first", corev1.ServiceTypeNodePort, 30003), "10.0.0.9")
		web := become(service("web", "", 0), corev1.ServiceTypeExternalName)
		s.create(ctx, first)
		s.create(ctx, web)
		s.observed(first)
		become(web, corev1.ServiceTypeNodePort)
		ours := "\"10.0.0.9\": held by Service team-a/first"
		refusal(s.admin.Update(ctx, at(web.DeepCopy(), "10.0.0.9")), s.answer("provided IP is already allocated", ours, ours))
		web.Spec.Ports[0].NodePort = 30003
		ours = "30003: held by Service team-a/first"
		refusal(s.admin.Update(ctx, web.DeepCopy()), s.answer("provided port is already allocated", ours, ours))
	})
}

// refusedTransitions are those that have to go by ExternalName, and what the
// server says to them, in every mode.
var refusedTransitions = map[[2]corev1.ServiceType]string{
	{corev1.ServiceTypeClusterIP, headless}:    "may not change once set",
	{corev1.ServiceTypeNodePort, headless}:     "may not change once set",
	{corev1.ServiceTypeLoadBalancer, headless}: "may not change once set",
	{headless, corev1.ServiceTypeClusterIP}:    "may not change once set",
	{headless, corev1.ServiceTypeNodePort}:     "may not be set to 'None' for NodePort services",
	{headless, corev1.ServiceTypeLoadBalancer}: "may not be set to 'None' for LoadBalancer services",
}

// become changes what a client changes to make it a Service of this kind.
func become(s *corev1.Service, kind corev1.ServiceType) *corev1.Service {
	wasHeadless := s.Spec.ClusterIP == corev1.ClusterIPNone
	s.Spec.Type, s.Spec.ExternalName = kind, ""
	switch kind {
	case corev1.ServiceTypeLoadBalancer:
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	case corev1.ServiceTypeExternalName:
		s.Spec.ExternalName = "example.org"
	case headless:
		s.Spec.Type = corev1.ServiceTypeClusterIP
		s.Spec.ClusterIP, s.Spec.ClusterIPs = corev1.ClusterIPNone, []string{corev1.ClusterIPNone}
	case corev1.ServiceTypeClusterIP:
		if wasHeadless {
			s.Spec.ClusterIP, s.Spec.ClusterIPs = "10.0.0.9", []string{"10.0.0.9"}
		}
	}
	return s
}

func hasAddress(kind corev1.ServiceType) bool {
	return kind != corev1.ServiceTypeExternalName && kind != headless
}

func hasNodePorts(kind corev1.ServiceType) bool {
	return kind == corev1.ServiceTypeNodePort || kind == corev1.ServiceTypeLoadBalancer
}

// expectKind checks that a Service has the numbers of its kind and no others.
func expectKind(s *corev1.Service, kind corev1.ServiceType) {
	GinkgoHelper()
	switch {
	case hasAddress(kind):
		expectGiven(s)
	case kind == headless:
		Expect(s.Spec.ClusterIPs).To(Equal([]string{corev1.ClusterIPNone}))
	default:
		Expect(s.Spec.ClusterIPs).To(BeEmpty())
	}
	if !hasNodePorts(kind) {
		Expect(nodePortsOf(s)).To(HaveEach(BeZero()))
	}
	if kind == corev1.ServiceTypeLoadBalancer {
		Expect(s.Spec.HealthCheckNodePort).To(And(BeNumerically(">=", 30000), BeNumerically("<=", 30019)))
	} else {
		Expect(s.Spec.HealthCheckNodePort).To(BeZero())
	}
}

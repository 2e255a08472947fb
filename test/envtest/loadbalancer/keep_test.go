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

package loadbalancer

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
)

var _ = Describe("What a Service has", func() {
	It("stays while a pool that selects it has the address, and is replaced after (L3)", func(ctx SpecContext) {
		s := newScene(ctx)
		pool := s.pool("one", s.range4(1, 9))
		s.service("a", asking(s.v4(5)))
		s.service("b")
		Eventually(s.state("a")).Should(Equal(s.v4(5)))
		Eventually(s.state("b")).Should(Equal(s.v4(1)))
		s.update("a", asking(""))
		By("adding a pool of a higher priority, with the same addresses and with lower ones")
		s.pool("better", s.range4(0, 9), priority(9))
		Consistently(s.state("a")).Should(Equal(s.v4(5)))
		Expect(s.state("b")()).To(Equal(s.v4(1)))
		By("cutting the pools down")
		s.updatePool(&v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: s.namespace + "-better"}}, func(p *v1alpha1.AddressPoolSpec) {
			p.Addresses = []v1alpha1.AddressRange{v1alpha1.AddressRange(s.v4(0)), v1alpha1.AddressRange(s.v4(1))}
		})
		s.updatePool(pool, func(p *v1alpha1.AddressPoolSpec) {
			p.Addresses = []v1alpha1.AddressRange{v1alpha1.AddressRange(s.range4(1, 4))}
		})
		Eventually(s.state("a")).Should(Equal(s.v4(0)))
		Expect(s.state("b")()).To(Equal(s.v4(1)))
		Eventually(s.events("a")).Should(ContainElements("Warning AddressNotInPool", "Normal AddressAssigned"))
		Eventually(s.holders(s.v4(5))).Should(Equal("none"))
	})

	It("follows labels of the Service and of its namespace", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("green", s.range4(1, 9), func(p *v1alpha1.AddressPoolSpec) {
			p.NamespaceSelector.MatchLabels["tier"] = "green"
		})
		s.pool("web", s.range4(11, 19), func(p *v1alpha1.AddressPoolSpec) {
			p.ServiceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
		})
		s.service("a")
		Eventually(s.state("a")).Should(Equal("NoPool"))
		change(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}, func(n *corev1.Namespace) { n.Labels["tier"] = "green" })
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		change(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}, func(n *corev1.Namespace) { n.Labels["tier"] = "red" })
		Eventually(s.state("a")).Should(Equal("NoPool"))
		s.update("a", func(service *corev1.Service) { service.Labels = map[string]string{"app": "web"} })
		Eventually(s.state("a")).Should(Equal(s.v4(11)))
	})

	It("stays while its pool is drained, which gives nothing new", func(ctx SpecContext) {
		s := newScene(ctx)
		pool := s.pool("one", s.range4(1, 9))
		s.service("a")
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		By("giving addresses only by value")
		s.updatePool(pool, func(p *v1alpha1.AddressPoolSpec) { p.AutoAssign = new(false) })
		s.service("b")
		s.service("c", asking(s.v4(5)))
		Eventually(s.state("b")).Should(Equal("PoolsNotAutomatic"))
		Eventually(s.state("c")).Should(Equal(s.v4(5)))
		By("giving none at all")
		s.updatePool(pool, func(p *v1alpha1.AddressPoolSpec) { p.AutoAssign, p.Disabled = new(true), true })
		s.service("d", asking(s.v4(6)))
		Eventually(s.state("d")).Should(Equal("PoolDisabled"))
		Eventually(s.state("b")).Should(Equal("PoolDisabled"))
		Expect(s.state("a")()).To(Equal(s.v4(1)))
		Expect(s.state("c")()).To(Equal(s.v4(5)))
		s.updatePool(pool, func(p *v1alpha1.AddressPoolSpec) { p.Disabled = false })
		Eventually(s.state("b")).Should(Equal(s.v4(2)))
		Eventually(s.state("d")).Should(Equal(s.v4(6)))
	})

	It("stays when its pool is deleted and made again at once, and goes when it does not come back", func(ctx SpecContext) {
		s := newScene(ctx)
		pool := s.pool("one", s.range4(1, 9))
		s.service("a", asking(s.v4(9)))
		s.service("b")
		Eventually(s.state("a")).Should(Equal(s.v4(9)))
		Eventually(s.state("b")).Should(Equal(s.v4(1)))
		s.update("a", asking(""))
		changes := past.moved()
		Expect(admin.Delete(ctx, pool)).To(Succeed())
		again := s.pool("one", s.range4(1, 9))
		s.service("c")
		Eventually(s.state("c")).Should(Equal(s.v4(2)))
		Consistently(s.state("a"), 2*poolGrace).Should(Equal(s.v4(9)))
		Expect(s.state("b")()).To(Equal(s.v4(1)))
		Expect(past.moved()-changes).To(Equal(1), "one address was given, and nothing else moved")
		Expect(admin.Delete(ctx, again)).To(Succeed())
		for _, name := range []string{"a", "b", "c"} {
			Eventually(s.state(name)).Should(Equal("NoPool"))
		}
		Eventually(s.holders(s.v4(9))).Should(Equal("none"))
	})

	It("is given to who waits when it goes, the oldest first (L5)", func(ctx SpecContext) {
		s := newScene(ctx)
		pool := s.pool("one", s.range4(1, 2))
		for _, name := range []string{"a", "b"} {
			s.service(name)
			Eventually(s.state(name)).ShouldNot(Equal("none"))
		}
		for _, name := range []string{"c", "d", "e"} {
			s.service(name)
			Eventually(s.state(name)).Should(Equal("PoolExhausted"))
		}
		s.remove("b")
		Eventually(s.state("c")).Should(Equal(s.v4(2)))
		By("changing the type of the other (L7)")
		s.update("a", func(service *corev1.Service) {
			service.Spec.Type, service.Spec.LoadBalancerClass, service.Spec.AllocateLoadBalancerNodePorts = corev1.ServiceTypeClusterIP, nil, nil
		})
		Eventually(s.state("d")).Should(Equal(s.v4(1)))
		Expect(s.state("a")()).To(Equal("none"))
		s.updatePool(pool, func(p *v1alpha1.AddressPoolSpec) {
			p.Addresses = []v1alpha1.AddressRange{v1alpha1.AddressRange(s.range4(1, 3))}
		})
		Eventually(s.state("e")).Should(Equal(s.v4(3)))
	})

	It("stays while a finalizer holds the Service", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.v4(1))
		s.service("a", func(service *corev1.Service) { service.Finalizers = []string{"example.org/cleanup"} })
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		s.remove("a")
		s.service("b")
		Eventually(s.state("b")).Should(Equal("PoolExhausted"))
		Expect(s.state("a")()).To(Equal(s.v4(1)))
		s.update("a", func(service *corev1.Service) { service.Finalizers = nil })
		Eventually(s.state("b")).Should(Equal(s.v4(1)))
	})

	It("is another's to keep if the Service is made again while the first is still written", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 2))
		for range 20 {
			s.service("a")
			s.remove("a")
		}
		s.service("a")
		Eventually(s.state("a")).Should(BeElementOf(s.v4(1), s.v4(2)))
		Eventually(func() string { return s.holders(s.v4(1))() + s.holders(s.v4(2))() }).Should(BeElementOf("anone", "nonea"))
		Expect(string(s.uidOf("a"))).NotTo(BeEmpty())
	})
})

var _ = Describe("A Service that is not ours", func() {
	It("is never written, whatever it is like", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 9))
		others := map[string][]edit{
			"classless": {func(service *corev1.Service) { service.Spec.LoadBalancerClass = nil }},
			"foreign":   {func(service *corev1.Service) { service.Spec.LoadBalancerClass = new("example.org/cloud") }},
			"local": {func(service *corev1.Service) {
				service.Spec.LoadBalancerClass = new("example.org/cloud")
				service.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
				service.Spec.AllocateLoadBalancerNodePorts = nil
				service.Finalizers = []string{"service.kubernetes.io/load-balancer-cleanup"}
			}},
			"plain": {func(service *corev1.Service) {
				service.Spec.Type, service.Spec.LoadBalancerClass, service.Spec.AllocateLoadBalancerNodePorts = corev1.ServiceTypeClusterIP, nil, nil
			}},
		}
		versions := map[string]string{}
		for name, edits := range others {
			object := s.service(name, edits...)
			if name != "plain" {
				object.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: s.v4(1), Ports: []corev1.PortStatus{{Port: 80, Protocol: corev1.ProtocolTCP}}}}
				if name != "classless" {
					object.Status.LoadBalancer.Ingress[0].IP = "203.0.113.77"
				}
				Expect(admin.Status().Update(ctx, object)).To(Succeed())
			}
			versions[name] = object.ResourceVersion
		}
		s.service("ours")
		Eventually(s.state("ours")).Should(Equal(s.v4(2)), "the lowest is another controller's")
		Consistently(func(g Gomega) {
			for name, version := range versions {
				g.Expect(s.get(name).ResourceVersion).To(Equal(version), name)
			}
		}).Should(Succeed())
		local := s.get("local")
		Expect(local.Spec.HealthCheckNodePort).NotTo(BeZero())
		Expect(local.Finalizers).To(ConsistOf("service.kubernetes.io/load-balancer-cleanup"))
		s.update("local", func(service *corev1.Service) { service.Finalizers = nil })
	})

	It("is left as others have it when it was ours before (L7)", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 9))
		s.service("a")
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		By("another condition")
		before := s.get("a")
		after := before.DeepCopy()
		after.Status.Conditions = append(after.Status.Conditions, metav1.Condition{
			Type: "example.org/Ready", Status: metav1.ConditionTrue, Reason: "Fine", LastTransitionTime: metav1.Now(),
		})
		Expect(admin.Status().Patch(ctx, after, client.MergeFrom(before))).To(Succeed())
		s.update("a", func(service *corev1.Service) {
			service.Spec.Type, service.Spec.LoadBalancerClass, service.Spec.AllocateLoadBalancerNodePorts = corev1.ServiceTypeNodePort, nil, nil
		})
		Eventually(s.state("a")).Should(Equal("none"))
		Expect(s.get("a").Status.Conditions).To(HaveLen(1))
		Eventually(s.holders(s.v4(1))).Should(Equal("none"))
		Eventually(s.events("a")).Should(ContainElement("Normal AddressReleased"))
	})

	It("has nothing of ours once it is of another class (L7)", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 9))
		s.service("a")
		Eventually(s.state("a")).Should(Equal(s.v4(1)))
		s.update("a", func(service *corev1.Service) {
			service.Spec.Type, service.Spec.LoadBalancerClass, service.Spec.AllocateLoadBalancerNodePorts = corev1.ServiceTypeClusterIP, nil, nil
		})
		s.update("a", func(service *corev1.Service) {
			service.Spec.Type, service.Spec.LoadBalancerClass = corev1.ServiceTypeLoadBalancer, new("example.org/cloud")
		})
		Eventually(s.state("a")).Should(Equal("none"))
		Eventually(s.holders(s.v4(1))).Should(Equal("none"))
		version := s.get("a").ResourceVersion
		s.service("b")
		Eventually(s.state("b")).Should(Equal(s.v4(1)))
		Expect(s.get("a").ResourceVersion).To(Equal(version))
	})

	It("keeps its NodePorts and its health check when it is ours", func(ctx SpecContext) {
		s := newScene(ctx)
		s.pool("one", s.range4(1, 9))
		s.service("local", func(service *corev1.Service) {
			service.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
			service.Spec.AllocateLoadBalancerNodePorts = nil
		})
		s.service("without")
		before := []corev1.ServiceSpec{s.get("local").Spec, s.get("without").Spec}
		Eventually(s.state("local")).ShouldNot(Equal("none"))
		Eventually(s.state("without")).ShouldNot(Equal("none"))
		Expect([]corev1.ServiceSpec{s.get("local").Spec, s.get("without").Spec}).To(Equal(before))
		Expect(before[0].HealthCheckNodePort).NotTo(BeZero())
		Expect(before[1].Ports[0].NodePort).To(BeZero())
	})
})

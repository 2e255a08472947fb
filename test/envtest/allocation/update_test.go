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
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// updates are the behaviours of a Service that changes.
func updates() {
	It("keeps the numbers of an update that leaves them out", func(ctx SpecContext) {
		web := service("web", corev1.ServiceTypeNodePort, 0, 0)
		Expect(admin.Create(ctx, web)).To(Succeed())
		again := service("web", corev1.ServiceTypeNodePort, 0, 0, 0) // one port more
		again.ResourceVersion = web.ResourceVersion
		Expect(admin.Update(ctx, again)).To(Succeed())
		Expect(nodePortsOf(again)[:2]).To(Equal(nodePortsOf(web)))
		Expect(again.Spec.ClusterIPs).To(Equal(web.Spec.ClusterIPs))
		Expect(nodePortsOf(web)).NotTo(ContainElement(again.Spec.Ports[2].NodePort))
		expectGiven(again)
	})

	It("denies an update to a port that another Service holds", func(ctx SpecContext) {
		Expect(admin.Create(ctx, service("first", corev1.ServiceTypeNodePort, 30003))).To(Succeed())
		second := service("second", corev1.ServiceTypeNodePort, 30004)
		Expect(admin.Create(ctx, second)).To(Succeed())
		second.Spec.Ports[0].NodePort = 30003
		denial(func() error { return admin.Update(ctx, second.DeepCopy()) }, "30003: held by Service team-a/first")
		second.Spec.Ports[0].NodePort = 30004
		second.Labels = map[string]string{"changed": "yes"}
		Expect(admin.Update(ctx, second)).To(Succeed(), "its own port is no collision")
	})

	It("follows a Service through its types", func(ctx SpecContext) {
		web := service("web", corev1.ServiceTypeClusterIP, 0)
		Expect(admin.Create(ctx, web)).To(Succeed())
		ip := web.Spec.ClusterIP

		web.Spec.Type = corev1.ServiceTypeNodePort
		Expect(admin.Update(ctx, web)).To(Succeed())
		expectGiven(web)
		Expect(web.Spec.ClusterIP).To(Equal(ip))
		port := web.Spec.Ports[0].NodePort

		web.Spec.Type, web.Spec.ExternalTrafficPolicy = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal
		Expect(admin.Update(ctx, web)).To(Succeed())
		expectGiven(web)
		Expect(web.Spec.Ports[0].NodePort).To(Equal(port))
		Expect(web.Spec.HealthCheckNodePort).To(And(BeNumerically(">=", 30000), BeNumerically("<=", 30019), Not(Equal(port))))

		web.Spec.Type = corev1.ServiceTypeClusterIP
		Expect(admin.Update(ctx, web)).To(Succeed())
		Expect(web.Spec.ClusterIP).To(Equal(ip))
		Expect(nodePortsOf(web)).To(Equal([]int32{0}))
		Expect(web.Spec.HealthCheckNodePort).To(BeZero())

		web.Spec.Type, web.Spec.ExternalName = corev1.ServiceTypeExternalName, "example.org"
		Expect(admin.Update(ctx, web)).To(Succeed())
		Expect(web.Spec.ClusterIPs).To(BeEmpty())

		web.Spec.Type, web.Spec.ExternalName = corev1.ServiceTypeNodePort, ""
		Expect(admin.Update(ctx, web)).To(Succeed())
		expectGiven(web)
	})

	It("gives a health check port of the same range", func(ctx SpecContext) {
		lb := service("lb", corev1.ServiceTypeLoadBalancer, 30003)
		lb.Spec.ExternalTrafficPolicy, lb.Spec.HealthCheckNodePort = corev1.ServiceExternalTrafficPolicyLocal, 30004
		Expect(admin.Create(ctx, lb)).To(Succeed())
		denial(func() error { return admin.Create(ctx, service("web", corev1.ServiceTypeNodePort, 30004)) },
			"30004: held by Service team-a/lb")
	})

	It("gives no NodePorts to a load balancer that wants none", func(ctx SpecContext) {
		lb := service("lb", corev1.ServiceTypeLoadBalancer, 0, 30003)
		lb.Spec.AllocateLoadBalancerNodePorts = new(false)
		Expect(admin.Create(ctx, lb)).To(Succeed())
		Expect(nodePortsOf(lb)).To(Equal([]int32{0, 30003}))
	})

	It("gives no ClusterIP to headless and ExternalName Services", func(ctx SpecContext) {
		headless := service("headless", corev1.ServiceTypeClusterIP, 0)
		headless.Spec.ClusterIP = corev1.ClusterIPNone
		Expect(admin.Create(ctx, headless)).To(Succeed())
		Expect(headless.Spec.ClusterIPs).To(Equal([]string{corev1.ClusterIPNone}))
		external := service("external", corev1.ServiceTypeExternalName, 0)
		external.Spec.ExternalName = "example.org"
		Expect(admin.Create(ctx, external)).To(Succeed())
		Expect(external.Spec.ClusterIPs).To(BeEmpty())
	})

	DescribeTable("gives addresses of the families asked for", func(ctx SpecContext, policy corev1.IPFamilyPolicy, asked, want []corev1.IPFamily) {
		web := service("web", corev1.ServiceTypeClusterIP, 0)
		web.Spec.IPFamilyPolicy, web.Spec.IPFamilies = &policy, asked
		Expect(admin.Create(ctx, web)).To(Succeed())
		expectGiven(web)
		Expect(web.Spec.IPFamilies).To(Equal(want))
		Expect(web.Spec.ClusterIPs).To(HaveLen(len(want)))
	},
		Entry("the default", corev1.IPFamilyPolicySingleStack, nil, []corev1.IPFamily{corev1.IPv4Protocol}),
		Entry("IPv6 only", corev1.IPFamilyPolicySingleStack, []corev1.IPFamily{corev1.IPv6Protocol}, []corev1.IPFamily{corev1.IPv6Protocol}),
		Entry("both if there are both", corev1.IPFamilyPolicyPreferDualStack, nil, []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}),
		Entry("both, IPv6 first", corev1.IPFamilyPolicyRequireDualStack, []corev1.IPFamily{corev1.IPv6Protocol}, []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}),
	)

	It("upgrades to two families and back, keeping the primary address", func(ctx SpecContext) {
		web := service("web", corev1.ServiceTypeNodePort, 0)
		Expect(admin.Create(ctx, web)).To(Succeed())
		primary, port := web.Spec.ClusterIP, web.Spec.Ports[0].NodePort
		for i, policy := range []corev1.IPFamilyPolicy{corev1.IPFamilyPolicyRequireDualStack, corev1.IPFamilyPolicySingleStack} {
			before := web.DeepCopy()
			web.Spec.IPFamilyPolicy = &policy
			Expect(admin.Patch(ctx, web, client.MergeFrom(before))).To(Succeed())
			Expect(web.Spec.ClusterIPs).To(HaveLen(2 - i))
			expectGiven(web)
			Expect(web.Spec.ClusterIP).To(Equal(primary))
			Expect(web.Spec.Ports[0].NodePort).To(Equal(port))
		}
	})
}

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
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	v4 = corev1.IPv4Protocol
	v6 = corev1.IPv6Protocol

	singleStackPolicy = corev1.IPFamilyPolicySingleStack
	preferDualStack   = corev1.IPFamilyPolicyPreferDualStack
	requireDualStack  = corev1.IPFamilyPolicyRequireDualStack
)

// families are the rows about Services with addresses of one or two families.
func families(s *scene) {
	DescribeTable("gives addresses of the families asked for",
		func(ctx SpecContext, policy corev1.IPFamilyPolicy, asked []corev1.IPFamily, ips []string, wantPolicy corev1.IPFamilyPolicy, want []corev1.IPFamily) {
			web := service("web", corev1.ServiceTypeClusterIP, 0)
			if ips != nil {
				at(web, ips...)
			}
			web.Spec.IPFamilies, web.Spec.IPFamilyPolicy = asked, nil
			if policy != "" {
				web.Spec.IPFamilyPolicy = &policy
			}
			s.create(ctx, web)
			expectGiven(web)
			Expect(*web.Spec.IPFamilyPolicy).To(Equal(wantPolicy))
			Expect(web.Spec.IPFamilies).To(Equal(want))
			Expect(web.Spec.ClusterIPs).To(HaveLen(len(want)))
			for i, ip := range ips {
				Expect(web.Spec.ClusterIPs[i]).To(Equal(ip))
			}
			s.expectClaims(ctx, numbersOf(web)...)
		},
		Entry("the default family for nothing", corev1.IPFamilyPolicy(""), nil, nil, singleStackPolicy, []corev1.IPFamily{v4}),
		Entry("the family of the address", corev1.IPFamilyPolicy(""), nil, []string{"fd00:10::9"}, singleStackPolicy, []corev1.IPFamily{v6}),
		Entry("IPv6 only", singleStackPolicy, []corev1.IPFamily{v6}, nil, singleStackPolicy, []corev1.IPFamily{v6}),
		Entry("both where there are both", preferDualStack, nil, nil, preferDualStack, []corev1.IPFamily{v4, v6}),
		Entry("both, IPv6 first", requireDualStack, []corev1.IPFamily{v6}, nil, requireDualStack, []corev1.IPFamily{v6, v4}),
		Entry("both, the first address given", preferDualStack, nil, []string{"10.0.0.9"}, preferDualStack, []corev1.IPFamily{v4, v6}),
		Entry("both addresses given", requireDualStack, nil, []string{"fd00:10::9", "10.0.0.9"}, requireDualStack, []corev1.IPFamily{v6, v4}),
	)

	It("gives a second address to a Service that is upgraded, and takes back only that", func(ctx SpecContext) {
		web := at(service("web", corev1.ServiceTypeNodePort, 30003), "10.0.0.9")
		s.create(ctx, web)
		pastItsFirstSecond(web)
		s.patch(ctx, web, func() { web.Spec.IPFamilyPolicy = new(requireDualStack) })
		expectGiven(web)
		Expect(web.Spec.ClusterIPs).To(HaveLen(2))
		Expect(web.Spec.ClusterIP).To(Equal("10.0.0.9"))
		Expect(web.Spec.IPFamilies).To(Equal([]corev1.IPFamily{v4, v6}))
		second := web.Spec.ClusterIPs[1]
		s.expectClaims(ctx, numbersOf(web)...)
		s.taken(ctx, addr(second))

		narrowed := web.DeepCopy()
		narrowed.Spec.ClusterIPs = narrowed.Spec.ClusterIPs[:1]
		refusal(s.admin.Update(ctx, narrowed), "must be 'SingleStack' to release the secondary cluster IP")
		s.taken(ctx, addr(second))

		s.patch(ctx, web, func() { web.Spec.IPFamilyPolicy = new(singleStackPolicy) })
		Expect(web.Spec.ClusterIPs).To(Equal([]string{"10.0.0.9"}))
		Expect(nodePortsOf(web)).To(Equal([]int32{30003}))
		s.free(ctx, addr(second))
	})

	It("upgrades to the second address asked for, unless another Service holds it", func(ctx SpecContext) {
		first, web := at(service("first", corev1.ServiceTypeClusterIP, 0), "fd00:10::9"), at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.0.9")
		s.create(ctx, first)
		s.create(ctx, web)
		s.observed(first)
		pastItsFirstSecond(web)
		web.Spec.IPFamilyPolicy, web.Spec.ClusterIPs = new(preferDualStack), []string{"10.0.0.9", "fd00:10::9"}
		ours := "spec.clusterIPs[1]: Invalid value: \"fd00:10::9\": held by Service team-a/first"
		refusal(s.admin.Update(ctx, web.DeepCopy()), s.answer("failed to allocate IP fd00:10::9: provided IP is already allocated", ours, ours))
		web.Spec.ClusterIPs[1] = "fd00:10::a"
		s.update(ctx, web)
		Expect(web.Spec.ClusterIPs).To(Equal([]string{"10.0.0.9", "fd00:10::a"}))
	})

	It("inherits the policy in an update that names none", func(ctx SpecContext) {
		web := at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.0.9", "fd00:10::9")
		s.create(ctx, web)
		again := service("web", corev1.ServiceTypeClusterIP, 0)
		s.update(ctx, again)
		Expect(again.Spec.ClusterIPs).To(Equal([]string{"10.0.0.9", "fd00:10::9"}))
		Expect(*again.Spec.IPFamilyPolicy).To(Equal(requireDualStack))
	})

	It("never changes the order of the families", func(ctx SpecContext) {
		web := at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.0.9", "fd00:10::9")
		s.create(ctx, web)
		web.Spec.IPFamilies = []corev1.IPFamily{v6, v4}
		Expect(s.admin.Update(ctx, web.DeepCopy())).NotTo(Succeed())
		web.Spec.ClusterIP, web.Spec.ClusterIPs = "fd00:10::9", []string{"fd00:10::9", "10.0.0.9"}
		Expect(s.admin.Update(ctx, web.DeepCopy())).NotTo(Succeed())
		Expect(s.reread(ctx, web).Spec.ClusterIPs).To(Equal([]string{"10.0.0.9", "fd00:10::9"}))
	})

	It("gives no ClusterIP to headless and ExternalName Services", func(ctx SpecContext) {
		plain := become(service("plain", "", 0), headless)
		s.create(ctx, plain)
		Expect(plain.Spec.ClusterIPs).To(Equal([]string{corev1.ClusterIPNone}))
		Expect(plain.Spec.IPFamilies).To(Equal([]corev1.IPFamily{v4}))
		selectorless := become(service("selectorless", "", 0), headless)
		selectorless.Spec.Selector = nil
		s.create(ctx, selectorless)
		Expect(*selectorless.Spec.IPFamilyPolicy).To(Equal(requireDualStack))
		Expect(selectorless.Spec.IPFamilies).To(Equal([]corev1.IPFamily{v4, v6}))
		external := become(service("external", "", 0), corev1.ServiceTypeExternalName)
		s.create(ctx, external)
		Expect(external.Spec.ClusterIPs).To(BeEmpty())
		Expect(s.addressObjects(ctx)).To(Equal([]string{"10.0.0.1"}))
	})
}

// pastItsFirstSecond waits until the server's repair no longer takes an address
// that an upgrade adds for one that is not of this Service (U7).
func pastItsFirstSecond(service *corev1.Service) {
	GinkgoHelper()
	Eventually(func() bool { return time.Since(service.CreationTimestamp.Time) > time.Second }).Should(BeTrue())
}

// patch writes the difference that a change makes, as kubectl edit does.
func (s *scene) patch(ctx SpecContext, service *corev1.Service, change func()) {
	GinkgoHelper()
	before := service.DeepCopy()
	change()
	Expect(s.admin.Patch(ctx, service, client.MergeFrom(before))).To(Succeed())
}

// singleStack are the rows about a cluster with one family.
func singleStack(s *scene) {
	It("gives one family where the cluster has one", func(ctx SpecContext) {
		prefer := service("prefer", corev1.ServiceTypeClusterIP, 0)
		prefer.Spec.IPFamilyPolicy = new(preferDualStack)
		s.create(ctx, prefer)
		Expect(prefer.Spec.ClusterIPs).To(HaveLen(1))
		Expect(prefer.Spec.IPFamilies).To(Equal([]corev1.IPFamily{v4}))
		require := service("require", corev1.ServiceTypeClusterIP, 0)
		require.Spec.IPFamilyPolicy = new(requireDualStack)
		refusal(s.admin.Create(ctx, require), "this cluster is not configured for dual-stack services")
		six := service("six", corev1.ServiceTypeClusterIP, 0)
		six.Spec.IPFamilies = []corev1.IPFamily{v6}
		refusal(s.admin.Create(ctx, six), "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster")
	})

	It("lists both families of a headless Service without selector, even so", func(ctx SpecContext) {
		selectorless := become(service("selectorless", "", 0), headless)
		selectorless.Spec.Selector = nil
		s.create(ctx, selectorless)
		Expect(*selectorless.Spec.IPFamilyPolicy).To(Equal(requireDualStack))
		Expect(selectorless.Spec.IPFamilies).To(Equal([]corev1.IPFamily{v4, v6}))
	})
}

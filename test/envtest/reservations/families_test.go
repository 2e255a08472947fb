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

package reservations

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/test/testenv/numbers"
)

// An API server with two families, in place of that of the suite.
var _ = Describe("In a cluster with IPv4 and IPv6", Ordered, func() {
	BeforeAll(func(ctx SpecContext) {
		before, beforeAdmin := server, admin
		DeferCleanup(func() { server, admin = before, beforeAdmin })
		server = numbers.StartServer(ctx, "10.0.0.0/26,fd00:10::/112", "30000-30255", map[string]map[string]string{"team-a": nil, "team-b": nil})
		admin = server.Admin
	})
	BeforeEach(func() { DeferCleanup(clean) })

	serve := func(ctx context.Context) {
		GinkgoHelper()
		server.StartManager(numbers.Manager{Webhook: server.InstallWebhook(ctx), Mode: allocator.Advisory})
		Eventually(server.CallsWebhook).WithArguments(ctx).Should(BeTrue(), "the webhook is not called")
	}
	dual := func() *corev1.Service {
		s := service("web", 0, 0)
		s.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicyRequireDualStack)
		s.Annotations = map[string]string{v1alpha1.RetainAnnotation: "24h"}
		return s
	}
	created := func(ctx context.Context, s *corev1.Service) []allocator.Number {
		GinkgoHelper()
		Expect(admin.Create(ctx, s)).To(Succeed())
		var all []allocator.Number
		for _, holding := range allocator.HoldingsOf(s) {
			all = append(all, holding.Number)
		}
		return all
	}

	It("a dual-stack Service that is created again has all its numbers", func(ctx SpecContext) {
		serve(ctx)
		first := created(ctx, dual())
		Expect(first).To(HaveLen(4), "a ClusterIP of each family and two NodePorts")
		for range 2 {
			for _, number := range first {
				becomes(ctx, number, v1alpha1.ReservationBound, "Bound")
			}
			Expect(admin.Delete(ctx, dual())).To(Succeed())
			for _, number := range first {
				becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
			}
			refused(ctx, first...)
			Expect(created(ctx, dual())).To(ConsistOf(first))
		}
	})

	It("the family that its Service asks for is handed over, and the other kept", func(ctx SpecContext) {
		serve(ctx)
		v4, v6 := addr("10.0.0.7"), addr("fd00:10::7")
		for _, number := range []allocator.Number{v4, v6} {
			reserve(ctx, number, "web", "Retain")
			becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		}
		single := service("web", 0)
		single.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol}
		Expect(created(ctx, single)).To(Equal([]allocator.Number{v6}))
		becomes(ctx, v6, v1alpha1.ReservationBound, "Bound")
		becomes(ctx, v4, v1alpha1.ReservationReserved, "Placeholder")
		refused(ctx, v4)

		By("it takes the second family")
		single.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicyRequireDualStack)
		single.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}
		Expect(admin.Update(ctx, single)).To(Succeed())
		Expect(single.Spec.ClusterIPs).To(Equal([]string{"fd00:10::7", "10.0.0.7"}))
		becomes(ctx, v4, v1alpha1.ReservationBound, "Bound")
	})

	It("both families are held without the webhook", func(ctx SpecContext) {
		startManager(&clock{})
		both := []allocator.Number{addr("10.0.0.7"), addr("fd00:10::7")}
		for _, number := range both {
			reserve(ctx, number, "web", "Retain")
			becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		}
		refused(ctx, both...)
		for _, number := range both {
			object, _, err := reservation(ctx, number)
			Expect(err).NotTo(HaveOccurred())
			Expect(admin.Delete(ctx, object)).To(Succeed())
		}
		given(ctx, both...)
	})

	It("pools give each family from their own addresses", func(ctx SpecContext) {
		serve(ctx)
		Expect(admin.Create(ctx, &v1alpha1.AddressPool{
			ObjectMeta: metav1.ObjectMeta{Name: "team-a"},
			Spec: v1alpha1.AddressPoolSpec{
				Use: v1alpha1.UseClusterIP, Addresses: []v1alpha1.AddressRange{"10.0.0.32/30", "fd00:10::100/126"},
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "team-a"}},
			},
		})).To(Succeed())
		var pool v1alpha1.AddressPool
		counts := func() (v1alpha1.AddressPoolStatus, error) {
			err := admin.Get(ctx, client.ObjectKey{Name: "team-a"}, &pool)
			return pool.Status, err
		}
		Eventually(counts).Should(And(
			HaveField("IPv4", v1alpha1.AddressCount{Capacity: 4, Free: 4}), HaveField("IPv6", v1alpha1.AddressCount{Capacity: 4, Free: 4})))

		ofThePool := Or(HaveField("String()", MatchRegexp(`^10\.0\.0\.3[2-5]$`)), HaveField("String()", MatchRegexp("^fd00:10::10[0-3]$")))
		Expect(created(ctx, dual())[:2]).To(HaveEach(ofThePool))
		others := dual()
		others.Namespace, others.Annotations = "team-b", nil
		Expect(created(ctx, others)[:2]).NotTo(ContainElement(ofThePool))
		Eventually(counts).Should(And(
			HaveField("IPv4", v1alpha1.AddressCount{Capacity: 4, Allocated: 1, Free: 3}), HaveField("IPv6", v1alpha1.AddressCount{Capacity: 4, Allocated: 1, Free: 3})))

		By("the pool of one family is used up")
		for _, name := range []string{"six-1", "six-2", "six-3"} {
			s := service(name, 0)
			s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol}
			created(ctx, s)
		}
		six := service("six-4", 0)
		six.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol}
		Expect(admin.Create(ctx, six)).To(MatchError(ContainSubstring("pool team-a (10.0.0.32-10.0.0.35, fd00:10::100-fd00:10::103)")))
		created(ctx, service("four", 0))
	})

	It("what is held goes when allocation is turned off", func(ctx SpecContext) {
		stop := server.StartManager(numbers.Manager{}).Stop
		all := []allocator.Number{addr("10.0.0.7"), addr("fd00:10::7"), port(30080)}
		for _, number := range all {
			reserve(ctx, number, "web", "Retain")
			becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		}
		stop()
		Expect(held(ctx)).To(HaveLen(3))
		Expect((&controllers.PlaceholderCleanup{Config: server.Config, Namespace: systemNamespace}).Start(ctx)).To(Succeed())
		Expect(held(ctx)).To(BeEmpty())
		given(ctx, all...)
	})
})

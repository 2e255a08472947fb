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

package pools

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

var _ = Describe("Pools", func() {
	inEachMode(func(s *scene) {
		It("gives a namespace the numbers of its pools, and others what is in none", func(ctx SpecContext) {
			s.portPool(ctx, "red-ports", v1alpha1.PortPoolSpec{
				Ranges: []v1alpha1.PortRange{"30010-30012", "30020"}, Reserved: []v1alpha1.PortRange{"30012"}, NamespaceSelector: selecting("red"),
			})
			s.portPool(ctx, "blue-ports", v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30000-30009"}, NamespaceSelector: selecting("blue")})
			s.addressPool(ctx, "red-addresses", v1alpha1.AddressPoolSpec{
				Use: v1alpha1.UseClusterIP, Addresses: []v1alpha1.AddressRange{"10.0.0.64/29"}, NamespaceSelector: selecting("red"),
			})
			var given []int32
			for i := range 3 {
				red := nodePort("red", fmt.Sprint("auto-", i), 0)
				Expect(admin.Create(ctx, red)).To(Succeed())
				given = append(given, red.Spec.Ports[0].NodePort)
				Expect(addr(red.Spec.ClusterIP).Compare(addr("10.0.0.64"))).To(BeNumerically(">=", 0))
				Expect(addr(red.Spec.ClusterIP).Compare(addr("10.0.0.71"))).To(BeNumerically("<=", 0))
			}
			Expect(given).To(ConsistOf(int32(30010), int32(30011), int32(30020)))

			By("saying which pool is full, while the server has other ports")
			Expect(message(admin.Create(ctx, nodePort("red", "one-more", 0)))).To(ContainSubstring(
				"spec.ports[0].nodePort: Forbidden: no number is free in pool red-ports (30010-30012, 30020-30020)"))
			Expect(admin.Create(ctx, nodePort("red", "by-number", 30012))).To(Succeed())

			By("giving others the eighteen ports that are in no pool")
			for i := range 18 {
				other := nodePort("others", fmt.Sprint("auto-", i), 0)
				Expect(admin.Create(ctx, other)).To(Succeed())
				port := other.Spec.Ports[0].NodePort
				Expect(port).To(Or(BeNumerically(">=", 30021), And(BeNumerically(">=", 30013), BeNumerically("<=", 30019))))
			}
			Expect(message(admin.Create(ctx, nodePort("others", "one-more", 0)))).To(ContainSubstring("no number is free in 30000-30031 outside of the pools"))
		})

		It("answers a dry-run with the number of the pool and writes nothing", func(ctx SpecContext) {
			s.portPool(ctx, "red-ports", v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30010"}, NamespaceSelector: selecting("red")})
			red := nodePort("red", "web", 0)
			Expect(admin.Create(ctx, red, client.DryRunAll)).To(Succeed())
			Expect(red.Spec.Ports[0].NodePort).To(BeEquivalentTo(30010))
			Expect(s.claims(ctx)).To(BeEmpty())
		})

		It("refuses a choice where no pool gives by itself", func(ctx SpecContext) {
			s.portPool(ctx, "red-ports", v1alpha1.PortPoolSpec{
				Ranges: []v1alpha1.PortRange{"30010"}, AutoAssign: new(false), NamespaceSelector: selecting("red"),
			})
			Expect(message(admin.Create(ctx, nodePort("red", "web", 0)))).To(ContainSubstring(
				"no pool of namespace red gives numbers by itself: ask for one by number, or have one of the pools do so (spec.autoAssign): pool red-ports (30010-30010)"))
			Expect(admin.Create(ctx, nodePort("red", "web", 30010))).To(Succeed())
		})

		It("leaves a cluster without pools as it was", func(ctx SpecContext) {
			Expect(admin.Create(ctx, nodePort("others", "web", 0))).To(Succeed())
			if s.mode == allocator.Advisory {
				Expect(s.claims(ctx)).To(BeEmpty(), "an automatic number costs no write of ours")
			}
		})

		It("gives load balancers no node ports where the pool says so", func(ctx SpecContext) {
			s.portPool(ctx, "red-ports", v1alpha1.PortPoolSpec{
				Ranges: []v1alpha1.PortRange{"30010-30012"}, NamespaceSelector: selecting("red"), AllocateLoadBalancerNodePorts: new(false),
			})
			sparing := nodePort("red", "sparing", 0)
			sparing.Spec.Type = corev1.ServiceTypeLoadBalancer
			Expect(admin.Create(ctx, sparing)).To(Succeed())
			Expect(*sparing.Spec.AllocateLoadBalancerNodePorts).To(BeFalse())
			Expect(sparing.Spec.Ports[0].NodePort).To(BeZero())

			By("leaving alone what server-side apply says")
			said := corev1apply.Service("said", "red").WithSpec(corev1apply.ServiceSpec().
				WithType(corev1.ServiceTypeLoadBalancer).WithAllocateLoadBalancerNodePorts(true).
				WithPorts(corev1apply.ServicePort().WithName("http").WithPort(80).WithProtocol(corev1.ProtocolTCP)))
			Expect(admin.Apply(ctx, said, client.FieldOwner("spec"))).To(Succeed())
			var got corev1.Service
			Expect(admin.Get(ctx, types.NamespacedName{Namespace: "red", Name: "said"}, &got)).To(Succeed())
			Expect(*got.Spec.AllocateLoadBalancerNodePorts).To(BeTrue())
			Expect(got.Spec.Ports[0].NodePort).To(And(BeNumerically(">=", 30010), BeNumerically("<=", 30012)))
		})

		It("follows the labels of a namespace", func(ctx SpecContext) {
			s.portPool(ctx, "green-ports", v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30010"}, NamespaceSelector: selecting("green")})
			var others corev1.Namespace
			Expect(admin.Get(ctx, types.NamespacedName{Name: "others"}, &others)).To(Succeed())
			label := func(labels map[string]string) {
				GinkgoHelper()
				patch := client.MergeFrom(others.DeepCopy())
				others.Labels = labels
				Expect(admin.Patch(ctx, &others, patch)).To(Succeed())
			}
			before := others.Labels
			label(map[string]string{"team": "green"})
			defer label(before)
			Eventually(func() int32 {
				web := nodePort("others", "web", 0)
				Expect(admin.Create(ctx, web, client.DryRunAll)).To(Succeed())
				return web.Spec.Ports[0].NodePort
			}).Should(BeEquivalentTo(30010))
		})
	})
})

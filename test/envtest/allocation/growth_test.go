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
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// growth are the rows about a cluster that gets a second family.
func growth(s *scene) {
	It("gives no second address to what was there before the second family, until it is asked to", func(ctx SpecContext) {
		old := service("old", corev1.ServiceTypeClusterIP, 0)
		old.Spec.IPFamilyPolicy = new(preferDualStack)
		s.webhookAway(ctx, func() { // it would know of the new family
			Eventually(func() error { return small.admin.Create(ctx, old) }).Should(Succeed())
		})
		Expect(old.Spec.ClusterIPs).To(HaveLen(1))
		s.observed(old)
		now := s.reread(ctx, old)
		s.patch(ctx, now, func() { now.Labels = map[string]string{"a": "b"} })
		Expect(now.Spec.ClusterIPs).To(Equal(old.Spec.ClusterIPs))
		Expect(now.Spec.IPFamilies).To(Equal([]corev1.IPFamily{v4}))
		s.expectClaims(ctx)

		young := service("young", corev1.ServiceTypeClusterIP, 0)
		young.Spec.IPFamilyPolicy = new(preferDualStack)
		s.create(ctx, young)
		Expect(young.Spec.IPFamilies).To(Equal([]corev1.IPFamily{v4, v6}))
		Expect(young.Spec.ClusterIPs[1]).To(HavePrefix("fd00:11::"))

		pastItsFirstSecond(now)
		s.patch(ctx, now, func() { now.Spec.IPFamilyPolicy = new(requireDualStack) })
		Expect(now.Spec.ClusterIPs).To(HaveLen(2))
		Expect(now.Spec.ClusterIP).To(Equal(old.Spec.ClusterIP))
	})

	It("loses the first address of a create whose second range is full", func(ctx SpecContext) {
		for i := range 15 {
			six := service(fmt.Sprintf("six-%d", i), corev1.ServiceTypeClusterIP, 0)
			six.Spec.IPFamilies = []corev1.IPFamily{v6}
			s.create(ctx, six)
			s.observed(six)
		}
		isFour := func(ip string) bool { return ip != "10.0.0.1" && strings.HasPrefix(ip, "10.") }
		lost := false
		for i := 0; !lost && i < 40; i++ { // the server takes the two in random order
			web := service("web", corev1.ServiceTypeClusterIP, 0)
			web.Spec.IPFamilyPolicy = new(requireDualStack)
			ours := "spec.clusterIPs[1]: Forbidden: no number is free in fd00:11::/124"
			refusal(s.admin.Create(ctx, web), s.answer("range is full", ours, ours))
			lost = slices.ContainsFunc(s.addressObjects(ctx), isFour)
			if i == 10 && !s.stock() {
				break
			}
		}
		Expect(lost).To(Equal(s.stock()))
	})
}

// quotaReturns are the rows about what a quota counts no more.
func quotaReturns(s *scene) {
	It("counts NodePorts down for a quota as Services go", func(ctx SpecContext) {
		limits := corev1.ResourceList{corev1.ResourceServicesNodePorts: *resource.NewQuantity(5, resource.DecimalSI)}
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "team-b", Name: "numbers"}, Spec: corev1.ResourceQuotaSpec{Hard: limits}}
		Expect(s.admin.Create(ctx, quota)).To(Succeed())
		defer func() { Expect(s.admin.Delete(ctx, quota)).To(Succeed()) }()
		of := func(name string, ports ...int32) *corev1.Service {
			web := service(name, corev1.ServiceTypeNodePort, ports...)
			web.Namespace = "team-b"
			return web
		}
		Eventually(func() error { // until the server knows of it
			probe := of("probe", 0, 0, 0, 0, 0, 0)
			err := s.admin.Create(ctx, probe)
			if err == nil {
				Expect(s.admin.Delete(ctx, probe)).To(Succeed())
			}
			return err
		}).Should(MatchError(ContainSubstring("exceeded quota")))
		Eventually(s.used).WithArguments(ctx, quota).Should(BeZero())

		web, other := of("web", 0, 0, 0), of("other", 0, 0)
		s.create(ctx, web)
		s.create(ctx, other)
		Eventually(s.used).WithArguments(ctx, quota).Should(BeEquivalentTo(5))
		refusal(s.admin.Create(ctx, of("late", 0)), "exceeded quota: numbers, requested: services.nodeports=1, used: services.nodeports=5, limited: services.nodeports=5")
		Expect(s.admin.Delete(ctx, web)).To(Succeed())
		Eventually(s.used).WithArguments(ctx, quota).Should(BeEquivalentTo(2))
		s.update(ctx, become(s.reread(ctx, other), corev1.ServiceTypeClusterIP))
		Eventually(s.used).WithArguments(ctx, quota).Should(BeZero())
	})
}

// leaving is the range of a ServiceCIDR that each mode has for itself, since it
// takes a while to go.
func (s *scene) leaving() *networkingv1.ServiceCIDR {
	return serviceCIDR("leaving-"+string(s.mode), s.answer("10.0.1.0/28", "10.0.1.16/28", "10.0.1.32/28"))
}

// leavingRanges are the rows about ServiceCIDRs that kube-controller-manager
// looks after.
func leavingRanges(s *scene) {
	It("keeps a ServiceCIDR while addresses depend on it, and gives no more of them, nor answers every dry-run", func(ctx SpecContext) {
		cidr := s.leaving()
		inside := s.answer("10.0.1.3", "10.0.1.19", "10.0.1.35")
		Expect(s.admin.Create(ctx, cidr)).To(Succeed())
		ready := func() (condition *metav1.Condition, err error) {
			err = s.admin.Get(ctx, client.ObjectKeyFromObject(cidr), cidr)
			return meta.FindStatusCondition(cidr.Status.Conditions, networkingv1.ServiceCIDRConditionReady), err
		}
		Eventually(ready).Should(HaveField("Status", metav1.ConditionTrue))
		Expect(cidr.Finalizers).To(ContainElement("networking.k8s.io/service-cidr-finalizer"))
		web := at(service("web", corev1.ServiceTypeClusterIP, 0), inside)
		Eventually(func() error { return s.admin.Create(ctx, web) }).Should(Succeed())
		s.observed(web)

		Expect(s.admin.Delete(ctx, cidr)).To(Succeed())
		Eventually(ready).Should(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", networkingv1.ServiceCIDRReasonTerminating)))
		next := s.answer("10.0.1.4", "10.0.1.20", "10.0.1.36")
		Eventually(func() error { // once the server has seen it
			late := at(service("late", corev1.ServiceTypeClusterIP, 0), next)
			err := s.admin.Create(ctx, late)
			if err == nil {
				Expect(s.admin.Delete(ctx, late)).To(Succeed())
			}
			return err
		}).Should(MatchError(ContainSubstring("failed to allocate IP " + next + ": the provided network does not match the current range")))
		Eventually(func() error { // a dry-run that asks for no address in particular
			return s.admin.Create(ctx, service("any", corev1.ServiceTypeClusterIP, 0), client.DryRunAll)
		}).Should(MatchError(ContainSubstring("failed to allocate IP: allocator not ready")))
		Expect(s.reread(ctx, web).Spec.ClusterIP).To(Equal(inside))
		Expect(s.admin.Get(ctx, client.ObjectKeyFromObject(cidr), cidr)).To(Succeed())
	})
}

// rangesThatLeft looks at the same ServiceCIDRs when their Services are long gone.
func rangesThatLeft(c *cluster) {
	It("lets go of a ServiceCIDR that no address depends on", func(ctx SpecContext) {
		Eventually(func(g Gomega) {
			var cidrs networkingv1.ServiceCIDRList
			g.Expect(c.admin.List(ctx, &cidrs)).To(Succeed())
			g.Expect(namesOf(cidrs.Items, func(cidr networkingv1.ServiceCIDR) string { return cidr.Name })).To(Equal([]string{"kubernetes"}))
		}).Should(Succeed())
	})
}

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
	"context"
	"fmt"
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// serviceCIDRs are the rows about ranges of addresses that come and go.
func serviceCIDRs(s *scene) {
	second := netip.MustParsePrefix("10.0.1.0/28")

	It("gives addresses of a second ServiceCIDR while it is there", func(ctx SpecContext) {
		cidr := serviceCIDR("second", second.String())
		cidr.Finalizers = []string{"networking.k8s.io/service-cidr-finalizer"} // as kube-controller-manager does
		Expect(s.admin.Create(ctx, cidr)).To(Succeed())
		defer s.forget(ctx, cidr)
		web := at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.1.3")
		Eventually(func() error { return s.admin.Create(ctx, web.DeepCopy()) }).Should(Succeed())
		s.observed(web)
		ours := "\"10.0.1.3\": held by Service team-a/web; free: 10.0.1.4-10.0.1.14, 10.0.1.1-10.0.1.2"
		refusal(s.admin.Create(ctx, at(service("late", corev1.ServiceTypeClusterIP, 0), "10.0.1.3")),
			s.answer("provided IP is already allocated", ours, ours))

		met := map[bool]bool{}
		for i := 0; len(met) < 2 && i < 40; i++ { // one of them is full after 30 at most
			drawn := service(fmt.Sprintf("any-%d", i), corev1.ServiceTypeClusterIP, 0)
			drawn.Labels = map[string]string{"any": "yes"}
			s.create(ctx, drawn)
			s.observed(drawn)
			met[second.Contains(netip.MustParseAddr(drawn.Spec.ClusterIP))] = true
		}
		Expect(met).To(HaveLen(2), "only one of two ranges was ever chosen from")
		Expect(s.admin.DeleteAllOf(ctx, &corev1.Service{}, client.InNamespace("team-a"), client.MatchingLabels{"any": "yes"})).To(Succeed())

		cidr.Status.Conditions = []metav1.Condition{{
			Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionFalse,
			Reason: networkingv1.ServiceCIDRReasonTerminating, LastTransitionTime: metav1.Now(),
		}}
		Expect(s.admin.Status().Update(ctx, cidr)).To(Succeed())
		Expect(s.admin.Delete(ctx, cidr)).To(Succeed())
		Eventually(func() error { // once the server has seen it
			err := s.admin.Create(ctx, at(service("late", corev1.ServiceTypeClusterIP, 0), "10.0.1.9"))
			if err == nil {
				Expect(s.admin.Delete(ctx, service("late", corev1.ServiceTypeClusterIP, 0))).To(Succeed())
			}
			return err
		}).Should(MatchError(ContainSubstring("failed to allocate IP 10.0.1.9: the provided network does not match the current range")))
		for i := range 6 {
			late := service(fmt.Sprintf("late-%d", i), corev1.ServiceTypeClusterIP, 0)
			if i == 0 { // the index may hear of it after the server
				Eventually(func() error { return s.admin.Create(ctx, late) }).Should(Succeed())
			} else {
				s.create(ctx, late)
			}
			Expect(second.Contains(netip.MustParseAddr(late.Spec.ClusterIP))).To(BeFalse())
		}
		Expect(s.reread(ctx, web).Spec.ClusterIP).To(Equal("10.0.1.3"), "what is there stays")
	})

	It("answers a dry-run whichever of two ranges the server looks at", func(ctx SpecContext) {
		cidr := serviceCIDR("second", second.String())
		Expect(s.admin.Create(ctx, cidr)).To(Succeed())
		defer s.forget(ctx, cidr)
		probe := at(service("probe", corev1.ServiceTypeClusterIP, 0), "10.0.1.3")
		Eventually(func() error { return s.admin.Create(ctx, probe) }).Should(Succeed())
		s.observed(probe)
		stayed := func(web *corev1.Service, before string) {
			Expect(web.Spec.ClusterIP).To(Equal(before))
			if second := netip.MustParseAddr(web.Spec.ClusterIPs[1]); !s.stock() {
				Expect(usable(second)).To(BeTrue(), "%s is of a family with one range", second)
			}
		}
		for i := range 10 { // it draws one of them each time
			web := service("web", corev1.ServiceTypeNodePort, 0)
			Expect(s.admin.Create(ctx, web, client.DryRunAll)).To(Succeed(), "%d", i)
			Expect(web.Spec.ClusterIP).To(BeElementOf("10.0.0.0", "10.0.1.0"), "what it says to nobody in particular")
			both := probe.DeepCopy()
			both.Spec.IPFamilyPolicy = new(requireDualStack)
			Expect(s.admin.Update(ctx, both, client.DryRunAll)).To(Succeed(), "%d", i)
			stayed(both, "10.0.1.3")
		}
	})

	It("takes at most one range per family, and never another in its place", func(ctx SpecContext) {
		for text, cidrs := range map[string][]string{
			"may only hold up to 2 values":                       {"10.0.2.0/28", "fd00:11::/112", "10.0.3.0/28"},
			"may specify no more than one IP for each IP family": {"10.0.2.0/28", "10.0.3.0/28"},
		} {
			cidr := serviceCIDR("wrong", cidrs...)
			err := s.admin.Create(ctx, cidr)
			if err == nil {
				s.forget(ctx, cidr)
			}
			refusal(err, text)
		}
		cidr := serviceCIDR("third", "10.0.2.0/28")
		Expect(s.admin.Create(ctx, cidr)).To(Succeed())
		defer s.forget(ctx, cidr)
		moved := cidr.DeepCopy()
		moved.Spec.CIDRs = []string{"10.0.3.0/28"}
		Expect(s.admin.Update(ctx, moved)).NotTo(Succeed())
		cidr.Spec.CIDRs = []string{"10.0.2.0/28", "fd00:11::/112"}
		Expect(s.admin.Update(ctx, cidr)).To(Succeed())
	})
}

// rangesBeside are the rows about ranges that nothing can be taken from.
func rangesBeside(s *scene) {
	It("goes on with the other ranges when one is of no use", func(ctx SpecContext) {
		wide := serviceCIDR("wide", "fd00:11::/63")
		Expect(s.admin.Create(ctx, wide)).To(Succeed(), "the server makes nothing of it, but does not say so")
		defer s.forget(ctx, wide)
		second := serviceCIDR("zz-after", "10.0.2.0/28")
		Expect(s.admin.Create(ctx, second)).To(Succeed())
		defer s.forget(ctx, second)
		web := at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.2.3")
		Eventually(func() error { return s.admin.Create(ctx, web.DeepCopy()) }).Should(Succeed())
		ours := "\"fd00:11::3\": not in fd00:10::/112"
		refusal(s.admin.Create(ctx, at(service("late", corev1.ServiceTypeClusterIP, 0), "fd00:11::3")),
			s.answer("failed to allocate IP fd00:11::3: the provided network does not match the current range", ours, ours))
		if s.index != nil {
			Eventually(s.index.Stats).Should(HaveLen(4), "ports, the two ranges of the cluster, and the one that is of use")
		}
	})
}

func serviceCIDR(name string, cidrs ...string) *networkingv1.ServiceCIDR {
	return &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: cidrs}}
}

// forget deletes a ServiceCIDR for good, and waits until the index knows.
func (s *scene) forget(ctx context.Context, cidr *networkingv1.ServiceCIDR) {
	GinkgoHelper()
	Expect(client.IgnoreNotFound(s.admin.Delete(ctx, cidr))).To(Succeed())
	err := s.admin.Patch(ctx, cidr, client.RawPatch("application/merge-patch+json", []byte("{\"metadata\":{\"finalizers\":null}}")))
	Expect(client.IgnoreNotFound(err)).To(Succeed())
	Eventually(func() bool {
		return apierrors.IsNotFound(s.admin.Get(ctx, client.ObjectKeyFromObject(cidr), &networkingv1.ServiceCIDR{}))
	}).Should(BeTrue())
	if s.index != nil {
		Eventually(s.index.Stats).Should(HaveLen(3), "ports and the two ranges of the cluster")
	}
}

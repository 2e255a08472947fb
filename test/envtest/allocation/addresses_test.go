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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// addresses are the rows about ClusterIPs of Services that are created.
func addresses(s *scene) {
	It("gives ClusterIPs of the dynamic band while it lasts, then of the static one", func(ctx SpecContext) {
		var given []netip.Addr
		for i := range 29 { // .1 is the server's own
			web := service(fmt.Sprintf("web-%d", i), corev1.ServiceTypeClusterIP, 0)
			s.create(ctx, web)
			expectGiven(web)
			s.observed(web)
			given = append(given, netip.MustParseAddr(web.Spec.ClusterIP))
		}
		inBand := func(low, high byte) func(netip.Addr) bool {
			return func(a netip.Addr) bool { return low <= a.As4()[3] && a.As4()[3] <= high }
		}
		Expect(given[:14]).To(HaveEach(Satisfy(inBand(17, 30))))
		Expect(given[14:]).To(HaveEach(Satisfy(inBand(2, 16))))
		Expect(ascending(given[:14])).To(BeFalse(), "they begin at the same place each time: %v", given[:14])

		status := refusal(s.admin.Create(ctx, service("late", corev1.ServiceTypeClusterIP, 0)), s.answer(
			"failed to allocate a serviceIP for Service \"late\": range is full",
			"failed to allocate a serviceIP for Service \"late\": range is full",
			"spec.clusterIPs[0]: Forbidden: no number is free in 10.0.0.0/27"))
		Expect(status.Code).To(BeEquivalentTo(s.code(500, 500, 422)))
	})

	It("gives IPv6 ClusterIPs of the dynamic band", func(ctx SpecContext) {
		for i := range 4 {
			web := service(fmt.Sprintf("web-%d", i), corev1.ServiceTypeClusterIP, 0)
			web.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol}
			s.create(ctx, web)
			expectGiven(web)
			Expect(netip.MustParseAddr(web.Spec.ClusterIP).Compare(netip.MustParseAddr("fd00:10::101"))).To(BeNumerically(">=", 0))
		}
	})

	It("gives neither the network's address nor the broadcast address", func(ctx SpecContext) {
		for _, ip := range []string{"10.0.0.0", "10.0.0.31", "fd00:10::"} {
			err := s.admin.Create(ctx, at(service("edge", corev1.ServiceTypeClusterIP, 0), ip))
			refusal(err, s.answer("spec.clusterIPs: Invalid value: [\""+ip+"\"]: failed to allocate IP "+ip,
				"spec.clusterIPs[0]: Invalid value: \""+ip+"\": not in ", "spec.clusterIPs[0]: Invalid value: \""+ip+"\": not in "))
		}
		last := at(service("last", corev1.ServiceTypeClusterIP, 0), "10.0.0.30", "fd00:10::ffff")
		s.create(ctx, last)
		Expect(last.Spec.ClusterIPs).To(Equal([]string{"10.0.0.30", "fd00:10::ffff"}))
	})

	It("names the holder of a ClusterIP and offers free ones", func(ctx SpecContext) {
		first := at(service("first", corev1.ServiceTypeClusterIP, 0), "10.0.0.7")
		s.create(ctx, first)
		s.observed(first)
		ours := "spec.clusterIPs[0]: Invalid value: \"10.0.0.7\": held by Service team-a/first; free: 10.0.0.8-10.0.0.30, 10.0.0.2-10.0.0.6"
		status := refusal(s.admin.Create(ctx, at(service("second", corev1.ServiceTypeClusterIP, 0), "10.0.0.7")),
			s.answer("spec.clusterIPs: Invalid value: [\"10.0.0.7\"]: failed to allocate IP 10.0.0.7: provided IP is already allocated", ours, ours))
		Expect(status.Code).To(BeEquivalentTo(422))
		Expect(status.Reason).To(Equal(metav1.StatusReasonInvalid))
		Expect(status.Details.Causes).To(HaveLen(1))
	})

	It("says where a ClusterIP should lie", func(ctx SpecContext) {
		status := refusal(s.admin.Create(ctx, at(service("far", corev1.ServiceTypeClusterIP, 0), "10.9.9.9")), s.answer(
			"failed to allocate IP 10.9.9.9: the provided network does not match the current range",
			"\"10.9.9.9\": not in 10.0.0.0/27", "\"10.9.9.9\": not in 10.0.0.0/27"))
		Expect(status.Code).To(BeEquivalentTo(422))
	})

	It("keeps a record of each ClusterIP as an IPAddress object", func(ctx SpecContext) {
		web := at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.0.9", "fd00:10::9")
		s.create(ctx, web)
		for family, ip := range map[string]string{"IPv4": "10.0.0.9", "IPv6": "fd00:10::9"} {
			record := s.address(ctx, ip)
			Expect(record.Labels).To(Equal(map[string]string{
				"ipaddress.kubernetes.io/ip-family": family, "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
			}))
			Expect(*record.Spec.ParentRef).To(Equal(networkingv1.ParentReference{Resource: "services", Namespace: "team-a", Name: "web"}))
			record.Spec.ParentRef.Name = "other"
			Expect(s.admin.Update(ctx, record)).To(MatchError(ContainSubstring("field is immutable")))
		}
	})

	It("leaves an address that somebody else has recorded", func(ctx SpecContext) {
		held := &networkingv1.IPAddress{
			ObjectMeta: metav1.ObjectMeta{Name: "10.0.0.9", Labels: map[string]string{networkingv1.LabelManagedBy: "somebody"}},
			Spec:       networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "namespaces", Name: "team-a"}},
		}
		Expect(s.admin.Create(ctx, held)).To(Succeed())
		refusal(s.admin.Create(ctx, at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.0.9")),
			"failed to allocate IP 10.0.0.9: provided IP is already allocated")
		Expect(s.admin.Delete(ctx, held)).To(Succeed())
		s.free(ctx, addr("10.0.0.9"))
	})
}

func ascending(addrs []netip.Addr) bool {
	for i := 1; i < len(addrs); i++ {
		if addrs[i].Less(addrs[i-1]) {
			return false
		}
	}
	return true
}

func (s *scene) address(ctx context.Context, ip string) *networkingv1.IPAddress {
	GinkgoHelper()
	record := &networkingv1.IPAddress{}
	Expect(s.admin.Get(ctx, client.ObjectKey{Name: ip}, record)).To(Succeed())
	return record
}

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
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// address is an IPAddress as somebody makes it, by hand or by program.
func address(ip, managedBy string, parent networkingv1.ParentReference) *networkingv1.IPAddress {
	return &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: ip, Labels: map[string]string{
			networkingv1.LabelIPAddressFamily: "IPv4", networkingv1.LabelManagedBy: managedBy,
		}},
		Spec: networkingv1.IPAddressSpec{ParentRef: &parent},
	}
}

// What the holders of package placeholder stand on, shown without any of our
// code: how the stock API server treats an IPAddress that is not its own, and a
// Service that does nothing but have NodePorts.
var _ = Describe("The stock API server", Ordered, func() {
	foreign := networkingv1.ParentReference{Group: "switchyard.dev", Resource: "addressreservations", Name: "10.0.0.20"}

	It("leaves an IPAddress alone that is managed by somebody else, and collects the same with its own label", func(ctx SpecContext) {
		ours := address("10.0.0.20", "switchyard-manager", foreign)
		Expect(admin.Create(ctx, ours)).To(Succeed())

		By("refusing the number to those who ask for it")
		Expect(admin.Create(ctx, at(service("asks", 0), "10.0.0.20"))).To(MatchError(ContainSubstring("provided IP is already allocated")))

		By("not giving it to those who take any")
		for i := range 60 { // 62 in all: 2 are default/kubernetes and the one above
			Expect(admin.Create(ctx, service(fmt.Sprintf("any%d", i), 0))).To(Succeed())
		}
		Expect(admin.Create(ctx, service("one-too-many", 0))).To(MatchError(ContainSubstring("range is full")))
		Expect(admin.DeleteAllOf(ctx, &corev1.Service{}, client.InNamespace("team-a"))).To(Succeed())

		By("having its repair look at both, and collect only the one that says it is the server's")
		theirs := address("10.0.0.21", "ipallocator.k8s.io", foreign)
		Eventually(func() error { // It may have recorded the address again for the Service that had it.
			if err := admin.Delete(ctx, theirs); client.IgnoreNotFound(err) != nil {
				return err
			}
			return admin.Create(ctx, theirs.DeepCopy())
		}).Should(Succeed())
		ours.Annotations = map[string]string{"touched": "yes"} // each change has the repair look
		Expect(admin.Update(ctx, ours)).To(Succeed())
		Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(theirs), theirs) }).Should(MatchError(ContainSubstring("not found")))
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(ours), ours)).To(Succeed())
		Expect(admin.Delete(ctx, ours)).To(Succeed())

		By("giving the number at once when the holder is gone")
		Expect(admin.Create(ctx, at(service("asks", 0), "10.0.0.20"))).To(Succeed())
	})

	It("keeps the NodePort of a Service that nobody serves, and forgets it with that", func(ctx SpecContext) {
		holder := func(port int32) *corev1.Service {
			s := service("holder", port)
			s.Spec.Selector = nil
			s.Labels = map[string]string{"service.kubernetes.io/service-proxy-name": "switchyard.dev-reserved"}
			return s
		}
		Expect(admin.Create(ctx, holder(30064))).To(Succeed())
		Expect(admin.Create(ctx, service("asks", 30064))).To(MatchError(ContainSubstring("provided port is already allocated")))

		By("taking nothing for a create that it refuses because of the name")
		Expect(admin.Create(ctx, holder(30065))).To(MatchError(ContainSubstring("already exists")))
		Expect(admin.Create(ctx, service("asks", 30065))).To(Succeed())

		By("refusing the port before the name")
		Expect(admin.Create(ctx, holder(30064))).To(MatchError(ContainSubstring("provided port is already allocated")))

		By("giving the port at once when the holder is gone")
		Expect(admin.Delete(ctx, holder(30064))).To(Succeed())
		Expect(admin.Create(ctx, service("last", 30064))).To(Succeed())
	})

	AfterEach(func(ctx SpecContext) {
		Expect(admin.DeleteAllOf(ctx, &corev1.Service{}, client.InNamespace("team-a"))).To(Succeed())
		noRecords(ctx)
	})
})

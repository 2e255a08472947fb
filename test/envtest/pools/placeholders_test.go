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
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/placeholder"
)

var _ = Describe("What holds a reserved port", func() {
	inEachMode(func(s *scene) {
		It("takes its ClusterIP from nobody's pool", func(ctx SpecContext) {
			s.addressPool(ctx, "red-addresses", v1alpha1.AddressPoolSpec{
				Use: v1alpha1.UseClusterIP, Addresses: []v1alpha1.AddressRange{"10.0.0.2-10.0.0.252"}, NamespaceSelector: selecting("red"),
			})
			s.reserve(ctx, &v1alpha1.AddressReservation{
				ObjectMeta: metav1.ObjectMeta{Name: "10.0.0.253"}, Spec: v1alpha1.AddressReservationSpec{Address: "10.0.0.253"},
			})
			reservation := func(name string) *v1alpha1.PortReservation {
				return &v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: name}}
			}
			addressOf := func(port int32) string {
				GinkgoHelper()
				var service corev1.Service
				Expect(admin.Get(ctx, client.ObjectKey{Namespace: systemNamespace, Name: placeholder.PortsName(port)}, &service)).To(Succeed())
				return service.Spec.ClusterIP
			}
			s.reserve(ctx, reservation("30020"))
			Expect(addressOf(30020)).To(Equal("10.0.0.254"), "the last one outside of the pool")

			By("none is left outside of the pool")
			Expect(admin.Create(ctx, reservation("30021"))).To(Succeed())
			object := reservation("30021")
			Eventually(func() *metav1.Condition {
				Expect(admin.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
				return meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionHeld)
			}).Should(HaveValue(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", "NoClusterIP"), HaveField("Message", ContainSubstring("no ClusterIP is free outside of the AddressPools")))))

			By("its own namespace has a pool")
			s.addressPool(ctx, "ours", v1alpha1.AddressPoolSpec{
				Use: v1alpha1.UseClusterIP, Addresses: []v1alpha1.AddressRange{"10.0.0.100"}, Priority: 9,
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: systemNamespace}},
			})
			before := object.DeepCopy()
			object.Annotations = map[string]string{"example.com/look": "again"}
			Expect(admin.Patch(ctx, object, client.MergeFrom(before))).To(Succeed())
			Eventually(s.keeper.List).WithArguments(ctx).Should(HaveLen(3))
			Expect(addressOf(30021)).To(Equal("10.0.0.100"))
		})
	})
})

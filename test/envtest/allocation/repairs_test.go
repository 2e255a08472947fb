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
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// repairs are the rows about what the server mends in its own records.
func repairs(s *scene) {
	It("has a lost record of an address made again, with an Event", func(ctx SpecContext) {
		web := at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.0.9")
		s.create(ctx, web)
		s.observed(web)
		lost := s.address(ctx, "10.0.0.9")
		Expect(s.admin.Delete(ctx, lost)).To(Succeed())
		if !s.stock() { // in between, our index knows better than the server
			refusal(s.admin.Create(ctx, at(service("thief", corev1.ServiceTypeClusterIP, 0), "10.0.0.9")), "held by Service team-a/web")
		}
		s.patch(ctx, web, func() { web.Labels = map[string]string{"look": "again"} })
		Eventually(func(g Gomega) {
			var record networkingv1.IPAddress
			g.Expect(s.admin.Get(ctx, client.ObjectKey{Name: "10.0.0.9"}, &record)).To(Succeed())
			g.Expect(record.UID).NotTo(Equal(lost.UID))
			g.Expect(record.Spec.ParentRef.Name).To(Equal("web"))
		}).Should(Succeed())
		Eventually(s.eventsOn).WithArguments(ctx, "web").Should(ContainElement(
			"ClusterIPNotAllocated: Cluster IP [IPv4]: 10.0.0.9 is not allocated; repairing"))
	})

	It("has a record that names another Service set right, with an Event", func(ctx SpecContext) {
		web := at(service("web", corev1.ServiceTypeClusterIP, 0), "10.0.0.9")
		s.create(ctx, web)
		record := s.address(ctx, "10.0.0.9")
		Eventually(func() error { // The server may have made the record again before we make ours.
			if err := s.admin.Delete(ctx, record); client.IgnoreNotFound(err) != nil {
				return err
			}
			wrong := &networkingv1.IPAddress{
				ObjectMeta: metav1.ObjectMeta{Name: "10.0.0.9", Labels: record.Labels},
				Spec:       networkingv1.IPAddressSpec{ParentRef: record.Spec.ParentRef.DeepCopy()},
			}
			wrong.Spec.ParentRef.Name = "nobody"
			return s.admin.Create(ctx, wrong)
		}).Should(Succeed())
		s.patch(ctx, web, func() { web.Labels = map[string]string{"look": "again"} })
		Eventually(func(g Gomega) {
			var record networkingv1.IPAddress
			g.Expect(s.admin.Get(ctx, client.ObjectKey{Name: "10.0.0.9"}, &record)).To(Succeed())
			g.Expect(record.Spec.ParentRef.Name).To(Equal("web"))
		}).Should(Succeed())
		// A repair that looks between the two finds no record. The server counts both
		// under the words of the first: client-go's series of Events leave out the note.
		Eventually(s.eventsOn).WithArguments(ctx, "web").Should(ContainElement(SatisfyAny(
			Equal("ClusterIPNotAllocated: the ClusterIP [IPv4]: 10.0.0.9 for Service team-a/web has a wrong reference; repairing"),
			Equal("ClusterIPNotAllocated: Cluster IP [IPv4]: 10.0.0.9 is not allocated; repairing"),
		)))
	})
}

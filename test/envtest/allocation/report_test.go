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

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// reports are what the server and our controller say about numbers that are wrong.
func reports(s *scene) {
	It("reports two Services with one address, and we on both", func(ctx SpecContext) {
		old, young := service("old", corev1.ServiceTypeClusterIP, 0), service("young", corev1.ServiceTypeClusterIP, 0)
		old.Spec.ClusterIP = "10.0.0.9"
		s.webhookAway(ctx, func() {
			Expect(s.admin.Create(ctx, old)).To(Succeed())
			// Taking the server's own lock away is how a double comes about.
			Eventually(func() error {
				lock := &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: "10.0.0.9"}}
				if err := s.admin.Delete(ctx, lock); client.IgnoreNotFound(err) != nil {
					return err
				}
				return s.admin.Create(ctx, at(young.DeepCopy(), "10.0.0.9"))
			}).Should(Succeed())
		})
		// The server warns on the one it has no record for, when it looks again. Whose
		// the record is depends on when its repair looked: it may have made one for old
		// before it knew of young.
		Eventually(func(g Gomega) {
			look := map[string]string{"look": rand.String(5)}
			s.patch(ctx, old, func() { old.Labels = look })
			s.patch(ctx, young, func() { young.Labels = look })
			ofOld, err := s.eventsOn(ctx, "old")
			g.Expect(err).NotTo(HaveOccurred())
			ofYoung, err := s.eventsOn(ctx, "young")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(append(ofOld, ofYoung...)).To(ContainElement(
				"ClusterIPAlreadyAllocated: Cluster IP [IPv4]:10.0.0.9 was assigned to multiple services; please recreate service"))
		}).Should(Succeed())
		Expect(s.reread(ctx, old).Spec.ClusterIP).To(Equal(s.reread(ctx, young).Spec.ClusterIP), "nobody changes either")
		if s.stock() {
			return
		}
		Eventually(s.eventsOn).WithArguments(ctx, "old").Should(ContainElement(
			HavePrefix("ClusterIPAlreadyAllocated: ClusterIP 10.0.0.9 is also held by Service team-a/young")))
		Eventually(s.eventsOn).WithArguments(ctx, "young").Should(ContainElement(
			HavePrefix("ClusterIPAlreadyAllocated: ClusterIP 10.0.0.9 is also held by Service team-a/old")))
	})
}

func (s *scene) eventsOn(ctx context.Context, name string) (notes []string, err error) {
	var events eventsv1.EventList
	if err := s.admin.List(ctx, &events, client.InNamespace("team-a")); err != nil {
		return nil, err
	}
	for _, event := range events.Items {
		if event.Regarding.Name == name {
			notes = append(notes, event.Reason+": "+event.Note)
		}
	}
	return notes, nil
}

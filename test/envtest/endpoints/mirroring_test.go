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

package endpoints

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"switchyard.dev/switchyard/controllers"
)

var _ = Describe("Hand-made Endpoints of a Service without a selector", func() {
	mirrored := []endpoint{{"192.0.2.1", 8080, "+ready"}, {"192.0.2.2", 8080, "+ready"}}

	It("are mirrored, and the mirror follows them", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("db", noSelector)
		object := s.handMade("db", func(object *corev1.Endpoints) {
			object.Labels = map[string]string{"team": "blue"}
			object.Annotations = map[string]string{"note": "kept", corev1.LastAppliedConfigAnnotation: "{}"}
			object.Subsets[0].NotReadyAddresses = []corev1.EndpointAddress{{IP: "fd00:2::1", Hostname: "six"}}
		})
		Eventually(s.endpoints("db")).Should(Equal(append(mirrored[:2:2], endpoint{"fd00:2::1", 8080, ""})))
		slices := s.slices("db", mirrorController)
		Expect(slices).To(HaveLen(2), "one per family")
		for _, slice := range slices {
			Expect(slice.Labels).To(HaveKeyWithValue("team", "blue"))
			Expect(slice.Annotations).To(Equal(map[string]string{"note": "kept"}))
			Expect(slice.OwnerReferences).To(ConsistOf(And(HaveField("Kind", "Endpoints"), HaveField("UID", object.UID))))
			Expect(slice.ManagedFields).To(HaveEach(HaveField("Manager", "switchyard-endpointslice-mirroring-controller")))
			for _, e := range slice.Endpoints {
				Expect(e.Conditions.Serving).To(BeNil())
				Expect(e.Conditions.Terminating).To(BeNil())
			}
		}

		By("following an address, a port and a label")
		update(ctx, object, func(object *corev1.Endpoints) {
			object.Subsets[0].NotReadyAddresses = nil
			object.Subsets[0].Addresses = object.Subsets[0].Addresses[:1]
			object.Subsets[0].Ports[0].Port = 9090
			object.Labels["team"] = "red"
		})
		Eventually(s.endpoints("db")).Should(Equal([]endpoint{{"192.0.2.1", 9090, "+ready"}}))
		Eventually(func() string { return s.slices("db")[0].Labels["team"] }).Should(Equal("red"))

		By("going with them")
		Expect(api.Delete(ctx, object)).To(Succeed())
		Eventually(func() int { return len(s.slices("db")) }).Should(BeZero())
	})

	It("may come before their Service", func(ctx SpecContext) {
		s := newScene(ctx)
		s.handMade("db")
		Consistently(func() error { _, err := s.endpointsObject("db"); return err }).Should(Succeed())
		Expect(s.slices("db")).To(BeEmpty())
		s.service("db", noSelector)
		Eventually(s.endpoints("db")).Should(Equal(mirrored))
	})

	It("are not mirrored where slices can not say the same, and an Event tells", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("db", noSelector)
		// Valid, but an address with two ports of one name is not.
		object := s.handMade("db", func(object *corev1.Endpoints) {
			object.Subsets[0].Ports[0].Name = ""
			object.Subsets = append(object.Subsets, *object.Subsets[0].DeepCopy())
			object.Subsets[1].Ports[0].Port = 9090
		})
		Eventually(s.eventsOf("Endpoints", "db")).Should(ContainElement("FailedToUpdateEndpointSlices"))
		Expect(s.slices("db")).To(BeEmpty())
		update(ctx, object, func(object *corev1.Endpoints) { object.Subsets = object.Subsets[:1] })
		Eventually(s.endpoints("db")).Should(Equal(mirrored))
	})

	It("are mirrored afresh when they are created again", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("db", noSelector)
		first := s.handMade("db")
		Eventually(s.endpoints("db")).Should(Equal(mirrored))
		Expect(api.Delete(ctx, first)).To(Succeed())
		second := s.handMade("db")
		Eventually(func() []discoveryv1.EndpointSlice { return s.slices("db") }).
			Should(ConsistOf(HaveField("OwnerReferences", ConsistOf(HaveField("UID", second.UID)))))
	})

	It("are not mirrored when they say so, or are a leader's lock", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("skipped", noSelector)
		s.service("lock", noSelector)
		skipped := s.handMade("skipped", func(object *corev1.Endpoints) {
			object.Labels = map[string]string{discoveryv1.LabelSkipMirror: "true"}
		})
		s.handMade("lock", func(object *corev1.Endpoints) {
			object.Annotations = map[string]string{"control-plane.alpha.kubernetes.io/leader": "{}"}
		})
		Consistently(func() int { return len(s.slices("skipped")) + len(s.slices("lock")) }).Should(BeZero())
		update(ctx, skipped, func(object *corev1.Endpoints) { delete(object.Labels, discoveryv1.LabelSkipMirror) })
		Eventually(s.endpoints("skipped")).Should(Equal(mirrored))
		update(ctx, skipped, func(object *corev1.Endpoints) { object.Labels = map[string]string{discoveryv1.LabelSkipMirror: "true"} })
		Eventually(func() int { return len(s.slices("skipped")) }).Should(BeZero())
	})

	It("give way to pods when a selector appears", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("db", noSelector)
		s.pod("db-0", "db", "1")
		s.handMade("db")
		Eventually(s.endpoints("db")).Should(Equal(mirrored))
		s.updateService("db", func(service *corev1.Service) { service.Spec.Selector = map[string]string{"app": "db"} })
		Eventually(s.endpoints("db")).Should(Equal([]endpoint{{"10.1.0.1", 8080, up}}))
		Expect(s.slices("db", mirrorController)).To(BeEmpty())
		Eventually(s.addresses("db")).Should(Equal([]endpoint{{"10.1.0.1", 8080, "ready"}}))
	})

	It("take over without a gap when the selector goes, if the Service keeps them", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("db")
		s.pod("db-0", "db", "1")
		Eventually(s.endpoints("db")).Should(Equal([]endpoint{{"10.1.0.1", 8080, up}}))
		Eventually(s.addresses("db")).Should(HaveLen(1))
		s.updateService("db", func(service *corev1.Service) {
			service.Spec.Selector = nil
			service.Annotations = map[string]string{controllers.KeepEndpointsAnnotation: "true"}
		})
		// The Endpoints stay as they are and are now their author's: the mirror
		// has them before the pods' slices go.
		Eventually(s.endpoints("db")).Should(Equal([]endpoint{{"10.1.0.1", 8080, "+ready"}}))
		Expect(s.slices("db", sliceController)).To(BeEmpty())
		Expect(s.addresses("db")()).To(Equal([]endpoint{{"10.1.0.1", 8080, "ready"}}))
	})

	It("are repaired in the mirror when somebody edits or deletes it", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("db", noSelector)
		s.handMade("db")
		Eventually(s.endpoints("db")).Should(Equal(mirrored))
		slice := s.slices("db")[0]
		update(ctx, &slice, func(slice *discoveryv1.EndpointSlice) {
			slice.Endpoints[0].Conditions.Ready = new(false)
		})
		Eventually(s.endpoints("db")).Should(Equal(mirrored))
		Expect(api.Delete(ctx, &slice)).To(Succeed())
		Eventually(s.endpoints("db")).Should(Equal(mirrored))
	})
})

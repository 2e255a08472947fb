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
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// retained is a Service whose numbers are to be kept.
func retained(retain string) *corev1.Service {
	s := at(service("web", 30080, 30081), "10.0.0.7")
	s.Annotations = map[string]string{v1alpha1.RetainAnnotation: retain}
	return s
}

// reservations names all there are.
func reservations(ctx context.Context) []string {
	GinkgoHelper()
	var ports v1alpha1.PortReservationList
	var addresses v1alpha1.AddressReservationList
	Expect(admin.List(ctx, &ports)).To(Succeed())
	Expect(admin.List(ctx, &addresses)).To(Succeed())
	var names []string
	for _, r := range ports.Items {
		names = append(names, r.Name+" "+string(r.Spec.Retain))
	}
	for _, r := range addresses.Items {
		names = append(names, r.Name+" "+string(r.Spec.Retain))
	}
	return names
}

var _ = Describe("A Service annotated with switchyard.dev/retain", func() {
	var time0 *clock
	numbers := []allocator.Number{port(30080), port(30081), addr("10.0.0.7")}

	BeforeEach(func() {
		time0 = &clock{}
		DeferCleanup(clean) // once the managers are stopped
	})

	bound := func(ctx context.Context) {
		GinkgoHelper()
		for _, number := range numbers {
			becomes(ctx, number, v1alpha1.ReservationBound, "Bound")
		}
	}

	It("has reservations while it lives, which follow it", func(ctx SpecContext) {
		startManager(time0)
		web := retained("24h")
		Expect(admin.Create(ctx, web)).To(Succeed())
		bound(ctx)
		Expect(reservations(ctx)).To(ConsistOf("30080 24h", "30081 24h", "10.0.0.7 24h"))
		Expect(held(ctx)).To(BeEmpty())
		object, _, err := reservation(ctx, port(30081))
		Expect(err).NotTo(HaveOccurred())
		Expect(object.GetLabels()).To(HaveKeyWithValue(v1alpha1.RetainedLabel, "true"))
		Expect(object.(*v1alpha1.PortReservation).Spec.PortNames).To(Equal([]string{"p1"}))

		By("the annotation changes")
		web.Annotations[v1alpha1.RetainAnnotation] = "Retain"
		Expect(admin.Update(ctx, web)).To(Succeed())
		Eventually(reservations).WithArguments(ctx).Should(ConsistOf("30080 Retain", "30081 Retain", "10.0.0.7 Retain"))

		By("a mistake in writing changes nothing, and is told")
		web.Annotations[v1alpha1.RetainAnnotation] = "for ever"
		Expect(admin.Update(ctx, web)).To(Succeed())
		Eventually(events).WithArguments(ctx, "InvalidRetain").Should(ConsistOf(And(HavePrefix("Service web: "), ContainSubstring("use Delete, Retain or a duration"))))
		Expect(reservations(ctx)).To(HaveLen(3))

		By("a port is given up, another taken")
		web.Annotations[v1alpha1.RetainAnnotation] = "1h"
		web.Spec.Ports[1].NodePort = 30082
		Expect(admin.Update(ctx, web)).To(Succeed())
		Eventually(reservations).WithArguments(ctx).Should(ConsistOf("30080 1h", "30082 1h", "10.0.0.7 1h"))

		By("somebody deletes a reservation")
		object, _, err = reservation(ctx, port(30080))
		Expect(err).NotTo(HaveOccurred())
		Expect(admin.Delete(ctx, object)).To(Succeed())
		Eventually(reservations).WithArguments(ctx).Should(ContainElement("30080 1h"))

		By("the annotation goes")
		web.Annotations = nil
		Expect(admin.Update(ctx, web)).To(Succeed())
		Eventually(reservations).WithArguments(ctx).Should(BeEmpty())
	})

	It("keeps its numbers when it is deleted while no manager runs", func(ctx SpecContext) {
		stop := startManager(time0)
		web := retained("Retain")
		Expect(admin.Create(ctx, web)).To(Succeed())
		bound(ctx)
		stop()
		Expect(admin.Delete(ctx, web)).To(Succeed())
		startManager(time0)
		for _, number := range numbers {
			becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		}
		refused(ctx, numbers...)
	})

	It("keeps them for the time it says, counted from its end", func(ctx SpecContext) {
		startManager(time0)
		web := retained("1h")
		Expect(admin.Create(ctx, web)).To(Succeed())
		bound(ctx)
		time0.advance(10 * time.Hour) // of life do not count
		Expect(admin.Delete(ctx, web)).To(Succeed())
		for _, number := range numbers {
			status := becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
			Expect(status.ReleasedAt.Time).To(BeTemporally("~", time0.now(), time.Minute))
			Expect(status.ServiceUID).To(Equal(web.UID))
		}
		time0.advance(59 * time.Minute)
		for _, number := range numbers {
			touch(ctx, number)
		}
		refused(ctx, numbers...)

		By("coming back in time")
		for _, number := range numbers {
			claim(ctx, number, "web")
			Expect(newKeeper().Release(ctx, number)).To(Succeed())
		}
		again := retained("1h")
		Expect(admin.Create(ctx, again)).To(Succeed())
		bound(ctx)
		_, status, err := reservation(ctx, port(30080))
		Expect(err).NotTo(HaveOccurred())
		Expect(status.ReleasedAt).To(BeNil())
		Expect(status.ServiceUID).To(Equal(again.UID))

		By("going for good")
		Expect(admin.DeleteAllOf(ctx, &coordinationv1.Lease{}, client.InNamespace(systemNamespace))).To(Succeed())
		Expect(admin.Delete(ctx, again)).To(Succeed())
		for _, number := range numbers {
			becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		}
		time0.advance(time.Hour)
		for _, number := range numbers {
			touch(ctx, number)
			goes(ctx, number)
		}
		given(ctx, numbers...)
	})

	It("loses those that are reserved for another, and is told", func(ctx SpecContext) {
		startManager(time0)
		web := retained("Retain")
		web.Annotations = nil
		Expect(admin.Create(ctx, web)).To(Succeed())
		reserve(ctx, port(30081), "other", "Retain")
		becomes(ctx, port(30081), v1alpha1.ReservationConflicted, "HeldByAnother")
		web.Annotations = map[string]string{v1alpha1.RetainAnnotation: "Retain"}
		Expect(admin.Update(ctx, web)).To(Succeed())
		becomes(ctx, port(30080), v1alpha1.ReservationBound, "Bound")
		Eventually(events).WithArguments(ctx, "NumberReservedForAnother").Should(ConsistOf(ContainSubstring("30081")))
		object, _, err := reservation(ctx, port(30081))
		Expect(err).NotTo(HaveOccurred())
		Expect(object.(*v1alpha1.PortReservation).Spec.ServiceRef.Name).To(Equal("other"))
	})
})

var _ = Describe("A reservation made by hand that does not outlive its Service", func() {
	BeforeEach(func() { DeferCleanup(clean) })

	It("goes with it", func(ctx SpecContext) {
		startManager(&clock{})
		web := service("web", 30080)
		Expect(admin.Create(ctx, web)).To(Succeed())
		reserve(ctx, port(30080), "web", v1alpha1.RetainDelete)
		becomes(ctx, port(30080), v1alpha1.ReservationBound, "Bound")
		Expect(admin.Delete(ctx, web)).To(Succeed())
		goes(ctx, port(30080))
		given(ctx, port(30080))
	})
})

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
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/placeholder"
)

var _ = Describe("A reservation, while no webhook answers", func() {
	var time0 *clock
	numbers := []allocator.Number{port(30080), addr("10.0.0.7")}

	BeforeEach(func() {
		time0 = &clock{}
		DeferCleanup(clean) // once the managers are stopped
	})

	It("keeps its number from everybody, until it is deleted", func(ctx SpecContext) {
		startManager(time0)
		for _, number := range numbers {
			reserve(ctx, number, "web", "")
			status := becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
			Expect(status.ObservedGeneration).To(Equal(int64(1)))
		}
		refused(ctx, numbers...)
		Expect(held(ctx)).To(Equal([]string{"30080", "10.0.0.7"}))
		for _, number := range numbers {
			object, _, err := reservation(ctx, number)
			Expect(err).NotTo(HaveOccurred())
			Expect(admin.Delete(ctx, object)).To(Succeed())
		}
		given(ctx, numbers...)
		Expect(held(ctx)).To(BeEmpty())
	})

	It("says where nothing can hold its number", func(ctx SpecContext) {
		startManager(time0)
		for _, number := range []allocator.Number{port(8080), addr("192.0.2.7"), addr("2001:db8::7")} {
			reserve(ctx, number, "web", "")
			becomes(ctx, number, v1alpha1.ReservationPending, "OutOfRange")
		}
		Expect(held(ctx)).To(BeEmpty())
	})

	It("is held again in a ServiceCIDR that comes, and lets one go that is removed", func(ctx SpecContext) {
		startManager(time0)
		reserve(ctx, addr("10.7.0.7"), "web", "")
		becomes(ctx, addr("10.7.0.7"), v1alpha1.ReservationPending, "OutOfRange")
		cidr := &networkingv1.ServiceCIDR{Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.7.0.0/24"}}}
		cidr.Name = "more"
		Expect(admin.Create(ctx, cidr)).To(Succeed())
		becomes(ctx, addr("10.7.0.7"), v1alpha1.ReservationReserved, "Placeholder")
		// No controller is there to take the finalizer off, so it stays in deletion.
		cidr.Finalizers = []string{"networking.k8s.io/service-cidr-finalizer"}
		Expect(admin.Update(ctx, cidr)).To(Succeed())
		Expect(admin.Delete(ctx, cidr)).To(Succeed())
		becomes(ctx, addr("10.7.0.7"), v1alpha1.ReservationPending, "OutOfRange")
		Eventually(held).WithArguments(ctx).Should(BeEmpty())
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(cidr), cidr)).To(Succeed())
		cidr.Finalizers = nil
		Expect(admin.Update(ctx, cidr)).To(Succeed())
	})

	It("is handed over to its Service", func(ctx SpecContext) {
		startManager(time0)
		for i, number := range numbers {
			reserve(ctx, number, fmt.Sprintf("web%d", i), "")
			becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
			lease := claim(ctx, number, fmt.Sprintf("web%d", i))
			Expect(newKeeper().Release(ctx, number)).To(Succeed())
			becomes(ctx, number, v1alpha1.ReservationPending, "HandOver")

			s := service(fmt.Sprintf("web%d", i), number.Port)
			if !number.IsPort() {
				s = at(s, number.String())
			}
			Expect(admin.Create(ctx, s)).To(Succeed())
			status := becomes(ctx, number, v1alpha1.ReservationBound, "Bound")
			Expect(status.ServiceUID).To(Equal(s.UID))
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(lease), lease)).To(MatchError(ContainSubstring("not found")), "the claim has done its work")
		}
		Expect(held(ctx)).To(BeEmpty())
	})

	It("is held again when the hand-over has failed and its claim is gone", func(ctx SpecContext) {
		startManager(time0)
		for _, number := range numbers {
			reserve(ctx, number, "web", "")
			becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
			lease := claim(ctx, number, "web")
			Expect(newKeeper().Release(ctx, number)).To(Succeed())
			becomes(ctx, number, v1alpha1.ReservationPending, "HandOver")
			Expect(held(ctx)).NotTo(ContainElement(number.String()))
			Expect(admin.Delete(ctx, lease)).To(Succeed())
			becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		}
		refused(ctx, numbers...)
	})

	It("leaves its number to whoever has it, says so to both, and takes it when it is free", func(ctx SpecContext) {
		startManager(time0)
		for _, number := range numbers {
			holder := asking(number)
			Expect(admin.Create(ctx, holder)).To(Succeed())
			reserve(ctx, number, "web", "")
			becomes(ctx, number, v1alpha1.ReservationConflicted, "HeldByAnother")
			Eventually(events).WithArguments(ctx, "ReservationConflicted").Should(ContainElements(
				And(HavePrefix("Service asks: "+number.String()+" is reserved for a Service of another namespace"), ContainSubstring("Reservation "+number.ReservationName())),
				HavePrefix(allocator.Reservation{Number: number}.Kind()+" "+number.ReservationName()+": "+number.String()+" is held by somebody else"),
			))
			Expect(admin.Delete(ctx, holder)).To(Succeed())
			becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		}
		refused(ctx, numbers...)
	})

	It("gets its address from a placeholder that happens to have it", func(ctx SpecContext) {
		startManager(time0)
		reserve(ctx, port(30080), "web", "")
		becomes(ctx, port(30080), v1alpha1.ReservationReserved, "Placeholder")
		var holder corev1.Service
		key := client.ObjectKey{Namespace: systemNamespace, Name: placeholder.PortsName(30080)}
		Expect(admin.Get(ctx, key, &holder)).To(Succeed())
		number := addr(holder.Spec.ClusterIP)
		reserve(ctx, number, "web", "")
		becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		becomes(ctx, port(30080), v1alpha1.ReservationReserved, "Placeholder")
		Eventually(held).WithArguments(ctx).Should(Equal([]string{"30080", number.String()}))
	})

	It("leaves an address to an object that is no Service", func(ctx SpecContext) {
		theirs := address("10.0.0.7", "gateways.example.com", networkingv1.ParentReference{Group: "example.com", Resource: "gateways", Namespace: "team-b", Name: "edge"})
		Expect(admin.Create(ctx, theirs)).To(Succeed())
		startManager(time0)
		reserve(ctx, addr("10.0.0.7"), "web", "")
		becomes(ctx, addr("10.0.0.7"), v1alpha1.ReservationConflicted, "HeldByAnother")
		Expect(admin.Delete(ctx, theirs)).To(Succeed())
		becomes(ctx, addr("10.0.0.7"), v1alpha1.ReservationReserved, "Placeholder")
	})

	It("holds again what somebody has taken away", func(ctx SpecContext) {
		startManager(time0)
		for _, number := range numbers {
			reserve(ctx, number, "web", "")
			becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		}
		Expect(admin.DeleteAllOf(ctx, &corev1.Service{}, client.InNamespace(systemNamespace), client.HasLabels{placeholder.Label})).To(Succeed())
		Expect(admin.Delete(ctx, &networkingv1.IPAddress{ObjectMeta: address("10.0.0.7", "", networkingv1.ParentReference{}).ObjectMeta})).To(Succeed())
		Eventually(held).WithArguments(ctx).Should(Equal([]string{"30080", "10.0.0.7"}))
	})

	It("needs no memory: each step may be the last of one manager and the first of the next", func(ctx SpecContext) {
		By("reservations made while no manager runs")
		for _, number := range numbers {
			reserve(ctx, number, "web", "1h")
		}
		stop := startManager(time0)
		for _, number := range numbers {
			becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		}
		placeholders := func() (versions []string) {
			var services corev1.ServiceList
			Expect(admin.List(ctx, &services, client.InNamespace(systemNamespace))).To(Succeed())
			for _, s := range services.Items {
				versions = append(versions, s.Name+s.ResourceVersion)
			}
			for _, number := range numbers {
				object, _, err := reservation(ctx, number)
				Expect(err).NotTo(HaveOccurred())
				versions = append(versions, object.GetResourceVersion())
			}
			return versions
		}
		before := placeholders()
		stop()

		By("nothing has changed when the next one starts")
		stop = startManager(time0)
		reserve(ctx, port(30200), "probe", "") // looked at after the others
		becomes(ctx, port(30200), v1alpha1.ReservationReserved, "Placeholder")
		stop()
		Expect(placeholders()).To(ContainElements(before))

		By("its Service gets the numbers while no manager runs")
		for _, number := range numbers {
			Expect(newKeeper().Release(ctx, number)).To(Succeed())
		}
		web := at(service("web", 30080), "10.0.0.7")
		Expect(admin.Create(ctx, web)).To(Succeed())
		stop = startManager(time0)
		for _, number := range numbers {
			becomes(ctx, number, v1alpha1.ReservationBound, "Bound")
		}
		stop()

		By("its Service is deleted while no manager runs")
		Expect(admin.Delete(ctx, web)).To(Succeed())
		stop = startManager(time0)
		for _, number := range numbers {
			status := becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
			Expect(status.ReleasedAt).NotTo(BeNil())
		}
		refused(ctx, numbers...)
		stop()

		By("its time runs out while no manager runs")
		time0.advance(time.Hour)
		stop = startManager(time0)
		for _, number := range numbers {
			goes(ctx, number)
		}
		given(ctx, numbers...)
		reserve(ctx, port(30080), "web", "")
		becomes(ctx, port(30080), v1alpha1.ReservationReserved, "Placeholder")
		stop()

		By("it is deleted while no manager runs")
		object, _, err := reservation(ctx, port(30080))
		Expect(err).NotTo(HaveOccurred())
		Expect(admin.Delete(ctx, object)).To(Succeed())
		startManager(time0)
		given(ctx, port(30080))
	})

	// As around a change of leaders, for longer than one takes.
	It("is held once by two managers that both take themselves for the leader", func(ctx SpecContext) {
		startManager(time0)
		startManager(time0)
		var odd, even []allocator.Number
		for number := int32(30100); number < 30160; number++ {
			reserve(ctx, port(number), "web", "")
			if number%2 == 0 {
				even = append(even, port(number))
			} else {
				odd = append(odd, port(number))
			}
		}
		Eventually(held).WithArguments(ctx).Should(HaveLen(60))
		for _, number := range even {
			object, _, err := reservation(ctx, number)
			Expect(err).NotTo(HaveOccurred())
			Expect(admin.Delete(ctx, object)).To(Succeed())
		}
		given(ctx, even...)
		for _, number := range odd {
			becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		}
		refused(ctx, odd...)
		Expect(held(ctx)).To(HaveLen(30))
	})
})

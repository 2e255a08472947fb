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
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/test/testenv/numbers"
	"switchyard.dev/switchyard/webhooks"
)

// What holds a number is not to be talked away by whoever may write a Service.
var _ = Describe("A number that is held", func() {
	BeforeEach(func() { DeferCleanup(clean) })

	It("stays held when others name it where no object of the server says who has it", func(ctx SpecContext) {
		startManager(&clock{})
		number := addr("10.0.0.7")
		reserve(ctx, number, "web", "Retain")
		becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		thief := service("thief", 0)
		thief.Namespace, thief.Spec.ExternalIPs = "team-b", []string{"10.0.0.7"}
		Expect(admin.Create(ctx, thief)).To(Succeed())
		web := service("web", 0)
		web.Spec.ExternalIPs = []string{"10.0.0.7"}
		Expect(admin.Create(ctx, web)).To(Succeed())
		generation := touched(ctx, number)
		Eventually(observedGeneration).WithArguments(ctx, number).Should(Equal(generation))
		becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		refused(ctx, number)
		Expect(events(ctx, "ReservationConflicted")).To(BeEmpty())
	})

	It("stays reserved when it is moved to another Service", func(ctx SpecContext) {
		startManager(&clock{})
		number := port(30080)
		web := service("web", 30080)
		Expect(admin.Create(ctx, web)).To(Succeed())
		reserve(ctx, number, "web", v1alpha1.RetainDelete)
		becomes(ctx, number, v1alpha1.ReservationBound, "Bound")
		move(ctx, number, "other")
		status := becomes(ctx, number, v1alpha1.ReservationConflicted, "HeldByAnother")
		Expect(status.Service.Name).To(Equal("other"))
		Expect(status.ServiceUID).To(BeEmpty())
		By("the first Service ends")
		Expect(admin.Delete(ctx, web)).To(Succeed())
		becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		refused(ctx, number)
		By("it is kept from everybody")
		move(ctx, number, "")
		Eventually(func() *v1alpha1.ServiceReference {
			_, status, err := reservation(ctx, number)
			Expect(err).NotTo(HaveOccurred())
			return status.Service
		}).Should(BeNil())
		refused(ctx, number)
	})

	It("stays reserved when it was retained and is moved", func(ctx SpecContext) {
		startManager(&clock{})
		other := service("other", 30085)
		Expect(admin.Create(ctx, other)).To(Succeed())
		web := retained("1h")
		Expect(admin.Create(ctx, web)).To(Succeed())
		becomes(ctx, port(30080), v1alpha1.ReservationBound, "Bound")
		move(ctx, port(30080), "other")
		becomes(ctx, port(30080), v1alpha1.ReservationConflicted, "HeldByAnother")
		Expect(admin.Delete(ctx, web)).To(Succeed())
		status := becomes(ctx, port(30080), v1alpha1.ReservationReserved, "Placeholder")
		Expect(status.ReleasedAt).To(BeNil(), "its time runs, and its Service lives")
	})

	It("is not tried again and again where the server gives no ports", func(ctx SpecContext) {
		watcher, err := client.NewWithWatch(server.Config, client.Options{Scheme: admin.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		watch, err := watcher.Watch(ctx, &coordinationv1.LeaseList{}, client.InNamespace(systemNamespace))
		Expect(err).NotTo(HaveOccurred())
		startManager(&clock{})
		reserve(ctx, port(8080), "web", "Retain")
		becomes(ctx, port(8080), v1alpha1.ReservationPending, "OutOfRange")
		reserve(ctx, port(30080), "web", "Retain") // this one takes a lock, after the other
		becomes(ctx, port(30080), v1alpha1.ReservationReserved, "Placeholder")
		DeferCleanup(watch.Stop)
		for name := ""; name != port(30080).ObjectName(); {
			var event apiwatch.Event
			Eventually(watch.ResultChan()).Should(Receive(&event))
			name = event.Object.(client.Object).GetName()
			Expect(name).NotTo(Equal(port(8080).ObjectName()))
		}
	})
})

var _ = Describe("Where nobody would hand a number over", func() {
	BeforeEach(func() { DeferCleanup(clean) })
	ours := []allocator.Number{port(30080), addr("10.0.0.7")}

	It("nothing is held, and what was is let go of", func(ctx SpecContext) {
		stop := startManager(&clock{})
		for _, number := range ours {
			reserve(ctx, number, "web", "Retain")
			becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		}
		stop()
		server.StartManager(numbers.Manager{Reservations: controllers.Reservations{NoWebhook: true}})
		for _, number := range ours {
			becomes(ctx, number, v1alpha1.ReservationPending, "NoWebhook")
		}
		Expect(held(ctx)).To(BeEmpty())
		Expect(admin.Create(ctx, at(service("web", 30080), "10.0.0.7"))).To(Succeed())
		for _, number := range ours {
			becomes(ctx, number, v1alpha1.ReservationBound, "Bound")
		}
	})

	It("the Services that a cluster boots with get their own", func(ctx SpecContext) {
		server.StartManager(numbers.Manager{Reservations: controllers.Reservations{Exempt: webhooks.Exemptions{Namespace: systemNamespace}.Object}})
		dns := at(service("kube-dns", 0), "10.0.0.10")
		dns.Namespace, dns.Annotations = "kube-system", map[string]string{v1alpha1.RetainAnnotation: "Retain"}
		again := dns.DeepCopy()
		Expect(admin.Create(ctx, dns)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(admin.Delete(ctx, again))).To(Succeed()) })
		becomes(ctx, addr("10.0.0.10"), v1alpha1.ReservationBound, "Bound")
		Expect(admin.Delete(ctx, dns)).To(Succeed())
		becomes(ctx, addr("10.0.0.10"), v1alpha1.ReservationPending, "ExemptService")
		Expect(held(ctx)).To(BeEmpty())
		Expect(admin.Create(ctx, again)).To(Succeed())
		becomes(ctx, addr("10.0.0.10"), v1alpha1.ReservationBound, "Bound")
	})
})

var _ = Describe("A namespace with a limit", func() {
	BeforeEach(func() { DeferCleanup(clean) })

	It("keeps no more numbers of Services that are gone", func(ctx SpecContext) {
		const limit = 5
		server.StartManager(numbers.Manager{Reservations: controllers.Reservations{RetainLimit: new(limit)}})
		make3 := func(name string) *corev1.Service {
			s := service(name, 0, 0)
			s.Annotations = map[string]string{v1alpha1.RetainAnnotation: "Retain"}
			return s
		}
		By("one Service after the other")
		for i := range 4 {
			s := make3(fmt.Sprint("tmp", i))
			Expect(admin.Create(ctx, s)).To(Succeed())
			if i == 0 {
				for _, holding := range allocator.HoldingsOf(s) {
					becomes(ctx, holding.Number, v1alpha1.ReservationBound, "Bound")
				}
			} else {
				Eventually(events).WithArguments(ctx, "RetainLimit").Should(ContainElement(HavePrefix("Service " + s.Name + ": no number")))
			}
			Expect(admin.Delete(ctx, s)).To(Succeed())
			if i == 0 {
				for _, holding := range allocator.HoldingsOf(s) {
					becomes(ctx, holding.Number, v1alpha1.ReservationReserved, "Placeholder")
				}
			}
		}
		Expect(reservations(ctx)).To(HaveLen(3))

		By("an administrator allows more")
		label(ctx, "team-a", "9")
		DeferCleanup(label, "team-a", "")
		var living []*corev1.Service
		for i := range 3 {
			s := make3(fmt.Sprint("more", i))
			Expect(admin.Create(ctx, s)).To(Succeed())
			living = append(living, s)
			for _, holding := range allocator.HoldingsOf(s) {
				becomes(ctx, holding.Number, v1alpha1.ReservationBound, "Bound")
			}
		}
		By("all of them at once")
		for _, s := range living {
			Expect(admin.Delete(ctx, s)).To(Succeed())
		}
		Eventually(func() []string { return releasedNames(ctx) }).Should(HaveLen(9))
		Eventually(reservations).WithArguments(ctx).Should(HaveLen(9))
		Eventually(events).WithArguments(ctx, "RetainLimit").Should(ContainElement(And(HavePrefix("Service more"), ContainSubstring("is not kept"))))

		By("by hand there is no limit")
		free := server.NodePorts.First
		for slices.Contains(reservations(ctx), fmt.Sprintf("%d Retain", free)) {
			free++
		}
		reserve(ctx, port(free), "web", "Retain")
		becomes(ctx, port(free), v1alpha1.ReservationReserved, "Placeholder")
	})

	It("of 0 keeps none, until that changes", func(ctx SpecContext) {
		server.StartManager(numbers.Manager{Reservations: controllers.Reservations{RetainLimit: new(0)}})
		web := retained("24h")
		Expect(admin.Create(ctx, web)).To(Succeed())
		Eventually(events).WithArguments(ctx, "RetainLimit").Should(ConsistOf(ContainSubstring("has no effect")))
		Expect(reservations(ctx)).To(BeEmpty())
		label(ctx, "team-a", "3")
		DeferCleanup(label, "team-a", "")
		Eventually(reservations).WithArguments(ctx).Should(HaveLen(3))
		label(ctx, "team-a", "0")
		Eventually(reservations).WithArguments(ctx).Should(BeEmpty())
	})
})

// A value of any length is told, in part.
var _ = Describe("A long mistake", func() {
	BeforeEach(func() { DeferCleanup(clean) })

	It("is told", func(ctx SpecContext) {
		startManager(&clock{})
		Expect(admin.Create(ctx, retained(strings.Repeat("x", 200_000)))).To(Succeed())
		Eventually(events).WithArguments(ctx, "InvalidRetain").Should(ConsistOf(ContainSubstring(`"` + strings.Repeat("x", 40) + `"...`)))
	})

	It("is refused in a reservation", func(ctx SpecContext) {
		for retain, want := range map[string]string{"8761h": "at most 8760h", "999999h": "at most 8760h"} {
			Expect(admin.Create(ctx, &v1alpha1.PortReservation{
				ObjectMeta: metav1.ObjectMeta{Name: "30080"}, Spec: v1alpha1.PortReservationSpec{Retain: v1alpha1.Retain(retain)},
			})).To(MatchError(ContainSubstring(want)))
		}
		Expect(admin.Create(ctx, &v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: "30080"}, Spec: v1alpha1.PortReservationSpec{Retain: "8760h"}})).To(Succeed())
	})
})

// move gives a reserved port to another Service of team-a, or to nobody.
func move(ctx context.Context, number allocator.Number, name string) {
	GinkgoHelper()
	Eventually(func() error {
		object, _, err := reservation(ctx, number)
		if err != nil {
			return err
		}
		spec := &object.(*v1alpha1.PortReservation).Spec
		if spec.ServiceRef = nil; name != "" {
			spec.ServiceRef = &v1alpha1.ServiceReference{Namespace: "team-a", Name: name}
		}
		return admin.Update(ctx, object)
	}).Should(Succeed())
}

// label sets or removes the limit of a namespace.
func label(ctx context.Context, namespace, limit string) {
	GinkgoHelper()
	Eventually(func() error {
		var object corev1.Namespace
		if err := admin.Get(ctx, client.ObjectKey{Name: namespace}, &object); err != nil {
			return err
		}
		if delete(object.Labels, v1alpha1.RetainLimitLabel); limit != "" {
			object.Labels[v1alpha1.RetainLimitLabel] = limit
		}
		return admin.Update(ctx, &object)
	}).Should(Succeed())
}

// touched changes what a reservation says in a way that changes nothing, and
// returns the generation that the status is to be of.
func touched(ctx context.Context, number allocator.Number) (generation int64) {
	GinkgoHelper()
	Eventually(func() error {
		object, _, err := reservation(ctx, number)
		if err != nil {
			return err
		}
		object.(*v1alpha1.AddressReservation).Spec.Retain = "24h"
		err = admin.Update(ctx, object)
		generation = object.GetGeneration()
		return err
	}).Should(Succeed())
	return generation
}

func observedGeneration(ctx context.Context, number allocator.Number) (int64, error) {
	_, status, err := reservation(ctx, number)
	return status.ObservedGeneration, err
}

// releasedNames lists the reservations whose Service is known to be gone.
func releasedNames(ctx context.Context) []string {
	GinkgoHelper()
	var ports v1alpha1.PortReservationList
	var addresses v1alpha1.AddressReservationList
	Expect(admin.List(ctx, &ports)).To(Succeed())
	Expect(admin.List(ctx, &addresses)).To(Succeed())
	var names []string
	for _, r := range ports.Items {
		if r.Status.ReleasedAt != nil {
			names = append(names, r.Name)
		}
	}
	for _, r := range addresses.Items {
		if r.Status.ReleasedAt != nil {
			names = append(names, r.Name)
		}
	}
	return names
}

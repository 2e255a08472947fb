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
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/test/testenv/numbers"
)

var _ = Describe("With the webhook", func() {
	var webhook *numbers.Webhook
	serve := func(ctx context.Context) (stop func()) {
		GinkgoHelper()
		stop = server.StartManager(numbers.Manager{Webhook: webhook, Mode: allocator.Advisory}).Stop
		Eventually(server.CallsWebhook).WithArguments(ctx).Should(BeTrue(), "the webhook is not called")
		return stop
	}
	BeforeEach(func(ctx SpecContext) {
		DeferCleanup(clean)
		webhook = server.InstallWebhook(ctx)
	})

	// anyNumbers is what a user writes: a balancer that names no number at all.
	anyNumbers := func() *corev1.Service {
		s := service("web", 0, 0)
		s.Annotations = map[string]string{v1alpha1.RetainAnnotation: "24h"}
		s.Spec.Type, s.Spec.ExternalTrafficPolicy = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal
		return s
	}
	create := func(ctx context.Context) (numbers []allocator.Number) {
		GinkgoHelper()
		web := anyNumbers()
		Expect(admin.Create(ctx, web)).To(Succeed())
		for _, holding := range allocator.HoldingsOf(web) {
			numbers = append(numbers, holding.Number)
		}
		Expect(numbers).To(HaveLen(4), "a ClusterIP, two NodePorts and one for the health check")
		for _, number := range numbers {
			becomes(ctx, number, v1alpha1.ReservationBound, "Bound")
		}
		return numbers
	}
	remove := func(ctx context.Context) {
		GinkgoHelper()
		Expect(admin.Delete(ctx, anyNumbers())).To(Succeed())
	}
	kept := func(ctx context.Context, numbers []allocator.Number) {
		GinkgoHelper()
		for _, number := range numbers {
			becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
		}
	}

	It("a Service that is created again has the numbers it had", func(ctx SpecContext) {
		serve(ctx)
		numbers := create(ctx)
		for round := range 3 {
			remove(ctx)
			kept(ctx, numbers)
			for i := range 5 { // others come meanwhile and take any
				Expect(admin.Create(ctx, service(fmt.Sprintf("other%d-%d", round, i), 0, 0))).To(Succeed())
			}
			Expect(create(ctx)).To(Equal(numbers))
			Expect(held(ctx)).To(BeEmpty())
		}
	})

	It("a Service that was deleted while nothing of ours ran has the numbers it had", func(ctx SpecContext) {
		stop := serve(ctx)
		numbers := create(ctx)
		stop()
		remove(ctx)
		serve(ctx)
		kept(ctx, numbers)
		Expect(create(ctx)).To(Equal(numbers))
	})

	It("a Service that was created again while nothing of ours ran can get them by another try", func(ctx SpecContext) {
		stop := serve(ctx)
		numbers := create(ctx)
		remove(ctx)
		kept(ctx, numbers)
		stop()
		object, _, err := reservation(ctx, numbers[0])
		Expect(err).NotTo(HaveOccurred())
		older := object.GetCreationTimestamp() // in whole seconds
		Eventually(time.Now).Should(BeTemporally(">", older.Add(time.Second)))
		Expect(admin.Create(ctx, anyNumbers())).To(Succeed()) // with numbers of the server's choice
		serve(ctx)
		for _, number := range numbers {
			status := becomes(ctx, number, v1alpha1.ReservationReserved, "Placeholder")
			Expect(status.ReleasedAt).NotTo(BeNil())
		}
		remove(ctx)
		web := anyNumbers()
		web.Annotations = nil
		Expect(admin.Create(ctx, web)).To(Succeed())
		var again []allocator.Number
		for _, holding := range allocator.HoldingsOf(web) {
			again = append(again, holding.Number)
		}
		Expect(again).To(Equal(numbers), "the older reservations come first")
	})

	It("numbers are held again when the create fails after they were handed over", func(ctx SpecContext) {
		serve(ctx)
		numbers := create(ctx)
		remove(ctx)
		kept(ctx, numbers)
		web := anyNumbers()
		web.Spec.SessionAffinity = "Sometimes" // allocation comes before validation
		Expect(admin.Create(ctx, web)).To(MatchError(ContainSubstring("sessionAffinity")))
		for _, number := range numbers {
			becomes(ctx, number, v1alpha1.ReservationPending, "HandOver")
		}
		Expect(admin.DeleteAllOf(ctx, &coordinationv1.Lease{}, client.InNamespace(systemNamespace))).To(Succeed()) // as after 60 s
		kept(ctx, numbers)
		refused(ctx, numbers...)
		Expect(create(ctx)).To(Equal(numbers))
	})
})

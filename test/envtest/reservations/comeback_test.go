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
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// installWebhook has the API server call a webhook, and skip it when it is away.
func installWebhook(ctx context.Context) envtest.WebhookInstallOptions {
	GinkgoHelper()
	path, ignore, sideEffects := "/mutate--v1-service", admissionregistrationv1.Ignore, admissionregistrationv1.SideEffectClassNoneOnDryRun
	options := envtest.WebhookInstallOptions{MutatingWebhooks: []*admissionregistrationv1.MutatingWebhookConfiguration{{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: "switchyard"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "mservice.switchyard.dev", AdmissionReviewVersions: []string{"v1"}, FailurePolicy: &ignore, SideEffects: &sideEffects,
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				Service: &admissionregistrationv1.ServiceReference{Namespace: systemNamespace, Name: "webhook", Path: &path},
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"services"}},
			}},
		}},
	}}}
	Expect(options.PrepWithoutInstalling()).To(Succeed())
	Expect(admin.Create(ctx, options.MutatingWebhooks[0])).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(admin.Delete(ctx, options.MutatingWebhooks[0])).To(Succeed())
		Eventually(answersDryRun).WithArguments(ctx).Should(BeFalse(), "the webhook is still called")
	})
	return options
}

// answersDryRun: the API server alone answers with a port outside of its range.
func answersDryRun(ctx context.Context) bool {
	GinkgoHelper()
	probe := service("probe", 0, 0)
	Expect(admin.Create(ctx, probe, client.DryRunAll)).To(Succeed())
	return probe.Spec.Ports[0].NodePort != 32769
}

var _ = Describe("With the webhook", func() {
	var options envtest.WebhookInstallOptions
	serve := func(ctx context.Context) (stop func()) {
		GinkgoHelper()
		stop = startManagerWith(&clock{}, webhook.NewServer(webhook.Options{
			Host: options.LocalServingHost, Port: options.LocalServingPort, CertDir: options.LocalServingCertDir,
		}))
		Eventually(answersDryRun).WithArguments(ctx).Should(BeTrue(), "the webhook is not called")
		return stop
	}
	BeforeEach(func(ctx SpecContext) {
		DeferCleanup(clean)
		options = installWebhook(ctx)
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

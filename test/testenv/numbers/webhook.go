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

package numbers

import (
	"context"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// Webhook is the mutating webhook at an address of this process, which one
// manager after another may serve.
type Webhook struct{ options envtest.WebhookInstallOptions }

func (w *Webhook) server() webhook.Server {
	return webhook.NewServer(webhook.Options{
		Host: w.options.LocalServingHost, Port: w.options.LocalServingPort, CertDir: w.options.LocalServingCertDir,
	})
}

// InstallWebhook has the API server call a webhook, and skip it when it is away,
// until the spec or the container ends.
func (s *Server) InstallWebhook(ctx context.Context) *Webhook {
	ginkgo.GinkgoHelper()
	w := &Webhook{options: envtest.WebhookInstallOptions{
		MutatingWebhooks: []*admissionregistrationv1.MutatingWebhookConfiguration{webhookConfiguration()},
	}}
	gomega.Expect(w.options.PrepWithoutInstalling()).To(gomega.Succeed())
	ginkgo.DeferCleanup(w.options.Cleanup)
	gomega.Expect(s.Admin.Create(ctx, w.options.MutatingWebhooks[0])).To(gomega.Succeed())
	ginkgo.DeferCleanup(func(ctx ginkgo.SpecContext) {
		gomega.Expect(s.Admin.Delete(ctx, w.options.MutatingWebhooks[0])).To(gomega.Succeed())
		gomega.Eventually(s.CallsWebhook).WithArguments(ctx).Should(gomega.BeFalse(), "the webhook is still called")
	})
	return w
}

// CallsWebhook tells whether dry runs are answered by a webhook of ours. The API
// server alone answers with a port outside of its range.
func (s *Server) CallsWebhook(ctx context.Context) bool {
	ginkgo.GinkgoHelper()
	probe := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "probe"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	gomega.Expect(s.Admin.Create(ctx, probe, client.DryRunAll)).To(gomega.Succeed())
	return probe.Spec.Ports[0].NodePort != 32769
}

// patience is the longest time that an API server waits for a webhook: the machine
// may have other work, and what is not answered in time passes.
const patience int32 = 30

// webhookConfiguration is what config/webhook installs, for every namespace and a
// machine that has other work.
func webhookConfiguration() *admissionregistrationv1.MutatingWebhookConfiguration {
	path, ignore, sideEffects, timeout := "/mutate--v1-service", admissionregistrationv1.Ignore, admissionregistrationv1.SideEffectClassNoneOnDryRun, patience
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: "switchyard"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name:                    "mservice.switchyard.dev",
			AdmissionReviewVersions: []string{"v1"},
			FailurePolicy:           &ignore,
			SideEffects:             &sideEffects,
			TimeoutSeconds:          &timeout,
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				Service: &admissionregistrationv1.ServiceReference{Namespace: Namespace, Name: "webhook", Path: &path},
			},
			Rules: writesOfServices,
		}},
	}
}

var writesOfServices = []admissionregistrationv1.RuleWithOperations{{
	Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
	Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"services"}},
}}

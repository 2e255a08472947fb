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
	"fmt"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"switchyard.dev/switchyard/webhooks"
)

// serveRules has the manager judge Services after the API server has drawn their
// numbers.
func serveRules(ctx context.Context, mgr manager.Manager) {
	ginkgo.GinkgoHelper()
	gomega.Expect(webhooks.SetupIndexes(ctx, mgr.GetFieldIndexer())).To(gomega.Succeed())
	gomega.Expect(webhooks.SetupInformers(ctx, mgr.GetCache())).To(gomega.Succeed())
	cluster := &webhooks.Cluster{Cached: mgr.GetClient(), Live: mgr.GetAPIReader(), Names: webhooks.ReaderNames{Reviews: mgr.GetClient()}}
	webhooks.SetupValidatingWebhooks(mgr, webhooks.Validation{
		World: cluster, Namespaces: cluster, Exempt: webhooks.Exemptions{Namespace: Namespace},
	})
}

// InstallRules has the API server ask the rules, too, at the address of a webhook
// that is installed, until the spec or the container ends.
func (s *Server) InstallRules(ctx context.Context, w *Webhook) {
	ginkgo.GinkgoHelper()
	url := fmt.Sprintf("https://%s:%d/validate--v1-service", w.options.LocalServingHost, w.options.LocalServingPort)
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "switchyard"},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name:                    "service.validate.switchyard.dev",
			AdmissionReviewVersions: []string{"v1"},
			FailurePolicy:           new(admissionregistrationv1.Ignore),
			SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
			TimeoutSeconds:          new(patience),
			ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: &url, CABundle: w.options.LocalServingCAData},
			Rules:                   writesOfServices,
		}},
	}
	gomega.Expect(s.Admin.Create(ctx, configuration)).To(gomega.Succeed())
	ginkgo.DeferCleanup(func(ctx ginkgo.SpecContext) {
		gomega.Expect(s.Admin.Delete(ctx, configuration)).To(gomega.Succeed())
	})
}

// AsksRules tells whether the rules refuse what is against them: an address of
// default/kubernetes as somebody's external IP.
func (s *Server) AsksRules(ctx context.Context) bool {
	ginkgo.GinkgoHelper()
	var kubernetes corev1.Service
	gomega.Expect(s.Admin.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}, &kubernetes)).To(gomega.Succeed())
	probe := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "probe"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}, ExternalIPs: kubernetes.Spec.ClusterIPs},
	}
	return s.Admin.Create(ctx, probe, client.DryRunAll) != nil
}

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

package admission

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/cmd/manager/app"
)

// callHere is a webhook configuration of the name that the install tree uses,
// which calls this process by localhost for one namespace only.
func callHere(namespace string, port int) *admissionregistrationv1.ValidatingWebhookConfiguration {
	return &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "switchyard-validating-webhook-configuration"},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name:                    "own.validate.switchyard.dev",
			ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: new(fmt.Sprintf("https://localhost:%d/validate--v1-service", port))},
			FailurePolicy:           ptr.To(admissionregistrationv1.Ignore),
			SideEffects:             ptr.To(admissionregistrationv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
			NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"services"}},
			}},
		}},
	}
}

// served is the certificate that a client gets who trusts the configuration.
func served(configuration, name string, port int) (*x509.Certificate, error) {
	var current admissionregistrationv1.ValidatingWebhookConfiguration
	if err := api.Get(context.Background(), client.ObjectKey{Name: configuration}, &current); err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(current.Webhooks[0].ClientConfig.CABundle)
	connection, err := tls.Dial("tcp", fmt.Sprintf("localhost:%d", port), &tls.Config{RootCAs: roots, ServerName: name})
	if err != nil {
		return nil, err
	}
	defer func() { _ = connection.Close() }()
	return connection.ConnectionState().PeerCertificates[0], nil
}

var _ = Describe("The manager's own certificate", Ordered, func() {
	var (
		namespace     string
		port          int
		configuration *admissionregistrationv1.ValidatingWebhookConfiguration
	)

	BeforeAll(func() {
		namespace, port = newNamespace(nil), freePort()
		configuration = callHere(namespace, port)
		Expect(create(configuration)).To(Succeed())
		DeferCleanup(func() { Expect(client.IgnoreNotFound(api.Delete(context.Background(), configuration))).To(Succeed()) })

		manager := start(func(options *app.Options) {
			options.Webhooks.Dir = ""
			options.Certificates.Settle = 100 * time.Millisecond
			options.Webhooks.Host = ""
			options.Webhooks.Port = port
		})
		DeferCleanup(manager.stop)
	})

	judged := func() {
		Eventually(dryRun).WithArguments(makeService(namespace, "web").external("10.0.0.2").Service).
			Should(beRefused("own.validate.switchyard.dev"))
	}

	It("is made, trusted by the configuration, and served, when the manager is ready", func() {
		for _, name := range []string{"switchyard-webhook-service.switchyard-system.svc", "localhost"} {
			_, err := served(configuration.Name, name, port)
			Expect(err).NotTo(HaveOccurred())
		}
		judged()
	})

	DescribeTable("is made again, authority and all, when its Secret is", func(lose func(*corev1.Secret) error) {
		before, err := served(configuration.Name, "localhost", port)
		Expect(err).NotTo(HaveOccurred())
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "switchyard-webhook-server-cert"}}
		Expect(api.Get(context.Background(), client.ObjectKeyFromObject(secret), secret)).To(Succeed())
		Expect(lose(secret)).To(Succeed())

		Eventually(func() (bool, error) {
			after, err := served(configuration.Name, "localhost", port)
			return err == nil && !after.Equal(before), err
		}).Should(BeTrue())
		judged()
	},
		Entry("emptied", func(secret *corev1.Secret) error {
			secret.Data = nil
			return api.Update(context.Background(), secret)
		}),
		Entry("deleted", func(secret *corev1.Secret) error { return api.Delete(context.Background(), secret) }),
	)

	It("is trusted by a configuration that is installed later", func() {
		Expect(api.Delete(context.Background(), configuration)).To(Succeed())
		configuration = callHere(namespace, port)
		Expect(create(configuration)).To(Succeed())
		judged()
	})
})

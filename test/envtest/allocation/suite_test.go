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
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/webhooks"
)

const (
	systemNamespace = "switchyard-system"
	webhookName     = "mservice.switchyard.dev"

	// Twenty ports: 30000-30015 are the static band, 30016-30019 the dynamic one.
	nodePortRange = "30000-30019"
)

var (
	environment *envtest.Environment
	cfg         *rest.Config
	admin       client.Client
)

func TestAllocation(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(10 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "Allocation against a real API server")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	var err error
	environment, err = testenv.New()
	Expect(err).NotTo(HaveOccurred())
	environment.ControlPlane.GetAPIServer().Configure().
		Set("service-cluster-ip-range", "10.0.0.0/24,fd00:10::/112").
		Set("service-node-port-range", nodePortRange)
	environment.WebhookInstallOptions = envtest.WebhookInstallOptions{
		MutatingWebhooks: []*admissionregistrationv1.MutatingWebhookConfiguration{webhookConfiguration()},
	}
	cfg, err = environment.Start()
	Expect(err).NotTo(HaveOccurred())
	admin, err = client.New(cfg, client.Options{Scheme: clientgoscheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	for _, name := range []string{systemNamespace, "team-a", "team-b"} {
		Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
	}
})

var _ = AfterSuite(func() {
	if environment != nil {
		Expect(environment.Stop()).To(Succeed())
	}
})

// webhookConfiguration is what config/webhook installs.
func webhookConfiguration() *admissionregistrationv1.MutatingWebhookConfiguration {
	path, ignore, sideEffects, timeout := "/mutate--v1-service", admissionregistrationv1.Ignore, admissionregistrationv1.SideEffectClassNoneOnDryRun, int32(3)
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: "switchyard"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name:                    webhookName,
			AdmissionReviewVersions: []string{"v1"},
			FailurePolicy:           &ignore,
			SideEffects:             &sideEffects,
			TimeoutSeconds:          &timeout,
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				Service: &admissionregistrationv1.ServiceReference{Namespace: systemNamespace, Name: "webhook", Path: &path},
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"services"}},
			}},
		}},
	}
}

// replica is one running manager.
type replica struct {
	index *allocator.Services
	stop  func()
}

// startReplica runs a manager as cmd/manager does, with the allocation part only.
func startReplica(mode allocator.Mode) replica {
	GinkgoHelper()
	options := environment.WebhookInstallOptions
	yes := true
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:        clientgoscheme.Scheme,
		Metrics:       metricsserver.Options{BindAddress: "0"},
		Controller:    config.Controller{SkipNameValidation: &yes},
		WebhookServer: webhook.NewServer(webhook.Options{Host: options.LocalServingHost, Port: options.LocalServingPort, CertDir: options.LocalServingCertDir}),
	})
	Expect(err).NotTo(HaveOccurred())
	span, err := allocator.ParsePortSpan(nodePortRange)
	Expect(err).NotTo(HaveOccurred())
	index := allocator.NewServices(span)
	reconciler := &controllers.AllocationReconciler{Index: index, Namespace: systemNamespace}
	Expect(reconciler.SetupWithManager(mgr)).To(Succeed())
	Expect(webhooks.SetupServiceAllocationWebhook(mgr, &webhooks.ServiceAllocation{
		Mode: mode, Index: index, Namespace: systemNamespace, Exempt: webhooks.Exemptions{Namespace: systemNamespace},
	})).To(Succeed())

	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer GinkgoRecover()
		defer close(stopped)
		Expect(mgr.Start(ctx)).To(Succeed())
	}()
	Eventually(func() error { return mgr.GetWebhookServer().StartedChecker()(nil) }).Should(Succeed())
	Eventually(func() error { return reconciler.ReadyCheck(nil) }).Should(Succeed())
	return replica{index: index, stop: func() {
		cancel()
		Eventually(stopped, "30s").Should(BeClosed())
	}}
}

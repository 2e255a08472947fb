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

package pools

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
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
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/internal/placeholder"
	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/webhooks"
)

const systemNamespace = "switchyard-system"

var (
	environment *envtest.Environment
	cfg         *rest.Config
	admin       client.Client
	scheme      = runtime.NewScheme()
)

func TestPools(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(10 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "Pools and reservations against a real API server")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	var err error
	environment, err = testenv.New()
	Expect(err).NotTo(HaveOccurred())
	environment.ControlPlane.GetAPIServer().Configure().
		Set("service-cluster-ip-range", "10.0.0.0/24").
		Set("service-node-port-range", "30000-30031")
	cfg, err = environment.Start()
	Expect(err).NotTo(HaveOccurred())
	admin, err = client.New(cfg, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	for name, labels := range map[string]map[string]string{
		systemNamespace: nil, "red": {"team": "red"}, "blue": {"team": "blue"}, "others": nil,
	} {
		Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})).To(Succeed())
	}
})

var _ = AfterSuite(func() {
	if environment != nil {
		Expect(environment.Stop()).To(Succeed())
	}
})

// scene is a manager, as far as allocation goes, in one mode.
type scene struct {
	mode   allocator.Mode
	index  *allocator.Services
	keeper *placeholder.Keeper

	installed *admissionregistrationv1.MutatingWebhookConfiguration
	stop      func()
}

func inEachMode(table func(*scene)) {
	for _, mode := range []allocator.Mode{allocator.Advisory, allocator.Authoritative} {
		Describe(string(mode), Ordered, ContinueOnFailure, func() {
			s := &scene{mode: mode}
			BeforeAll(func(ctx SpecContext) { s.begin(ctx) })
			AfterAll(func(ctx SpecContext) { s.end(ctx) })
			AfterEach(func(ctx SpecContext) { s.clean(ctx) })
			table(s)
		})
	}
}

func (s *scene) begin(ctx context.Context) {
	options := envtest.WebhookInstallOptions{MutatingWebhooks: []*admissionregistrationv1.MutatingWebhookConfiguration{webhookConfiguration()}}
	Expect(options.PrepWithoutInstalling()).To(Succeed())
	s.startManager(options)
	s.installed = options.MutatingWebhooks[0]
	Expect(admin.Create(ctx, s.installed)).To(Succeed())
	Eventually(s.answersDryRun).WithArguments(ctx).Should(BeTrue(), "the webhook is not called")
}

func (s *scene) end(ctx context.Context) {
	Expect(admin.Delete(ctx, s.installed)).To(Succeed())
	Eventually(s.answersDryRun).WithArguments(ctx).Should(BeFalse(), "the webhook is still called")
	s.stop()
}

// answersDryRun: the API server alone answers with a port outside of its range.
func (s *scene) answersDryRun(ctx context.Context) bool {
	probe := nodePort("others", "probe", 0)
	Expect(admin.Create(ctx, probe, client.DryRunAll)).To(Succeed())
	return probe.Spec.Ports[0].NodePort != 32769
}

func (s *scene) startManager(options envtest.WebhookInstallOptions) {
	GinkgoHelper()
	yes := true
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:        scheme,
		Metrics:       metricsserver.Options{BindAddress: "0"},
		Controller:    config.Controller{SkipNameValidation: &yes},
		WebhookServer: webhook.NewServer(webhook.Options{Host: options.LocalServingHost, Port: options.LocalServingPort, CertDir: options.LocalServingCertDir}),
	})
	Expect(err).NotTo(HaveOccurred())
	s.index = allocator.NewServices(allocator.PortSpan{First: 30000, Last: 30031})
	s.keeper = &placeholder.Keeper{Client: admin, Live: admin, Namespace: systemNamespace}
	reconciler := &controllers.AllocationReconciler{Index: s.index, Namespace: systemNamespace}
	Expect(reconciler.SetupWithManager(mgr)).To(Succeed())
	reservations := &controllers.Reservations{Index: s.index, Namespace: systemNamespace}
	Expect(reservations.SetupWithManager(context.Background(), mgr)).To(Succeed())
	Expect(webhooks.SetupServiceAllocationWebhook(mgr, &webhooks.ServiceAllocation{
		Mode: s.mode, Index: s.index, Namespace: systemNamespace, Exempt: webhooks.Exemptions{Namespace: systemNamespace}, Releaser: s.keeper,
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
	s.stop = func() {
		cancel()
		Eventually(stopped, "30s").Should(BeClosed())
	}
}

// webhookConfiguration is what config/webhook installs.
func webhookConfiguration() *admissionregistrationv1.MutatingWebhookConfiguration {
	path, ignore, sideEffects, timeout := "/mutate--v1-service", admissionregistrationv1.Ignore, admissionregistrationv1.SideEffectClassNoneOnDryRun, int32(3)
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
				Service: &admissionregistrationv1.ServiceReference{Namespace: systemNamespace, Name: "webhook", Path: &path},
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"services"}},
			}},
		}},
	}
}

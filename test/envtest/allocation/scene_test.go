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
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/webhooks"
)

// scene is a cluster and how Switchyard allocates in it. In mode off neither
// webhook nor manager is there: that is what the stock API server does.
type scene struct {
	*cluster
	mode  allocator.Mode
	index *allocator.Services // nil in mode off

	installed *admissionregistrationv1.MutatingWebhookConfiguration
	stop      func()
}

// inEveryMode runs one table three times against one API server.
func inEveryMode(c *cluster, table func(*scene)) {
	for _, mode := range []allocator.Mode{allocator.Off, allocator.Advisory, allocator.Authoritative} {
		Describe(string(mode), Ordered, ContinueOnFailure, func() {
			s := &scene{cluster: c, mode: mode}
			BeforeAll(func(ctx SpecContext) { s.begin(ctx) })
			AfterAll(func(ctx SpecContext) { s.end(ctx) })
			AfterEach(func(ctx SpecContext) { s.clean(ctx) })
			table(s)
		})
	}
}

// stock tells that the API server is alone.
func (s *scene) stock() bool { return s.mode == allocator.Off }

// answer picks what this mode says.
func (s *scene) answer(stock, advisory, authoritative string) string {
	switch s.mode {
	case allocator.Advisory:
		return advisory
	case allocator.Authoritative:
		return authoritative
	}
	return stock
}

func (s *scene) begin(ctx context.Context) {
	Expect(s.admin).NotTo(BeNil(), "the spec that starts this API server has not run")
	if s.stock() {
		Expect(s.answersDryRun(ctx)).To(BeFalse(), "a webhook is called already")
		return
	}
	options := envtest.WebhookInstallOptions{MutatingWebhooks: []*admissionregistrationv1.MutatingWebhookConfiguration{webhookConfiguration()}}
	Expect(options.PrepWithoutInstalling()).To(Succeed())
	s.startManager(options)
	s.installed = options.MutatingWebhooks[0]
	s.install(ctx)
}

func (s *scene) end(ctx context.Context) {
	if s.stock() {
		return
	}
	s.uninstall(ctx)
	s.stop()
}

func (s *scene) install(ctx context.Context) {
	GinkgoHelper()
	Expect(s.admin.Create(ctx, s.installed.DeepCopy())).To(Succeed())
	Eventually(s.answersDryRun).WithArguments(ctx).Should(BeTrue(), "the webhook is not called")
}

func (s *scene) uninstall(ctx context.Context) {
	GinkgoHelper()
	Expect(s.admin.Delete(ctx, s.installed.DeepCopy())).To(Succeed())
	Eventually(s.answersDryRun).WithArguments(ctx).Should(BeFalse(), "the webhook is still called")
}

// webhookAway runs what happens while the manager can not be reached.
func (s *scene) webhookAway(ctx context.Context, whatHappens func()) {
	GinkgoHelper()
	if !s.stock() {
		s.uninstall(ctx)
		defer s.install(ctx)
	}
	whatHappens()
}

// startManager runs a manager as cmd/manager does, with the allocation part only.
func (s *scene) startManager(options envtest.WebhookInstallOptions) {
	GinkgoHelper()
	yes := true
	mgr, err := ctrl.NewManager(s.cfg, ctrl.Options{
		Scheme:        managerScheme(),
		Metrics:       metricsserver.Options{BindAddress: "0"},
		Controller:    config.Controller{SkipNameValidation: &yes},
		WebhookServer: webhook.NewServer(webhook.Options{Host: options.LocalServingHost, Port: options.LocalServingPort, CertDir: options.LocalServingCertDir}),
	})
	Expect(err).NotTo(HaveOccurred())
	span, err := allocator.ParsePortSpan(s.ports)
	Expect(err).NotTo(HaveOccurred())
	s.index = allocator.NewServices(span)
	reconciler := &controllers.AllocationReconciler{Index: s.index, Namespace: systemNamespace}
	Expect(reconciler.SetupWithManager(mgr)).To(Succeed())
	Expect(webhooks.SetupServiceAllocationWebhook(mgr, &webhooks.ServiceAllocation{
		Mode: s.mode, Index: s.index, Namespace: systemNamespace, Exempt: webhooks.Exemptions{Namespace: systemNamespace},
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
		Eventually(stopped).Should(BeClosed())
	}
}

// managerScheme knows pools and reservations, which the index is fed with.
func managerScheme() *runtime.Scheme {
	GinkgoHelper()
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	return scheme
}

// answersDryRun: the API server alone answers every dry-run with port 32769, but
// for those in which it looks at a ServiceCIDR that is being removed (U8).
func (s *scene) answersDryRun(ctx context.Context) bool {
	GinkgoHelper()
	var probe *corev1.Service
	Eventually(func() error {
		probe = service("probe", corev1.ServiceTypeNodePort, 0)
		return s.admin.Create(ctx, probe, client.DryRunAll)
	}).Should(Succeed())
	return probe.Spec.Ports[0].NodePort != stockDryRunPort
}

// clean deletes what a spec has made, and waits until every number is free
// again, by what the server keeps and by what the index holds.
func (s *scene) clean(ctx context.Context) {
	GinkgoHelper()
	for _, namespace := range []string{"team-a", "team-b", systemNamespace} {
		Expect(s.admin.DeleteAllOf(ctx, &corev1.Service{}, client.InNamespace(namespace))).To(Succeed())
	}
	Expect(s.admin.DeleteAllOf(ctx, &coordinationv1.Lease{}, client.InNamespace(systemNamespace), client.HasLabels{allocator.ClaimLabel})).To(Succeed())
	Expect(s.admin.DeleteAllOf(ctx, &eventsv1.Event{}, client.InNamespace("team-a"))).To(Succeed())
	// The server deletes these itself, but its repair may make one again (see resurrected).
	Eventually(func() []string {
		for _, ip := range s.addressObjects(ctx) {
			if ip != "10.0.0.1" {
				record := &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: ip}}
				Expect(client.IgnoreNotFound(s.admin.Delete(ctx, record))).To(Succeed())
			}
		}
		return s.addressObjects(ctx)
	}).Should(Equal([]string{"10.0.0.1"}))
	if s.index != nil {
		Eventually(s.allocated).Should(Equal(1), "the index holds more than the address of default/kubernetes")
	}
}

// allocated counts what the index holds.
func (s *scene) allocated() (n int) {
	for _, stats := range s.index.Stats() {
		n += int(stats.Allocated)
	}
	return n
}

// addressObjects names the IPAddress objects there are, which are the server's
// own record, but for the orphan.
func (s *scene) addressObjects(ctx context.Context) []string {
	GinkgoHelper()
	var addresses networkingv1.IPAddressList
	Expect(s.admin.List(ctx, &addresses)).To(Succeed())
	names := namesOf(addresses.Items, func(a networkingv1.IPAddress) string { return a.Name })
	return slices.DeleteFunc(names, func(name string) bool { return name == leaked || name == unfinished })
}

// claims names the claims there are.
func (s *scene) claims(ctx context.Context) []string {
	GinkgoHelper()
	var leases coordinationv1.LeaseList
	Expect(s.admin.List(ctx, &leases, client.InNamespace(systemNamespace), client.HasLabels{allocator.ClaimLabel})).To(Succeed())
	return namesOf(leases.Items, func(l coordinationv1.Lease) string { return l.Name })
}

func namesOf[T any](items []T, name func(T) string) []string {
	var names []string
	for _, item := range items {
		names = append(names, name(item))
	}
	slices.Sort(names)
	return names
}

// code picks the HTTP status of this mode.
func (s *scene) code(stock, advisory, authoritative int) int {
	switch s.mode {
	case allocator.Advisory:
		return advisory
	case allocator.Authoritative:
		return authoritative
	}
	return stock
}

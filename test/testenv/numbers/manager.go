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
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/webhooks"
)

// Manager is how a manager is to run.
type Manager struct {
	// Webhook is what it serves, if it is to serve any.
	Webhook *Webhook
	// Mode is that of the webhook.
	Mode allocator.Mode
	// Now is the clock of reservations, the machine's when nil. Claims are of real
	// time.
	Now func() time.Time
}

// Running is a manager that runs.
type Running struct {
	Index *allocator.Services
	// Stop ends it; ending twice is fine.
	Stop func()
}

// StartManager runs a manager as cmd/manager does, as far as numbers go, and
// returns when it knows all Services. It ends with the spec, or the container,
// that it was started for. No leader is elected: several hold at once.
func (s *Server) StartManager(m Manager) *Running {
	GinkgoHelper()
	options := ctrl.Options{
		Scheme:     s.scheme,
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)},
	}
	if m.Webhook != nil {
		options.WebhookServer = m.Webhook.server()
	}
	mgr, err := ctrl.NewManager(s.Config, options)
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	index := allocator.NewServices(s.NodePorts)
	allocation := &controllers.AllocationReconciler{Index: index, Namespace: Namespace}
	Expect(allocation.SetupWithManager(mgr)).To(Succeed())
	Expect((&controllers.Reservations{Index: index, Namespace: Namespace, Now: m.Now}).SetupWithManager(ctx, mgr)).To(Succeed())
	if m.Webhook != nil {
		Expect(webhooks.SetupServiceAllocationWebhook(mgr, &webhooks.ServiceAllocation{
			Mode: m.Mode, Index: index, Namespace: Namespace, Exempt: webhooks.Exemptions{Namespace: Namespace}, Releaser: s.Keeper(),
		})).To(Succeed())
	}

	stopped := make(chan struct{})
	go func() {
		defer GinkgoRecover()
		defer close(stopped)
		Expect(mgr.Start(ctx)).To(Succeed())
	}()
	if m.Webhook != nil {
		Eventually(func() error { return mgr.GetWebhookServer().StartedChecker()(nil) }).Should(Succeed())
	}
	Eventually(func() error { return allocation.ReadyCheck(nil) }).Should(Succeed())
	stop := func() {
		cancel()
		Eventually(stopped, "30s").Should(BeClosed())
	}
	DeferCleanup(stop)
	return &Running{Index: index, Stop: stop}
}

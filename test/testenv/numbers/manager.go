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

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/internal/placeholder"
	"switchyard.dev/switchyard/webhooks"
)

// Manager is how a manager is to run.
type Manager struct {
	// Webhook is what it serves, if it is to serve any.
	Webhook *Webhook
	// Mode is that of the webhook.
	Mode allocator.Mode
	// Rules are served by the webhook as well, and called once they are installed.
	Rules bool
	// Now is the clock of reservations, the machine's when nil. Claims are of real
	// time.
	Now func() time.Time
	// Reservations has the other options of the reservation controllers.
	Reservations controllers.Reservations
}

// Running is a manager that runs.
type Running struct {
	Index *allocator.Services
	// Stop ends it; ending twice is fine.
	Stop func()
}

// StartManager runs a manager as cmd/manager does, as far as numbers go, and
// returns when it knows all Services. It has the rights of its role and may be
// denied nothing. It ends with the spec, or the container, that it was started
// for. No leader is elected: several hold at once.
func (s *Server) StartManager(m Manager) *Running {
	ginkgo.GinkgoHelper()
	options := ctrl.Options{
		Scheme:     s.scheme,
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)},
	}
	if m.Webhook != nil {
		options.WebhookServer = m.Webhook.server()
	}
	var denied denials
	mgr, err := ctrl.NewManager(s.managerConfig(&denied), options)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	index := allocator.NewServices(s.NodePorts)
	allocation := &controllers.AllocationReconciler{Index: index, Namespace: Namespace}
	gomega.Expect(allocation.SetupWithManager(mgr)).To(gomega.Succeed())
	reservations := m.Reservations
	reservations.Index, reservations.Namespace, reservations.Now = index, Namespace, m.Now
	gomega.Expect(reservations.SetupWithManager(ctx, mgr)).To(gomega.Succeed())
	if m.Webhook != nil {
		gomega.Expect(webhooks.SetupServiceAllocationWebhook(mgr, &webhooks.ServiceAllocation{
			Mode: m.Mode, Index: index, Namespace: Namespace, Exempt: webhooks.Exemptions{Namespace: Namespace},
			Releaser: &placeholder.Keeper{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Namespace: Namespace},
		})).To(gomega.Succeed())
	}
	if m.Rules {
		serveRules(ctx, mgr)
	}

	stopped := make(chan struct{})
	go func() {
		defer ginkgo.GinkgoRecover()
		defer close(stopped)
		gomega.Expect(mgr.Start(ctx)).To(gomega.Succeed())
	}()
	if m.Webhook != nil {
		gomega.Eventually(func() error { return mgr.GetWebhookServer().StartedChecker()(nil) }).Should(gomega.Succeed())
	}
	gomega.Eventually(func() error { return allocation.ReadyCheck(nil) }).Should(gomega.Succeed())
	stop := func() {
		cancel()
		gomega.Eventually(stopped).Should(gomega.BeClosed())
		gomega.Expect(denied.all()).To(gomega.BeEmpty(), "the manager's role lacks a right")
	}
	ginkgo.DeferCleanup(stop)
	return &Running{Index: index, Stop: stop}
}

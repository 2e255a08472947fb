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

package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/internal/placeholder"
	"switchyard.dev/switchyard/webhooks"
)

// parts is what the manager is made of, as far as probes ask for it.
type parts struct {
	// webhooks is nil with --webhooks=off.
	webhooks *webhookStarter
	// allocation is nil with --allocation=off.
	allocation *controllers.AllocationReconciler
}

// setupParts adds everything that runs to the manager.
func setupParts(ctx context.Context, mgr ctrl.Manager, options Options, certs *certificates) (*parts, error) {
	parts := &parts{}
	observeCertificates(certs, options)
	index := allocator.NewServices(options.NodePorts)
	if options.Allocation != allocator.Off {
		parts.allocation = &controllers.AllocationReconciler{Index: index, Namespace: options.Namespace}
		if err := parts.allocation.SetupWithManager(mgr); err != nil {
			return nil, err
		}
		if err := reservations(options, index).SetupWithManager(ctx, mgr); err != nil {
			return nil, err
		}
	} else if err := mgr.Add(&controllers.PlaceholderCleanup{Config: mgr.GetConfig(), Namespace: options.Namespace}); err != nil {
		return nil, fmt.Errorf("setting up the end of what was held: %w", err)
	}
	if err := controllers.SetupEndpoints(mgr, options.Endpoints, options.EndpointsTuning); err != nil {
		return nil, err
	}
	if options.LoadBalancers.Enabled {
		if err := loadBalancers(options).SetupWithManager(mgr); err != nil {
			return nil, err
		}
	}
	if options.Diagnosis {
		if err := diagnosis(options).SetupWithManager(mgr); err != nil {
			return nil, err
		}
	}
	// +kubebuilder:scaffold:builder
	if !options.Webhooks.Enabled {
		return parts, nil
	}
	if err := webhooks.SetupIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return nil, err
	}
	// Asked for now, so that the first request does not wait for them.
	if err := webhooks.SetupInformers(ctx, mgr.GetCache()); err != nil {
		return nil, err
	}
	if err := certs.setup(mgr); err != nil {
		return nil, err
	}
	validation, err := rules(ctx, mgr, options)
	if err != nil {
		return nil, err
	}
	parts.webhooks = &webhookStarter{manager: mgr, certs: certs, register: func() error {
		webhooks.SetupValidatingWebhooks(mgr, validation)
		return webhooks.SetupServiceAllocationWebhook(mgr, allocation(mgr, options, index))
	}}
	if err := mgr.Add(parts.webhooks); err != nil {
		return nil, fmt.Errorf("setting up the webhooks: %w", err)
	}
	return parts, nil
}

func loadBalancers(options Options) *controllers.LoadBalancerReconciler {
	return &controllers.LoadBalancerReconciler{Options: controllers.LoadBalancerOptions{
		Namespace: options.Namespace, Class: options.LoadBalancers.Class,
	}}
}

// servedClasses are those that rule X17 need not warn of: ours is one.
func servedClasses(options Options) []string {
	classes := slices.Clone(options.Admission.LoadBalancerClasses)
	if options.LoadBalancers.Enabled {
		classes = append(classes, options.LoadBalancers.Class.Name)
	}
	return classes
}

func diagnosis(options Options) *controllers.DiagnosisReconciler {
	return &controllers.DiagnosisReconciler{Options: controllers.DiagnosisOptions{
		Namespace: options.Namespace, NodePorts: options.NodePorts, Allocation: options.Allocation != allocator.Off,
		ClusterDomain: strings.ToLower(options.Admission.ClusterDomain), Grace: options.DiagnosisGrace, Pace: options.DiagnosisPace,
	}}
}

func reservations(options Options, index *allocator.Services) *controllers.Reservations {
	return &controllers.Reservations{
		Index:       index,
		Namespace:   options.Namespace,
		NoWebhook:   !options.Webhooks.Enabled,
		Exempt:      webhooks.Exemptions{Namespace: options.Namespace}.Object,
		RetainLimit: &options.RetainLimit,
	}
}

func allocation(mgr ctrl.Manager, options Options, index *allocator.Services) *webhooks.ServiceAllocation {
	return &webhooks.ServiceAllocation{
		Mode:      options.Allocation,
		Index:     index,
		Exempt:    webhooks.Exemptions{Namespace: options.Namespace},
		Namespace: options.Namespace,
		Audit:     options.Admission.Audit,
		Releaser:  &placeholder.Keeper{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Namespace: options.Namespace},
	}
}

func rules(ctx context.Context, mgr ctrl.Manager, options Options) (webhooks.Validation, error) {
	cluster := &webhooks.Cluster{
		Cached: mgr.GetClient(),
		Live:   mgr.GetAPIReader(),
		Names:  webhooks.ReaderNames{Reviews: mgr.GetClient()},
		Domain: options.Admission.ClusterDomain,

		LoadBalancerClasses: servedClasses(options),
		RequirePools:        options.Admission.RequirePools,
		NodePorts:           options.NodePorts,
	}
	return webhooks.Validation{
		World:      cluster,
		Severities: options.Rules,
		Namespaces: cluster,
		Exempt:     webhooks.Exemptions{Namespace: options.Namespace, EndpointWriters: options.Admission.EndpointWriters},
		Audit:      options.Admission.Audit,
	}, cluster.WatchNodes(ctx, mgr.GetCache())
}

// webhookStarter registers the webhooks, and with the first of them starts the
// server, when there is a certificate and the caches hold what is there.
type webhookStarter struct {
	manager  ctrl.Manager
	certs    *certificates
	register func() error
	done     atomic.Bool
}

// NeedLeaderElection lets every replica serve.
func (w *webhookStarter) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable. It runs after the caches have synced.
func (w *webhookStarter) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-w.certs.ready:
	}
	if err := w.register(); err != nil {
		return err
	}
	w.done.Store(true)
	return nil
}

// check implements healthz.Checker.
func (w *webhookStarter) check(request *http.Request) error {
	if !w.done.Load() {
		return errors.New("the webhooks wait for their certificate")
	}
	if err := w.certs.elsewhere(); err != nil {
		return err
	}
	return w.manager.GetWebhookServer().StartedChecker()(request)
}

// addChecks makes /readyz true when caches are synced and everything that
// answers for us does. /healthz only says that the process is alive: a restart
// would not make the API server come back.
func addChecks(mgr ctrl.Manager, parts *parts) error {
	errs := []error{
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("caches", func(request *http.Request) error {
			ctx, cancel := context.WithTimeout(request.Context(), 100*time.Millisecond)
			defer cancel()
			if !mgr.GetCache().WaitForCacheSync(ctx) {
				return errors.New("the caches are not in sync yet")
			}
			return nil
		}),
	}
	if parts.allocation != nil {
		errs = append(errs, mgr.AddReadyzCheck("allocation", parts.allocation.ReadyCheck))
	}
	if parts.webhooks != nil {
		errs = append(errs, mgr.AddReadyzCheck("webhooks", parts.webhooks.check))
	}
	return errors.Join(errs...)
}

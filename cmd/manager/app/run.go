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
	"crypto/tls"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/version"
)

var scheme = runtime.NewScheme()

func init() {
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	// +kubebuilder:scaffold:scheme
}

// Run finds the API server, waits for it, and runs until the context ends or
// something fails that a restart is the answer to.
func Run(ctx context.Context, options Options) error {
	config, err := restConfig(options.Kubeconfig)
	if err != nil {
		return err
	}
	log := ctrl.Log.WithName("manager")
	log.Info("Starting", "version", version.String(), "namespace", options.Namespace)
	if err := waitForAPIServer(ctrl.LoggerInto(ctx, log), config, apiServerRetry); ctx.Err() != nil {
		return nil // Stopped while waiting, as asked.
	} else if err != nil {
		return err
	}
	return Serve(ctx, config, options)
}

// Serve runs the manager against an API server that answers.
func Serve(ctx context.Context, config *rest.Config, options Options) error {
	config = rest.CopyConfig(config)
	config.UserAgent = "switchyard-manager/" + version.String()
	// The API server's own priority and fairness paces us, by flow, better
	// than one limit for everything could.
	config.QPS = -1
	// Watches would be compressed event by event, which costs both sides more than
	// to send the bytes (kube-controller-manager does without, too).
	config.DisableCompression = true
	certs := newCertificates(options)
	server := &drainingServer{Server: probed(webhookServer(options, certs), options.Webhooks)}
	ctx, cancel := server.drainedAfter(ctx)
	defer cancel()
	mgr, err := ctrl.NewManager(config, managerOptions(options, server))
	if err != nil {
		return fmt.Errorf("starting the manager: %w", err)
	}
	parts, err := setupParts(ctx, mgr, options, certs)
	if err != nil {
		return err
	}
	if err := addChecks(mgr, parts); err != nil {
		return fmt.Errorf("adding probes: %w", err)
	}
	err = mgr.Start(ctx)
	server.wait() // which it does not where it has lost its lease
	if err != nil {
		return fmt.Errorf("running the manager: %w", err)
	}
	return nil
}

func managerOptions(options Options, server webhook.Server) ctrl.Options {
	return ctrl.Options{
		Scheme:                 scheme,
		Cache:                  cacheOptions(options),
		Metrics:                metricsOptions(options),
		HealthProbeBindAddress: options.ProbeBindAddress,
		WebhookServer:          server,
		// A process runs one manager, but those of tests run several in turn.
		Controller:              config.Controller{SkipNameValidation: new(true)},
		LeaderElection:          options.LeaderElect,
		LeaderElectionID:        "manager.switchyard.dev",
		LeaderElectionNamespace: options.Namespace,
		// The process ends right after the manager, so the next leader need
		// not wait for the lease to run out.
		LeaderElectionReleaseOnCancel: true,
	}
}

func metricsOptions(options Options) metricsserver.Options {
	metrics := metricsserver.Options{
		BindAddress:   options.Metrics.BindAddress,
		SecureServing: options.Metrics.Secure,
		TLSOpts:       tlsOptions(options),
	}
	if options.Profiling {
		metrics.ExtraHandlers = debugPages()
	}
	if options.Metrics.Secure {
		metrics.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	if files := options.Metrics.CertFiles; files.Dir != "" {
		metrics.CertDir, metrics.CertName, metrics.KeyName = files.Dir, files.Cert, files.Key
	}
	return metrics
}

func webhookServer(options Options, certs *certificates) webhook.Server {
	return webhook.NewServer(webhook.Options{
		Host:     options.Webhooks.Host,
		Port:     options.Webhooks.Port,
		CertDir:  options.Webhooks.Dir,
		CertName: options.Webhooks.Cert,
		KeyName:  options.Webhooks.Key,
		TLSOpts:  slices.Concat(tlsOptions(options), clientCertificates(options.Webhooks.ClientCA), []func(*tls.Config){certs.serve}),
	})
}

// tlsOptions turn HTTP/2 off unless it is wanted: one connection can open
// streams faster than they are served (CVE-2023-44487, CVE-2023-39325).
func tlsOptions(options Options) []func(*tls.Config) {
	if options.EnableHTTP2 {
		return nil
	}
	return []func(*tls.Config){func(config *tls.Config) { config.NextProtos = []string{"http/1.1"} }}
}

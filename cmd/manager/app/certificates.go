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
	"crypto/tls"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"switchyard.dev/switchyard/internal/certificate"
)

// Roles can not say which objects may be created. Who lists or watches objects by
// name, as the caches do, needs the right to that name alone.
// +kubebuilder:rbac:groups="",namespace=switchyard-system,resources=secrets,verbs=create
// +kubebuilder:rbac:groups="",namespace=switchyard-system,resources=secrets,resourceNames=switchyard-webhook-server-cert,verbs=get;list;watch;update
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations,resourceNames=switchyard-validating-webhook-configuration,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations,resourceNames=switchyard-mutating-webhook-configuration,verbs=get;list;watch;patch

// certificateSecret holds the certificate authority and the serving
// certificate, shared by all replicas.
const certificateSecret = "switchyard-webhook-server-cert"

// certificates are what the webhooks serve: files that somebody else keeps, or our
// own.
type certificates struct {
	// own is nil when somebody else makes and renews them.
	own *certificate.Reconciler
	// ready is closed once there is one and the webhook configurations trust it.
	ready <-chan struct{}
}

func newCertificates(options Options) *certificates {
	if !options.Webhooks.Enabled || options.Webhooks.Dir != "" {
		ready := make(chan struct{})
		close(ready)
		return &certificates{ready: ready}
	}
	own := &certificate.Reconciler{
		Options:    options.Certificates,
		Server:     &certificate.Server{},
		Secret:     types.NamespacedName{Namespace: options.Namespace, Name: certificateSecret},
		Validating: options.Webhooks.ValidatingConfiguration,
		Mutating:   options.Webhooks.MutatingConfiguration,
	}
	own.Names = certificateNames(options)
	own.Default()
	return &certificates{own: own}
}

// certificateNames are those that the API server calls the webhooks by: the Service's,
// or localhost when it runs beside us.
func certificateNames(options Options) []string {
	service := options.Webhooks.ServiceName + "." + options.Namespace
	return []string{service + ".svc", service, service + ".svc.cluster.local", "localhost"}
}

// setup makes and renews our own certificate, unless somebody else does.
func (c *certificates) setup(mgr ctrl.Manager) error {
	if c.own == nil {
		return nil
	}
	if err := c.own.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting up the webhook certificate: %w", err)
	}
	c.ready = c.own.Ready()
	return nil
}

// elsewhere is an error where the webhook configurations lead to another installation.
// Where somebody else keeps the certificate nobody looks at them.
func (c *certificates) elsewhere() error {
	if c.own == nil {
		return nil
	}
	return c.own.Elsewhere()
}

// serve has a server show our own certificate, which is on no disk.
func (c *certificates) serve(config *tls.Config) {
	if c.own != nil {
		config.GetCertificate = c.own.Server.GetCertificate
	}
}

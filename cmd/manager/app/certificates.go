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
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
)

// +kubebuilder:rbac:groups="",namespace=switchyard-system,resources=secrets,verbs=get;list;watch;create;update
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations;mutatingwebhookconfigurations,verbs=get;list;watch
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations,resourceNames=switchyard-validating-webhook-configuration,verbs=update
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations,resourceNames=switchyard-mutating-webhook-configuration,verbs=update

// certificateSecret holds the certificate authority and the serving
// certificate, shared by all replicas.
const certificateSecret = "switchyard-webhook-server-cert"

// certificates is a serving certificate on disk.
type certificates struct {
	files CertFiles
	// own is true when we make and renew it.
	own bool
	// ready is closed once the files exist and the webhook configurations
	// trust them.
	ready chan struct{}
	// remove deletes what was written; it may be called at any time.
	remove func()
}

// newCertificates knows the files that somebody else keeps, or where our own
// will be.
func newCertificates(options Options) (*certificates, error) {
	certs := &certificates{files: options.Webhooks.CertFiles, ready: make(chan struct{}), remove: func() {}}
	if !options.Webhooks.Enabled || certs.files.Dir != "" {
		close(certs.ready)
		return certs, nil
	}
	dir, err := os.MkdirTemp("", "switchyard-webhook-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for the webhook certificate: %w; set TMPDIR to a writable one", err)
	}
	certs.files.Dir = dir
	certs.remove = func() { _ = os.RemoveAll(dir) }
	certs.own = true
	return certs, nil
}

// setup makes and renews our own certificate, unless somebody else does.
func (c *certificates) setup(ctx context.Context, mgr ctrl.Manager, options Options) error {
	if !c.own {
		return nil
	}
	if err := ensureSecret(ctx, mgr.GetClient(), options.Namespace); err != nil {
		return fmt.Errorf("%w; install config/default, or name another namespace with --namespace", err)
	}
	if err := (&certificateFiles{Client: mgr.GetClient(), Files: c.files}).SetupWithManager(mgr); err != nil {
		return fmt.Errorf("watching the webhook certificate: %w", err)
	}
	if err := rotator.AddRotator(mgr, newRotator(options, c)); err != nil {
		return fmt.Errorf("setting up the webhook certificate: %w", err)
	}
	return nil
}

// newRotator describes the certificate. The API server reaches us by the
// Service's name, or by localhost when it runs beside us.
func newRotator(options Options, certs *certificates) *rotator.CertRotator {
	service := options.Webhooks.ServiceName + "." + options.Namespace
	return &rotator.CertRotator{
		SecretKey:      types.NamespacedName{Namespace: options.Namespace, Name: certificateSecret},
		CertDir:        certs.files.Dir,
		CertName:       certs.files.Cert,
		KeyName:        certs.files.Key,
		CAName:         "switchyard-ca",
		CAOrganization: "switchyard",
		DNSName:        service + ".svc",
		ExtraDNSNames:  []string{service, service + ".svc.cluster.local", "localhost"},
		IsReady:        certs.ready,
		FieldOwner:     "switchyard-cert-rotator",
		Webhooks: []rotator.WebhookInfo{
			{Name: options.Webhooks.ValidatingConfiguration, Type: rotator.Validating},
			{Name: options.Webhooks.MutatingConfiguration, Type: rotator.Mutating},
		},
	}
}

// ensureSecret makes an empty Secret, because the rotator fills one but does
// not create it. It may exist, from before or by another replica.
func ensureSecret(ctx context.Context, writer client.Writer, namespace string) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: certificateSecret}}
	if err := client.IgnoreAlreadyExists(writer.Create(ctx, secret)); err != nil {
		return fmt.Errorf("creating Secret %s/%s for the webhook certificate: %w", namespace, certificateSecret, err)
	}
	return nil
}

// certificateFiles keeps the files equal to the Secret. A mounted Secret would
// do the same, a minute later, and only inside a pod.
type certificateFiles struct {
	Client client.Client
	Files  CertFiles
}

// SetupWithManager watches the one Secret in every replica.
func (r *certificateFiles) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).Named("webhook-certificate-files").For(&corev1.Secret{}).
		WithOptions(controller.Options{NeedLeaderElection: new(false)}).Complete(r)
}

// Reconcile gives a deleted Secret back to the rotator, which fills it anew. It
// writes the key before the certificate: the rotator takes the
// certificate's presence for that of both.
func (r *certificateFiles) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var secret corev1.Secret
	if err := r.Client.Get(ctx, request.NamespacedName, &secret); apierrors.IsNotFound(err) {
		return ctrl.Result{}, ensureSecret(ctx, r.Client, request.Namespace)
	} else if err != nil {
		return ctrl.Result{}, err
	}
	for _, name := range []string{r.Files.Key, r.Files.Cert} {
		if err := replaceFile(filepath.Join(r.Files.Dir, name), secret.Data[name]); err != nil {
			return ctrl.Result{}, fmt.Errorf("writing the webhook certificate: %w", err)
		}
	}
	return ctrl.Result{}, nil
}

// replaceFile writes by renaming, so that a reader never sees half of it.
func replaceFile(path string, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	next := path + ".next"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}

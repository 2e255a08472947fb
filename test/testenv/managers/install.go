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

package managers

import (
	"context"
	"fmt"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/internal/localcluster/manifests"
)

// What the install manifests call things.
const (
	Namespace      = "switchyard-system"
	Account        = "switchyard-manager"
	WebhookService = "switchyard-webhook-service"
)

// Install creates what config/local says but for the webhook configurations. The
// webhook's Service leads to this machine, and comes first: the policies among
// the rest would warn of it.
func Install(ctx context.Context, api client.Client) error {
	first := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}},
		&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: WebhookService},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
		},
	}
	for _, object := range first {
		if err := create(ctx, api, object); err != nil {
			return err
		}
	}
	objects, err := installed(func(kind string) bool { return !strings.HasSuffix(kind, "WebhookConfiguration") && kind != "Service" })
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := create(ctx, api, object); err != nil {
			return err
		}
	}
	return nil
}

// InstallWebhooks has the API server call the webhooks at a port of this machine.
// It returns when each of them has a certificate authority to trust, so a manager
// has to run.
func InstallWebhooks(ctx context.Context, api client.Client, port int) error {
	objects, err := installed(func(kind string) bool { return strings.HasSuffix(kind, "WebhookConfiguration") })
	if err != nil {
		return err
	}
	for _, object := range objects {
		webhooks, _, err := unstructured.NestedSlice(object.Object, "webhooks")
		if err != nil {
			return err
		}
		for _, webhook := range webhooks {
			if err := unstructured.SetNestedField(webhook.(map[string]any), int64(port), "clientConfig", "service", "port"); err != nil {
				return err
			}
		}
		if err := unstructured.SetNestedSlice(object.Object, webhooks, "webhooks"); err != nil {
			return err
		}
		if err := create(ctx, api, object); err != nil {
			return err
		}
	}
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 3*time.Minute, true, func(ctx context.Context) (bool, error) {
		authorities, err := Authorities(ctx, api)
		return err == nil && len(authorities) == 1 && authorities[0] != "", err
	})
}

// Authorities are the different certificate authorities, in PEM, that the webhook
// configurations trust.
func Authorities(ctx context.Context, api client.Client) ([]string, error) {
	var mutating admissionregistrationv1.MutatingWebhookConfigurationList
	if err := api.List(ctx, &mutating); err != nil {
		return nil, err
	}
	var validating admissionregistrationv1.ValidatingWebhookConfigurationList
	if err := api.List(ctx, &validating); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i := range mutating.Items {
		for _, webhook := range mutating.Items[i].Webhooks {
			seen[string(webhook.ClientConfig.CABundle)] = true
		}
	}
	for i := range validating.Items {
		for _, webhook := range validating.Items[i].Webhooks {
			seen[string(webhook.ClientConfig.CABundle)] = true
		}
	}
	var all []string
	for authority := range seen {
		all = append(all, authority)
	}
	return all, nil
}

func installed(wanted func(kind string) bool) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for document := range strings.SplitSeq(manifests.Install, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			return nil, fmt.Errorf("reading the install manifests: %w", err)
		}
		if wanted(object.GetKind()) {
			objects = append(objects, object)
		}
	}
	return objects, nil
}

func create(ctx context.Context, api client.Client, object client.Object) error {
	if err := client.IgnoreAlreadyExists(api.Create(ctx, object)); err != nil {
		return fmt.Errorf("installing %T %s: %w", object, object.GetName(), err)
	}
	return nil
}

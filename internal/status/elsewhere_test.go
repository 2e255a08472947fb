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

package status

import (
	"slices"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"switchyard.dev/switchyard/internal/inventory"
)

// Webhooks of another installation are told apart from those of other programs.
func TestWebhooksThatLeadElsewhere(t *testing.T) {
	scheme, err := inventory.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	configuration := &admissionv1.ValidatingWebhookConfiguration{}
	configuration.Name = "any"
	for name, namespace := range map[string]string{"service.validate.switchyard.dev": "other", "policy.example.com": "policies"} {
		configuration.Webhooks = append(configuration.Webhooks, admissionv1.ValidatingWebhook{
			Name:         name,
			ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: namespace, Name: "webhooks"}},
		})
	}
	r := &reading{
		Asker: Asker{Reader: fake.NewClientBuilder().WithScheme(scheme).WithObjects(configuration).Build(), System: "switchyard-system"},
		facts: &Facts{Unknown: map[List]bool{}},
	}
	if err := r.webhooks(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.facts.Elsewhere, []string{"other/webhooks"}) || len(r.facts.Webhooks) > 0 {
		t.Errorf("webhooks lead to %q, and here %v", r.facts.Elsewhere, r.facts.Webhooks)
	}
}

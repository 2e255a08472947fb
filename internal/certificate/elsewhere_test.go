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

package certificate

import (
	"context"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// TestWithoutRights: another installation has taken the webhooks and the rights, or
// only the rights are missing.
func TestWithoutRights(t *testing.T) {
	for name, tc := range map[string]struct{ leads, says string }{
		"the webhooks lead elsewhere": {"other", "by Service other/webhooks"},
		"they lead here":              {"system", ""},
	} {
		t.Run(name, func(t *testing.T) {
			seen := &admissionregistrationv1.ValidatingWebhookConfiguration{Webhooks: []admissionregistrationv1.ValidatingWebhook{{
				Name:         "service.validate.switchyard.dev",
				ClientConfig: admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{Namespace: tc.leads, Name: "webhooks"}},
			}}}
			seen.Name = "validating"
			r := &Reconciler{Secret: types.NamespacedName{Namespace: "system", Name: "certificate"}, Server: &Server{}, Validating: "validating", Mutating: "mutating"}
			r.client = fake.NewClientBuilder().WithObjects(seen).Build()
			r.live = fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
				Get: func(_ context.Context, _ client.WithWatch, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
					return apierrors.NewForbidden(schema.GroupResource{Resource: "configurations"}, key.Name, nil)
				},
			}).Build()
			result, err := r.Reconcile(t.Context(), ctrl.Request{})
			if tc.says == "" {
				if !apierrors.IsForbidden(err) || r.Elsewhere() != nil {
					t.Errorf("it ends with %v, and says %v", err, r.Elsewhere())
				}
				return
			}
			if err != nil || result.RequeueAfter != longestPause {
				t.Errorf("it ends with %v, and looks again after %s", err, result.RequeueAfter)
			}
			if says := r.Elsewhere(); says == nil || !strings.Contains(says.Error(), tc.says) || !strings.Contains(says.Error(), oneInstallation) {
				t.Errorf("it says %v", says)
			}
		})
	}
}

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

package webhooks

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// SetupValidatingWebhooks serves every validator of namespaced objects twice: where a configuration
// with failurePolicy Ignore calls, and where the one with Fail does. It starts
// the webhook server, so certificates must be in place; the indexes must have
// been registered before (SetupIndexes).
func SetupValidatingWebhooks(mgr ctrl.Manager, validation Validation) error {
	open, closed := twice(validation)
	for _, err := range []error{
		serve(mgr, &corev1.Service{}, "--v1-service", &ServiceValidator{open}, &ServiceValidator{closed}),
		serve(mgr, &corev1.Endpoints{}, "--v1-endpoints", EndpointsValidator(open), EndpointsValidator(closed)),
		serve(mgr, &discoveryv1.EndpointSlice{}, "-discovery-k8s-io-v1-endpointslice",
			EndpointSliceValidator(open), EndpointSliceValidator(closed)),
		// Objects of no namespace, which no namespace's label can make strict.
		serveOnce(mgr, &v1alpha1.AddressPool{}, "-switchyard-dev-v1alpha1-addresspool", AddressPoolValidator(open)),
		serveOnce(mgr, &v1alpha1.PortPool{}, "-switchyard-dev-v1alpha1-portpool", PortPoolValidator(open)),
		serveOnce(mgr, &networkingv1.ServiceCIDR{}, "-networking-k8s-io-v1-servicecidr", ServiceCIDRValidator(open)),
	} {
		if err != nil {
			return fmt.Errorf("setting up the validating webhooks: %w", err)
		}
	}
	return nil
}

// twice is a validation for either failure policy. They share one queue.
func twice(validation Validation) (open, closed Validation) {
	validation.turns = newTurns()
	open, closed = validation, validation
	open.FailClosed, closed.FailClosed = false, true
	return open, closed
}

// serve registers the two paths named by the webhook markers.
func serve[T runtime.Object](mgr ctrl.Manager, object T, path string, open, closed admission.Validator[T]) error {
	if err := serveOnce(mgr, object, path, open); err != nil {
		return err
	}
	return ctrl.NewWebhookManagedBy(mgr, object).WithValidator(closed).
		WithValidatorCustomPath("/enforce" + path).Complete()
}

func serveOnce[T runtime.Object](mgr ctrl.Manager, object T, path string, validator admission.Validator[T]) error {
	return ctrl.NewWebhookManagedBy(mgr, object).WithValidator(validator).
		WithValidatorCustomPath("/validate" + path).Complete()
}

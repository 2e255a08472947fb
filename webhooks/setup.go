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
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// SetupValidatingWebhooks serves every validator of namespaced objects twice: where a configuration
// with failurePolicy Ignore calls, and where the one with Fail does. It starts
// the webhook server, so certificates must be in place; the indexes must have
// been registered before (SetupIndexes).
func SetupValidatingWebhooks(mgr ctrl.Manager, validation Validation) {
	open, closed := twice(validation)
	s := setup{mgr, readingTurns()}
	for prefix, v := range map[string]Validation{"/validate": open, "/enforce": closed} {
		serve(s, prefix+"--v1-service", "Service", v, &ServiceValidator{v})
		serve(s, prefix+"--v1-endpoints", "Endpoints", v, EndpointsValidator(v))
		serve(s, prefix+"-discovery-k8s-io-v1-endpointslice", "EndpointSlice", v, EndpointSliceValidator(v))
	}
	// Objects of no namespace, which no namespace's label can make strict.
	serve(s, "/validate-switchyard-dev-v1alpha1-addresspool", "AddressPool", open, AddressPoolValidator(open))
	serve(s, "/validate-switchyard-dev-v1alpha1-portpool", "PortPool", open, PortPoolValidator(open))
	serve(s, "/validate-networking-k8s-io-v1-servicecidr", "ServiceCIDR", open, ServiceCIDRValidator(open))
}

// twice is a validation for either failure policy. They share one queue.
func twice(validation Validation) (open, closed Validation) {
	validation.turns = newTurns()
	open, closed = validation, validation
	open.FailClosed, closed.FailClosed = false, true
	return open, closed
}

type setup struct {
	mgr   ctrl.Manager
	turns *turns
}

// serve registers one of the paths named by the webhook markers.
func serve[T runtime.Object](s setup, path, kind string, v Validation, validator admission.Validator[T]) {
	hook := admission.WithValidator(s.mgr.GetScheme(), validator)
	s.mgr.GetWebhookServer().Register(path, newFrontDoor(hook, s.turns, v.refuse(kind)))
}

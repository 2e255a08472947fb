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
	"context"
	"net/http"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// auditedHandler lets pass what another handler refuses, and says so. What could
// not be read stays an error, and so does what is to be tried again: to pass would
// mean another number than the one that is reserved.
type auditedHandler struct{ admission.Handler }

// Handle implements admission.Handler.
func (h auditedHandler) Handle(ctx context.Context, request admission.Request) admission.Response {
	response := h.Handler.Handle(ctx, request)
	if response.Allowed || response.Result == nil || response.Result.Code == http.StatusBadRequest ||
		response.Result.Code == http.StatusServiceUnavailable {
		return response
	}
	ctrl.LoggerFrom(ctx).Info("Would have refused a change", "kind", request.Kind.Kind, "namespace", request.Namespace, "name", request.Name,
		"user", request.UserInfo.Username, "reason", response.Result.Message)
	return admission.Allowed("").WithWarnings(append(response.Warnings, auditPrefix+response.Result.Message)...)
}

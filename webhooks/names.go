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

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// ReaderNames is a Namer that names a Service to those who may read it, and
// tells everybody else no more than that it exists.
type ReaderNames struct {
	// Reviews creates SubjectAccessReviews.
	Reviews client.Writer
}

var _ Namer = ReaderNames{}

// NameOf implements Namer for the requester in the context.
func (n ReaderNames) NameOf(ctx context.Context, svc *corev1.Service) string {
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return nameWithheld
	}
	return n.nameFor(ctx, request, client.ObjectKeyFromObject(svc))
}

// nameWithheld is said where nothing may be.
const nameWithheld = "a Service of another namespace"

// nameFor is NameOf for a requester who is known.
func (n ReaderNames) nameFor(ctx context.Context, request admission.Request, service types.NamespacedName) string {
	switch {
	case n.mayRead(ctx, request.UserInfo, service):
		return "Service " + service.String()
	case service.Namespace == request.Namespace:
		return "another Service of this namespace"
	}
	return nameWithheld
}

// mayRead asks whether the user may get the Service.
func (n ReaderNames) mayRead(ctx context.Context, user authenticationv1.UserInfo, service types.NamespacedName) bool {
	return n.mayGet(ctx, user, resource{"", "v1", "services"}, service)
}

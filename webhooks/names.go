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
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
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

// mayRead asks the API server. No answer counts as no.
func (n ReaderNames) mayRead(ctx context.Context, user authenticationv1.UserInfo, service types.NamespacedName) bool {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: map[string]authorizationv1.ExtraValue{},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "get", Version: "v1", Resource: "services", Namespace: service.Namespace, Name: service.Name,
		},
	}}
	for key, values := range user.Extra {
		review.Spec.Extra[key] = authorizationv1.ExtraValue(values)
	}
	if err := n.Reviews.Create(ctx, review); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Withheld a Service's name", "user", user.Username)
		return false
	}
	return review.Status.Allowed
}

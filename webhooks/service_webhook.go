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

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// +kubebuilder:webhook:path=/validate--v1-service,mutating=false,failurePolicy=ignore,sideEffects=None,groups="",resources=services;services/status,verbs=create;update,versions=v1,name=service.validate.switchyard.dev,admissionReviewVersions=v1,timeoutSeconds=3,patch=`{"namespaceSelector":{"matchExpressions":[{"key":"switchyard.dev/admission","operator":"NotIn","values":["enforce"]},{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["switchyard-system"]}]},"matchConditions":[{"name":"not-the-api-server","expression":"!(request.namespace == 'default' && request.name == 'kubernetes' && request.userInfo.username == 'system:apiserver')"},{"name":"not-cluster-dns","expression":"!(request.namespace == 'kube-system' && (request.name == 'kube-dns' || (has(object.metadata.labels) && 'k8s-app' in object.metadata.labels && object.metadata.labels['k8s-app'] == 'kube-dns')))"},{"name":"not-just-letting-go","expression":"!has(object.metadata.deletionTimestamp) || oldObject == null || object.spec != oldObject.spec || object.?status != oldObject.?status || object.metadata.?annotations != oldObject.metadata.?annotations"}]}`
// +kubebuilder:webhook:path=/enforce--v1-service,mutating=false,failurePolicy=fail,sideEffects=None,groups="",resources=services;services/status,verbs=create;update,versions=v1,name=service-enforce.validate.switchyard.dev,admissionReviewVersions=v1,timeoutSeconds=3,patch=`{"namespaceSelector":{"matchExpressions":[{"key":"switchyard.dev/admission","operator":"In","values":["enforce"]},{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["switchyard-system"]}]},"matchConditions":[{"name":"not-the-api-server","expression":"!(request.namespace == 'default' && request.name == 'kubernetes' && request.userInfo.username == 'system:apiserver')"},{"name":"not-cluster-dns","expression":"!(request.namespace == 'kube-system' && (request.name == 'kube-dns' || (has(object.metadata.labels) && 'k8s-app' in object.metadata.labels && object.metadata.labels['k8s-app'] == 'kube-dns')))"},{"name":"not-just-letting-go","expression":"!has(object.metadata.deletionTimestamp) || oldObject == null || object.spec != oldObject.spec || object.?status != oldObject.?status || object.metadata.?annotations != oldObject.metadata.?annotations"}]}`

// ServiceValidator judges Services, and the addresses that load-balancer
// controllers write to their status.
type ServiceValidator struct {
	Validation
}

var _ admission.Validator[*corev1.Service] = &ServiceValidator{}

// ValidateCreate implements admission.Validator.
func (v *ServiceValidator) ValidateCreate(ctx context.Context, svc *corev1.Service) (admission.Warnings, error) {
	return v.validate(ctx, ServiceChange{New: svc})
}

// ValidateUpdate implements admission.Validator, for the spec and the status.
func (v *ServiceValidator) ValidateUpdate(ctx context.Context, before, after *corev1.Service) (admission.Warnings, error) {
	return v.validate(ctx, ServiceChange{Old: before, New: after})
}

// ValidateDelete implements admission.Validator; deletion always passes.
func (v *ServiceValidator) ValidateDelete(context.Context, *corev1.Service) (admission.Warnings, error) {
	return nil, nil
}

func (v *ServiceValidator) validate(ctx context.Context, change ServiceChange) (admission.Warnings, error) {
	w := write{kind: corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), after: change.New, size: change.size()}
	if change.Old != nil {
		w.before = change.Old
	}
	w.validate = func(ctx context.Context, severities Severities) (Verdict, error) {
		return ValidateService(ctx, v.World, severities, change)
	}
	return v.answer(ctx, w)
}

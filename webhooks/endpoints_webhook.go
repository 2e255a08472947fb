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
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// +kubebuilder:webhook:path=/validate--v1-endpoints,mutating=false,failurePolicy=ignore,sideEffects=None,groups="",resources=endpoints,verbs=create;update,versions=v1,name=endpoints.validate.switchyard.dev,admissionReviewVersions=v1,timeoutSeconds=3,patch=`{"namespaceSelector":{"matchExpressions":[{"key":"switchyard.dev/admission","operator":"NotIn","values":["enforce"]},{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["switchyard-system"]}]},"matchConditions":[{"name":"not-the-api-server","expression":"!(request.namespace == 'default' && request.name == 'kubernetes' && request.userInfo.username == 'system:apiserver')"},{"name":"not-cluster-dns","expression":"!(request.namespace == 'kube-system' && (request.name == 'kube-dns' || (has(object.metadata.labels) && 'k8s-app' in object.metadata.labels && object.metadata.labels['k8s-app'] == 'kube-dns')))"},{"name":"not-just-letting-go","expression":"!has(object.metadata.deletionTimestamp) || oldObject == null || object.?subsets != oldObject.?subsets"},{"name":"not-an-endpoint-controller","expression":"!(request.userInfo.username in ['system:apiserver', 'system:kube-controller-manager', 'system:serviceaccount:kube-system:endpoint-controller', 'system:serviceaccount:kube-system:endpointslice-controller', 'system:serviceaccount:kube-system:endpointslicemirroring-controller']) && !request.userInfo.username.startsWith('system:serviceaccount:switchyard-system:')"}]}`
// +kubebuilder:webhook:path=/enforce--v1-endpoints,mutating=false,failurePolicy=fail,sideEffects=None,groups="",resources=endpoints,verbs=create;update,versions=v1,name=endpoints-enforce.validate.switchyard.dev,admissionReviewVersions=v1,timeoutSeconds=3,patch=`{"namespaceSelector":{"matchExpressions":[{"key":"switchyard.dev/admission","operator":"In","values":["enforce"]},{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["switchyard-system"]}]},"matchConditions":[{"name":"not-the-api-server","expression":"!(request.namespace == 'default' && request.name == 'kubernetes' && request.userInfo.username == 'system:apiserver')"},{"name":"not-cluster-dns","expression":"!(request.namespace == 'kube-system' && (request.name == 'kube-dns' || (has(object.metadata.labels) && 'k8s-app' in object.metadata.labels && object.metadata.labels['k8s-app'] == 'kube-dns')))"},{"name":"not-just-letting-go","expression":"!has(object.metadata.deletionTimestamp) || oldObject == null || object.?subsets != oldObject.?subsets"},{"name":"not-an-endpoint-controller","expression":"!(request.userInfo.username in ['system:apiserver', 'system:kube-controller-manager', 'system:serviceaccount:kube-system:endpoint-controller', 'system:serviceaccount:kube-system:endpointslice-controller', 'system:serviceaccount:kube-system:endpointslicemirroring-controller']) && !request.userInfo.username.startsWith('system:serviceaccount:switchyard-system:')"}]}`
// +kubebuilder:webhook:path=/validate-discovery-k8s-io-v1-endpointslice,mutating=false,failurePolicy=ignore,sideEffects=None,groups="discovery.k8s.io",resources=endpointslices,verbs=create;update,versions=v1,name=endpointslice.validate.switchyard.dev,admissionReviewVersions=v1,timeoutSeconds=3,patch=`{"namespaceSelector":{"matchExpressions":[{"key":"switchyard.dev/admission","operator":"NotIn","values":["enforce"]},{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["switchyard-system"]}]},"matchConditions":[{"name":"not-the-api-server","expression":"!(request.namespace == 'default' && request.name == 'kubernetes' && request.userInfo.username == 'system:apiserver')"},{"name":"not-cluster-dns","expression":"!(request.namespace == 'kube-system' && (request.name == 'kube-dns' || (has(object.metadata.labels) && 'k8s-app' in object.metadata.labels && object.metadata.labels['k8s-app'] == 'kube-dns')))"},{"name":"not-just-letting-go","expression":"!has(object.metadata.deletionTimestamp) || oldObject == null || object.?endpoints != oldObject.?endpoints || object.?ports != oldObject.?ports || object.metadata.?labels != oldObject.metadata.?labels"},{"name":"not-an-endpoint-controller","expression":"!(request.userInfo.username in ['system:apiserver', 'system:kube-controller-manager', 'system:serviceaccount:kube-system:endpoint-controller', 'system:serviceaccount:kube-system:endpointslice-controller', 'system:serviceaccount:kube-system:endpointslicemirroring-controller']) && !request.userInfo.username.startsWith('system:serviceaccount:switchyard-system:')"}]}`
// +kubebuilder:webhook:path=/enforce-discovery-k8s-io-v1-endpointslice,mutating=false,failurePolicy=fail,sideEffects=None,groups="discovery.k8s.io",resources=endpointslices,verbs=create;update,versions=v1,name=endpointslice-enforce.validate.switchyard.dev,admissionReviewVersions=v1,timeoutSeconds=3,patch=`{"namespaceSelector":{"matchExpressions":[{"key":"switchyard.dev/admission","operator":"In","values":["enforce"]},{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["switchyard-system"]}]},"matchConditions":[{"name":"not-the-api-server","expression":"!(request.namespace == 'default' && request.name == 'kubernetes' && request.userInfo.username == 'system:apiserver')"},{"name":"not-cluster-dns","expression":"!(request.namespace == 'kube-system' && (request.name == 'kube-dns' || (has(object.metadata.labels) && 'k8s-app' in object.metadata.labels && object.metadata.labels['k8s-app'] == 'kube-dns')))"},{"name":"not-just-letting-go","expression":"!has(object.metadata.deletionTimestamp) || oldObject == null || object.?endpoints != oldObject.?endpoints || object.?ports != oldObject.?ports || object.metadata.?labels != oldObject.metadata.?labels"},{"name":"not-an-endpoint-controller","expression":"!(request.userInfo.username in ['system:apiserver', 'system:kube-controller-manager', 'system:serviceaccount:kube-system:endpoint-controller', 'system:serviceaccount:kube-system:endpointslice-controller', 'system:serviceaccount:kube-system:endpointslicemirroring-controller']) && !request.userInfo.username.startsWith('system:serviceaccount:switchyard-system:')"}]}`

// BackendValidator judges endpoint addresses that a user hands in, in either
// of the two kinds of object that carry them.
type BackendValidator[T client.Object] struct {
	Validation
	// Kind is what the messages call the object.
	Kind schema.GroupKind
	// Change reads what a write adds; before is nil on create.
	Change func(before, after T) BackendChange
}

var (
	_ admission.Validator[*corev1.Endpoints]          = &BackendValidator[*corev1.Endpoints]{}
	_ admission.Validator[*discoveryv1.EndpointSlice] = &BackendValidator[*discoveryv1.EndpointSlice]{}
)

// EndpointsValidator judges Endpoints objects.
func EndpointsValidator(v Validation) *BackendValidator[*corev1.Endpoints] {
	kind := corev1.SchemeGroupVersion.WithKind("Endpoints").GroupKind()
	return &BackendValidator[*corev1.Endpoints]{Validation: v, Kind: kind, Change: endpointsChange}
}

func endpointsChange(before, after *corev1.Endpoints) BackendChange {
	change := BackendChange{Namespace: after.Namespace, After: BackendsOfEndpoints(after)}
	if before != nil {
		change.Before = BackendsOfEndpoints(before)
	}
	return change
}

// EndpointSliceValidator judges EndpointSlices.
func EndpointSliceValidator(v Validation) *BackendValidator[*discoveryv1.EndpointSlice] {
	kind := discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice").GroupKind()
	return &BackendValidator[*discoveryv1.EndpointSlice]{Validation: v, Kind: kind, Change: sliceChange}
}

func sliceChange(before, after *discoveryv1.EndpointSlice) BackendChange {
	change := BackendChange{Namespace: after.Namespace, After: servedBackends(after), Slice: after, OldSlice: before}
	if before != nil {
		change.Before = servedBackends(before)
	}
	return change
}

// ValidateCreate implements admission.Validator.
func (v *BackendValidator[T]) ValidateCreate(ctx context.Context, object T) (admission.Warnings, error) {
	var none T
	return v.validate(ctx, write{after: object}, none, object)
}

// ValidateUpdate implements admission.Validator.
func (v *BackendValidator[T]) ValidateUpdate(ctx context.Context, before, after T) (admission.Warnings, error) {
	return v.validate(ctx, write{before: before, after: after}, before, after)
}

// ValidateDelete implements admission.Validator; deletion always passes.
func (v *BackendValidator[T]) ValidateDelete(context.Context, T) (admission.Warnings, error) {
	return nil, nil
}

func (v *BackendValidator[T]) validate(ctx context.Context, w write, before, after T) (admission.Warnings, error) {
	if request, err := admission.RequestFromContext(ctx); err == nil && v.Exempt.EndpointWriter(request) {
		return nil, nil
	}
	w.kind = v.Kind
	change := v.Change(before, after)
	w.size = len(change.After)
	w.validate = func(ctx context.Context, severities Severities) (Verdict, error) {
		return ValidateBackends(ctx, v.World, severities, change)
	}
	return v.answer(ctx, w)
}

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

package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// KeepEndpointsAnnotation is set to "true" on a Service that loses its selector to keep
// the endpoints it had, for its author to go on with. Without it they go.
const KeepEndpointsAnnotation = "switchyard.dev/keep-endpoints"

// Events of a Service that has lost its selector.
const (
	endpointsRemovedReason = "EndpointsRemoved"
	endpointsKeptReason    = "EndpointsKept"
)

// What the controllers of Services with a selector write.
var (
	podSliceTarget = guardTarget{
		discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"), discoveryv1.LabelManagedBy, EndpointSliceControllerName, "endpoints",
	}
	podEndpointsTarget = guardTarget{
		corev1.SchemeGroupVersion.WithKind("Endpoints"), endpointsManagedByLabel, EndpointsControllerName, "subsets",
	}
)

// selectsPods tells whose endpoints come from pods; those of the others are their
// authors' (row E4).
func selectsPods(service *corev1.Service) bool {
	return service.Spec.Type != corev1.ServiceTypeExternalName && len(service.Spec.Selector) > 0
}

func keepsEndpoints(service *corev1.Service) bool {
	return service.Annotations[KeepEndpointsAnnotation] == "true"
}

// writtenByUs asks the API server who wrote the endpoints of an object last: its
// managed-by label stays when somebody edits it, and caches may do without
// managed fields. It returns the object as it was then, or nil if it is not ours;
// one that is not there is an error.
func writtenByUs(ctx context.Context, live client.Reader, target guardTarget, key types.NamespacedName) (*metav1.PartialObjectMetadata, error) {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(target.kind)
	if err := live.Get(ctx, key, object); err != nil {
		return nil, err
	}
	if object.Labels[target.label] != target.value || !ownedByUs(target, object) {
		return nil, nil //nolint:nilnil // neither ours nor an error
	}
	return object, nil
}

func ownedByUs(target guardTarget, object *metav1.PartialObjectMetadata) bool {
	field, ours := writtenField(target, object), false
	for _, entry := range object.ManagedFields {
		if !ownsField(entry, field) {
			continue
		}
		if !isOurs(entry.Manager) {
			return false
		}
		ours = true
	}
	return ours
}

// unchanged are the preconditions under which nobody has written in between.
func unchanged(object metav1.Object) client.Preconditions {
	uid, version := object.GetUID(), object.GetResourceVersion()
	return client.Preconditions{UID: &uid, ResourceVersion: &version}
}

// letGo deletes the Endpoints that we have made of the pods of a Service which
// selects none any more, unless it is told to keep them. Upstream leaves them to
// rot (kubernetes/kubernetes issue 103804).
func (r *EndpointsReconciler) letGo(ctx context.Context, service *corev1.Service) (time.Duration, error) {
	key := client.ObjectKeyFromObject(service)
	r.forget(key)
	current, err := r.current(ctx, key)
	if err != nil || current == nil || !managedEndpoints(current) || keepsEndpoints(service) {
		return 0, err
	}
	ours, err := writtenByUs(ctx, r.Live, podEndpointsTarget, key)
	if err != nil || ours == nil {
		return 0, client.IgnoreNotFound(err)
	}
	err = r.Client.Delete(ctx, current, unchanged(ours))
	switch {
	case apierrors.IsNotFound(err):
		return 0, nil
	case apierrors.IsConflict(err):
		if wait := r.conflicts.wait(key); wait > 0 {
			return wait, nil
		}
		fallthrough
	case err != nil:
		return 0, fmt.Errorf("deleting Endpoints %s, whose Service selects no pods any more: %w", key, err)
	}
	r.recorder.Eventf(service, corev1.EventTypeNormal, endpointsRemovedReason,
		"Removed the Endpoints that were made of pods: the Service does not select any now. The annotation %s: \"true\" would have kept them",
		KeepEndpointsAnnotation)
	return 0, nil
}

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

package validation

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"switchyard.dev/switchyard/allocator"
)

// ManifestUpdate is what a server would say to a Service in the place of the one
// before, as a client sends it. It returns the Service with its defaults, and
// with what it keeps of the one before.
func ManifestUpdate(before, svc *corev1.Service, opts Options) (*corev1.Service, field.ErrorList) {
	before, svc = before.DeepCopy(), svc.DeepCopy()
	Default(before)
	Default(svc)
	keepMetadata(&before.ObjectMeta, &svc.ObjectMeta)
	svc = allocator.CarryOver(before, svc)
	// The server's allocator comes first, and what it objects to is all that is said.
	if errs := allocateFamilies(before, svc, opts); len(errs) > 0 {
		return svc, errs
	}
	svc.Status = *before.Status.DeepCopy() // It has its own way in.
	dropUnused(before, svc)
	opts.Unallocated = true
	return svc, withMetadata(&before.ObjectMeta, &svc.ObjectMeta, ValidateServiceUpdate(before, svc, opts))
}

// ManifestStatus is what a server would say to the status of a Service, written to
// the status subresource of the one before. It returns that with the status.
func ManifestStatus(before, svc *corev1.Service, opts Options) (*corev1.Service, field.ErrorList) {
	before, svc = before.DeepCopy(), svc.DeepCopy()
	Default(before)
	prepareMetadata(&before.ObjectMeta)
	keepMetadata(&before.ObjectMeta, &svc.ObjectMeta)
	svc.Spec = *before.Spec.DeepCopy() // It has its own way in.
	Default(svc)
	return svc, withMetadata(&before.ObjectMeta, &svc.ObjectMeta, ValidateServiceStatusUpdate(before, svc, opts))
}

// ManifestEndpointsUpdate is ManifestUpdate for an Endpoints object.
func ManifestEndpointsUpdate(before, endpoints *corev1.Endpoints, opts Options) (*corev1.Endpoints, field.ErrorList) {
	endpoints = endpoints.DeepCopy()
	DefaultEndpoints(endpoints)
	keepMetadata(&before.ObjectMeta, &endpoints.ObjectMeta)
	return endpoints, withMetadata(&before.ObjectMeta, &endpoints.ObjectMeta, ValidateEndpointsUpdate(before, endpoints, opts))
}

// ManifestEndpointSliceUpdate is ManifestUpdate for an EndpointSlice.
func ManifestEndpointSliceUpdate(before, slice *discoveryv1.EndpointSlice, opts Options) (*discoveryv1.EndpointSlice, field.ErrorList) {
	slice = slice.DeepCopy()
	DefaultEndpointSlice(slice)
	keepMetadata(&before.ObjectMeta, &slice.ObjectMeta)
	if !apiequality.Semantic.DeepEqual(before.Endpoints, slice.Endpoints) {
		for i := range slice.Endpoints {
			slice.Endpoints[i].DeprecatedTopology = nil // Dropped, as documented.
		}
	}
	return slice, withMetadata(&before.ObjectMeta, &slice.ObjectMeta, ValidateEndpointSliceUpdate(before, slice, opts))
}

// keepMetadata has the server's own fields stay as they are.
func keepMetadata(before, meta *metav1.ObjectMeta) {
	setDefault(&meta.Namespace, before.Namespace)
	setDefault(&meta.ResourceVersion, before.ResourceVersion)
	setDefault(&meta.UID, before.UID)
	meta.Generation = before.Generation
	if !before.CreationTimestamp.IsZero() {
		meta.CreationTimestamp = before.CreationTimestamp
	}
	if before.DeletionTimestamp != nil {
		meta.DeletionTimestamp = before.DeletionTimestamp
	}
	if meta.DeletionGracePeriodSeconds == nil {
		meta.DeletionGracePeriodSeconds = before.DeletionGracePeriodSeconds
	}
}

// withMetadata puts what the server looks at in updates of every kind before
// what it objects to in this one. What both say is said once.
func withMetadata(before, meta *metav1.ObjectMeta, errs field.ErrorList) field.ErrorList {
	ofAllKinds := apivalidation.ValidateObjectMeta(meta, true, path.ValidatePathSegmentName, metadataPath)
	ofAllKinds = append(ofAllKinds, apivalidation.ValidateObjectMetaUpdate(meta, before, metadataPath)...)
	var all field.ErrorList
	for _, err := range append(ofAllKinds, errs...) {
		if !slices.ContainsFunc(all, func(e *field.Error) bool { return e.Error() == err.Error() }) {
			all = append(all, err)
		}
	}
	return all
}

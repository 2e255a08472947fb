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
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	endpointslicemetrics "k8s.io/endpointslice/metrics"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// letGo is for a Service that does not select pods any more (row E4). What we have
// made of them is deleted, unless the Service is told to keep it; what it keeps,
// and what somebody else has made, is handed over.
func (r *EndpointSliceReconciler) letGo(ctx context.Context, service *corev1.Service) error {
	key := client.ObjectKeyFromObject(service)
	r.forget(key)
	left, err := r.owner.list(ctx, r.Client, key)
	if err != nil || len(left) == 0 {
		return err
	}
	why := "the annotation " + KeepEndpointsAnnotation + " says so"
	if !keepsEndpoints(service) {
		why = "another controller has written them"
		if left, err = r.removeOurs(ctx, service, left); err != nil || len(left) == 0 {
			return err
		}
	}
	return r.handOver(ctx, service, left, why)
}

// removeOurs returns the slices that we have not written.
func (r *EndpointSliceReconciler) removeOurs(ctx context.Context, service *corev1.Service, present []*discoveryv1.EndpointSlice) (
	others []*discoveryv1.EndpointSlice, err error) {
	removed := 0
	for _, slice := range present {
		ours, err := writtenByUs(ctx, r.Live, podSliceTarget, client.ObjectKeyFromObject(slice))
		if err == nil && ours == nil {
			others = append(others, slice)
			continue
		}
		if err == nil {
			err = r.remove(ctx, []*discoveryv1.EndpointSlice{slice}, unchanged(ours))
		}
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("letting go of EndpointSlices of Service %s: %w", client.ObjectKeyFromObject(service), err)
		}
		removed++
	}
	if removed > 0 {
		r.recorder.Eventf(service, corev1.EventTypeNormal, endpointsRemovedReason,
			"Removed %d EndpointSlices that were made of pods: the Service does not select any now. The annotation %s: \"true\" would have kept them",
			removed, KeepEndpointsAnnotation)
	}
	return others, nil
}

// endpointsHandedOverReason is the reason of Events about slices that others have
// taken the place of.
const endpointsHandedOverReason = "EndpointsHandedOver"

// handOver removes slices once somebody else describes the endpoints of their
// family: a mirrored or a hand-made slice. Until then they keep the Service
// reachable; kept any longer they would send traffic to pods nobody looks after.
// Slices that no Service owns are a person's.
func (r *EndpointSliceReconciler) handOver(ctx context.Context, service *corev1.Service, left []*discoveryv1.EndpointSlice, why string) error {
	var all discoveryv1.EndpointSliceList
	if err := r.Client.List(ctx, &all, client.InNamespace(service.Namespace),
		client.MatchingLabels{discoveryv1.LabelServiceName: service.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	others, removed, kept := foreignFamilies(r.owner, all.Items), 0, 0
	for _, slice := range left {
		if !others[slice.AddressType] || !ownedByService(slice) {
			kept++
			continue
		}
		if err := r.remove(ctx, []*discoveryv1.EndpointSlice{slice}, unchanged(slice)); err != nil {
			return err
		}
		removed++
	}
	if removed > 0 {
		r.recorder.Eventf(service, corev1.EventTypeNormal, endpointsHandedOverReason,
			"Removed %d EndpointSlices of pods that the Service does not select any more: others have taken their place", removed)
	}
	if kept > 0 {
		r.recorder.Eventf(service, corev1.EventTypeNormal, endpointsKeptReason,
			"Keeping %d EndpointSlices of pods that the Service does not select any more, until there are others of their family: %s", kept, why)
	}
	return nil
}

// removeOrphans deletes the slices of a Service that is gone, as the garbage
// collector would some time later (row E19). A slice without an owner was orphaned
// on purpose. The cache of Services may be behind that of slices, so the API
// server is asked.
func (r *EndpointSliceReconciler) removeOrphans(ctx context.Context, key types.NamespacedName) error {
	r.forget(key)
	left, err := r.owner.list(ctx, r.Client, key)
	left = slices.DeleteFunc(left, func(slice *discoveryv1.EndpointSlice) bool { return !ownedByService(slice) })
	if err != nil || len(left) == 0 {
		return err
	}
	if gone, err := serviceGone(ctx, r.Live, key); err != nil || !gone {
		return err // If it is there, its event is on its way.
	}
	var errs []error
	for _, slice := range left {
		// It may have been orphaned in between.
		errs = append(errs, r.remove(ctx, []*discoveryv1.EndpointSlice{slice}, unchanged(slice)))
	}
	return errors.Join(errs...)
}

// serviceGone asks the API server, as the cache may be behind.
func serviceGone(ctx context.Context, live client.Reader, key types.NamespacedName) (bool, error) {
	service := &metav1.PartialObjectMetadata{}
	service.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Service"))
	err := live.Get(ctx, key, service)
	return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
}

func ownedByService(slice *discoveryv1.EndpointSlice) bool {
	return slices.ContainsFunc(slice.OwnerReferences, func(owner metav1.OwnerReference) bool {
		return owner.Kind == "Service" && owner.APIVersion == corev1.SchemeGroupVersion.String()
	})
}

func (r *EndpointSliceReconciler) remove(ctx context.Context, slices []*discoveryv1.EndpointSlice, options ...client.DeleteOption) error {
	err := deleteSlices(ctx, r.Client, slices, options...)
	if err == nil {
		endpointslicemetrics.EndpointSliceChanges.WithLabelValues("delete").Add(float64(len(slices)))
	}
	return err
}

// foreignFamilies are the address types of which others have slices.
func foreignFamilies(owner sliceOwner, slices []discoveryv1.EndpointSlice) map[discoveryv1.AddressType]bool {
	families := map[discoveryv1.AddressType]bool{}
	for i := range slices {
		if !owner.owns(&slices[i]) && slices[i].DeletionTimestamp == nil {
			families[slices[i].AddressType] = true
		}
	}
	return families
}

func deleteSlices(ctx context.Context, writer client.Client, slices []*discoveryv1.EndpointSlice, options ...client.DeleteOption) error {
	var errs []error
	for _, slice := range slices {
		if err := writer.Delete(ctx, slice, options...); client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("deleting EndpointSlice %s: %w", client.ObjectKeyFromObject(slice), err))
		}
	}
	return errors.Join(errs...)
}

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
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// readNamespace notes the labels that pools select by. One that the cache does
// not know yet is read live; in one that does not exist nothing is created.
func (a *ServiceAllocation) readNamespace(ctx context.Context, request *allocationRequest, from client.Reader) error {
	if !a.Index.HasPools() {
		return nil
	}
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	key := client.ObjectKey{Name: request.Namespace}
	err := from.Get(ctx, key, namespace)
	if apierrors.IsNotFound(err) {
		err = a.Reader.Get(ctx, key, namespace)
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the labels of namespace %s: %w", request.Namespace, err)
	}
	request.namespace = labels.Set(namespace.Labels)
	return nil
}

// confirmPools reads past the cache, once for a request, which pools there are
// and whom they select, before somebody is refused for lack of a number in them.
func (a *ServiceAllocation) confirmPools(ctx context.Context, request *allocationRequest) error {
	var ports v1alpha1.PortPoolList
	if err := a.Reader.List(ctx, &ports); err != nil {
		return fmt.Errorf("confirming the PortPools: %w", err)
	}
	var addrs v1alpha1.AddressPoolList
	if err := a.Reader.List(ctx, &addrs); err != nil {
		return fmt.Errorf("confirming the AddressPools: %w", err)
	}
	if err := a.Index.ObservePools(ports.Items, addrs.Items); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Pools that can not be read stay as they were")
	}
	request.poolsConfirmed = true
	return a.readNamespace(ctx, request, a.Reader)
}

// lostReservation reads past the cache whom a number is reserved for.
func (a *ServiceAllocation) lostReservation(ctx context.Context, request *allocationRequest, n allocator.Number) (bool, error) {
	reservation, err := a.readReservation(ctx, n)
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, err
	}
	return reservation.For(client.ObjectKeyFromObject(request.new)), nil
}

// readReservation reads it past the cache and tells the index, which may have
// heard more meanwhile.
func (a *ServiceAllocation) readReservation(ctx context.Context, n allocator.Number) (allocator.Reservation, error) {
	before := a.Index.GlimpseReservations()
	reservation, err := a.getReservation(ctx, n)
	switch {
	case err == nil:
		a.Index.ReserveRead(reservation, before)
	case apierrors.IsNotFound(err):
		a.Index.UnreserveRead(n, before)
	}
	return reservation, err
}

func (a *ServiceAllocation) getReservation(ctx context.Context, n allocator.Number) (allocator.Reservation, error) {
	key := client.ObjectKey{Name: n.ReservationName()}
	if n.IsPort() {
		var object v1alpha1.PortReservation
		if err := a.Reader.Get(ctx, key, &object); err != nil {
			return allocator.Reservation{}, fmt.Errorf("confirming PortReservation %s: %w", key.Name, err)
		}
		return allocator.ReservationOfPort(&object)
	}
	var object v1alpha1.AddressReservation
	if err := a.Reader.Get(ctx, key, &object); err != nil {
		return allocator.Reservation{}, fmt.Errorf("confirming AddressReservation %s: %w", key.Name, err)
	}
	return allocator.ReservationOfAddress(&object)
}

// applyPoolDefaults gives a new load balancer no node ports where its pools say
// so and it does not. The API server has filled the field in with true before it
// asks us, so what the author wrote is looked for where it is still to be seen:
// in what server-side apply and kubectl apply leave in the metadata. A plain
// create that says true can not be told from one that says nothing; to have node
// ports all the same it names one, or updates the field afterwards.
func (a *ServiceAllocation) applyPoolDefaults(request *allocationRequest) {
	service := request.new
	allocate := service.Spec.AllocateLoadBalancerNodePorts
	if request.old != nil || service.Spec.Type != corev1.ServiceTypeLoadBalancer || allocate == nil || !*allocate || asksForNodePorts(service) {
		return
	}
	for _, pool := range a.Index.PortPoolsFor(request.namespace) {
		if given := pool.AllocateLoadBalancerNodePorts; given != nil {
			if !*given {
				service.Spec.AllocateLoadBalancerNodePorts = given
				request.withoutNodePorts = true
			}
			return
		}
	}
}

const allocateField = "allocateLoadBalancerNodePorts"

func asksForNodePorts(service *corev1.Service) bool {
	for _, port := range service.Spec.Ports {
		if port.NodePort != 0 {
			return true
		}
	}
	var applied struct {
		Spec map[string]json.RawMessage `json:"spec"`
	}
	last := service.Annotations[corev1.LastAppliedConfigAnnotation]
	if json.Unmarshal([]byte(last), &applied) == nil && applied.Spec[allocateField] != nil {
		return true
	}
	for _, entry := range service.ManagedFields {
		var owned struct {
			Spec map[string]json.RawMessage `json:"f:spec"`
		}
		if entry.Operation == metav1.ManagedFieldsOperationApply && entry.FieldsV1 != nil &&
			json.Unmarshal(entry.FieldsV1.Raw, &owned) == nil && owned.Spec["f:"+allocateField] != nil {
			return true
		}
	}
	return false
}

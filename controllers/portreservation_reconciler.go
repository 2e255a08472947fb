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
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// +kubebuilder:rbac:groups=switchyard.dev,resources=portreservations,verbs=get;list;watch;delete
// +kubebuilder:rbac:groups=switchyard.dev,resources=portreservations/status,verbs=update
// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=services,verbs=create;delete,namespace=switchyard-system
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;delete,namespace=switchyard-system
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// portReservationReconciler holds reserved ports while no Service has them.
type portReservationReconciler struct{ *reservations }

func (r *portReservationReconciler) setup(mgr ctrl.Manager) error {
	events := reservationEvents{
		client: r.client, namespace: r.keeper.Namespace, ports: true,
		list:   func() client.ObjectList { return &v1alpha1.PortReservationList{} },
		object: func() client.Object { return &v1alpha1.PortReservation{} },
	}
	return ctrl.NewControllerManagedBy(mgr).Named("portreservation").
		For(&v1alpha1.PortReservation{}).
		Watches(&corev1.Service{}, events.ofService()).
		Complete(r)
}

// Reconcile brings one PortReservation in line with what exists.
func (r *portReservationReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if !r.index.Ready() {
		return ctrl.Result{RequeueAfter: handOverRetry}, nil
	}
	object := &v1alpha1.PortReservation{}
	if err := r.client.Get(ctx, request.NamespacedName, object); apierrors.IsNotFound(err) {
		port, err := strconv.ParseUint(request.Name, 10, 16)
		if err != nil {
			return ctrl.Result{}, nil // the schema allows no such name
		}
		return r.orphanPlaceholder(ctx, object, request.NamespacedName, allocator.PortNumber(int32(port)))
	} else if err != nil {
		return ctrl.Result{}, err
	}
	reservation, err := allocator.ReservationOfPort(object)
	if err != nil {
		return ctrl.Result{}, reconcile.TerminalError(fmt.Errorf("holding a reserved port: %w", err))
	}
	return r.reconcile(ctx, object, &reservationFacts{
		Reservation: reservation, retain: object.Spec.Retain, retained: isRetained(object),
		generation: object.Generation, before: *object.Status.DeepCopy(),
	}, &object.Status)
}

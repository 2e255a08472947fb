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
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// +kubebuilder:rbac:groups=switchyard.dev,resources=addressreservations,verbs=get;list;watch;delete
// +kubebuilder:rbac:groups=switchyard.dev,resources=addressreservations/status,verbs=update
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ipaddresses,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=servicecidrs,verbs=list;watch

// addressReservationReconciler holds reserved ClusterIPs while no Service has them.
type addressReservationReconciler struct{ *reservations }

func (r *addressReservationReconciler) setup(mgr ctrl.Manager) error {
	events := reservationEvents{
		client: r.client, namespace: r.keeper.Namespace,
		list:   func() client.ObjectList { return &v1alpha1.AddressReservationList{} },
		object: func() client.Object { return &v1alpha1.AddressReservation{} },
	}
	return ctrl.NewControllerManagedBy(mgr).Named("addressreservation").
		For(&v1alpha1.AddressReservation{}).
		Watches(&corev1.Service{}, events.ofService()).
		Watches(&networkingv1.IPAddress{}, events.ofAddress()).
		Watches(&networkingv1.ServiceCIDR{}, events.all()).
		Complete(r)
}

// Reconcile brings one AddressReservation in line with what exists.
func (r *addressReservationReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if !r.index.Ready() {
		return ctrl.Result{RequeueAfter: handOverRetry}, nil
	}
	object := &v1alpha1.AddressReservation{}
	if err := r.client.Get(ctx, request.NamespacedName, object); apierrors.IsNotFound(err) {
		addr, err := netip.ParseAddr(strings.ReplaceAll(request.Name, "-", ":"))
		if err != nil {
			return ctrl.Result{}, nil // the schema allows no such name
		}
		return r.orphanPlaceholder(ctx, object, request.NamespacedName, allocator.AddrNumber(addr))
	} else if err != nil {
		return ctrl.Result{}, err
	}
	reservation, err := allocator.ReservationOfAddress(object)
	if err != nil {
		return ctrl.Result{}, reconcile.TerminalError(fmt.Errorf("holding a reserved address: %w", err))
	}
	return r.reconcile(ctx, object, &reservationFacts{
		Reservation: reservation, retain: object.Spec.Retain, retained: isRetained(object),
		generation: object.Generation, before: *object.Status.DeepCopy(),
	}, &object.Status)
}

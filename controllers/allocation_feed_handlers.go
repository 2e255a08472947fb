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

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

func (f *allocationFeed) onService() toolscache.ResourceEventHandler {
	observe := func(object any) {
		if service, ok := object.(*corev1.Service); ok {
			f.repairing.Lock()
			defer f.repairing.Unlock()
			f.index.Observe(service)
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    observe,
		UpdateFunc: func(_, object any) { observe(object) },
		DeleteFunc: func(object any) {
			if service, ok := lastState[*corev1.Service](object); ok {
				f.repairing.Lock()
				defer f.repairing.Unlock()
				f.index.Forget(client.ObjectKeyFromObject(service), service.UID)
			}
		},
	}
}

// onClaim takes in claims. A claim that was deleted and made again between two
// lists arrives as an update. The age of those that come is counted by our own clock,
// that of those that were there at the start by the API server's.
func (f *allocationFeed) onClaim() toolscache.ResourceEventHandler {
	observe := func(object any, known bool) {
		if lease, ok := object.(*coordinationv1.Lease); ok {
			if claim, err := allocator.ClaimOfLease(lease); err == nil {
				if !known {
					claim.Created, claim.Seen = f.now(), true
				}
				f.index.Claim(claim)
			}
		}
	}
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: observe,
		UpdateFunc: func(old, object any) {
			observe(object, old.(client.Object).GetUID() == object.(client.Object).GetUID())
		},
		DeleteFunc: func(object any) {
			if lease, ok := lastState[*coordinationv1.Lease](object); ok {
				if claim, err := allocator.ClaimOfLease(lease); err == nil {
					f.index.Unclaim(claim)
				}
			}
		},
	}
}

// onReservation takes in reservations of both kinds. One that can not be read
// stays as it was when it last could.
func (f *allocationFeed) onReservation(ctx context.Context) toolscache.ResourceEventHandler {
	observe := func(object any) {
		reservation, err := reservationOf(object)
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Reservation stays as it was")
			return
		}
		f.index.Reserve(reservation)
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    observe,
		UpdateFunc: func(_, object any) { observe(object) },
		DeleteFunc: func(object any) {
			if reservation, ok := lastState[client.Object](object); ok {
				if number, err := allocator.ParseReservationName(reservation.GetName()); err == nil {
					f.index.Unreserve(number)
				}
			}
		},
	}
}

func reservationOf(object any) (allocator.Reservation, error) {
	switch object := object.(type) {
	case *v1alpha1.PortReservation:
		return allocator.ReservationOfPort(object)
	case *v1alpha1.AddressReservation:
		return allocator.ReservationOfAddress(object)
	}
	return allocator.Reservation{}, fmt.Errorf("%T is no reservation", object)
}

// onChange takes in all objects at each change of one: there are only a few.
func (f *allocationFeed) onChange(ctx context.Context, observe func(context.Context)) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { observe(ctx) },
		UpdateFunc: func(_, _ any) { observe(ctx) },
		DeleteFunc: func(any) { observe(ctx) },
	}
}

func (f *allocationFeed) observeServiceCIDRs(ctx context.Context) {
	var cidrs networkingv1.ServiceCIDRList
	err := f.reader.List(ctx, &cidrs)
	if err == nil {
		err = f.index.ObserveServiceCIDRs(cidrs.Items)
	}
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Ranges of ClusterIPs are incomplete")
	}
}

func (f *allocationFeed) observePools(ctx context.Context) {
	f.pooling.Lock()
	defer f.pooling.Unlock()
	var ports v1alpha1.PortPoolList
	var addrs v1alpha1.AddressPoolList
	err := errors.Join(f.reader.List(ctx, &ports), f.reader.List(ctx, &addrs))
	if err == nil {
		err = f.index.ObservePools(ports.Items, addrs.Items)
	}
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Pools that can not be read stay as they were")
	}
}

// lastState unwraps what a watch that was interrupted knows of a deleted object.
func lastState[T client.Object](object any) (T, bool) {
	if tombstone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	typed, ok := object.(T)
	return typed, ok
}

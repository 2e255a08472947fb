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

package placeholder

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// ManagedBy is the value of the managed-by label of IPAddresses that are ours.
// The API server's is ipallocator.k8s.io.
const ManagedBy = "switchyard-manager"

const addressReservations = "addressreservations"

// Address is the IPAddress that holds a reserved address.
func Address(reservation allocator.Reservation) *networkingv1.IPAddress {
	family := corev1.IPv4Protocol
	if reservation.Number.Addr.Is6() {
		family = corev1.IPv6Protocol
	}
	return &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{
			Name: reservation.Number.Addr.String(),
			Labels: map[string]string{
				networkingv1.LabelIPAddressFamily: string(family),
				networkingv1.LabelManagedBy:       ManagedBy,
			},
		},
		Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{
			Group: v1alpha1.GroupVersion.Group, Resource: addressReservations, Name: reservation.Object,
		}},
	}
}

// NumberOfAddress is the number that an IPAddress holds for a reservation; false
// for all that are not ours.
func NumberOfAddress(object *networkingv1.IPAddress) (allocator.Number, bool) {
	parent := object.Spec.ParentRef
	if object.Labels[networkingv1.LabelManagedBy] != ManagedBy || parent == nil ||
		parent.Group != v1alpha1.GroupVersion.Group || parent.Resource != addressReservations {
		return allocator.Number{}, false
	}
	addr, err := netip.ParseAddr(object.Name)
	return allocator.AddrNumber(addr), err == nil
}

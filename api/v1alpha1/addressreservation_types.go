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

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AddressReservationSpec says which address is kept, and for whom.
type AddressReservationSpec struct {
	// Address is the one that is kept, in canonical form (RFC 5952).
	//
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule="isIP(self) && ip.isCanonical(self)",message="write an address in its canonical form (192.0.2.1, 2001:db8::1)"
	// +required
	Address string `json:"address"`

	// ServiceRef is the Service that the address is kept for. Without it, the
	// address is kept from everybody.
	//
	// +optional
	ServiceRef *ServiceReference `json:"serviceRef,omitempty"`

	// Retain says how long the reservation outlives its Service.
	//
	// +kubebuilder:default=Delete
	// +optional
	Retain Retain `json:"retain,omitempty"`
}

// AddressReservation keeps an address. Its name is that address: 10.96.0.7, or
// for IPv6 all eight groups with dashes between them,
// fd00-0010-0096-0000-0000-0000-0000-0007. So one address has one reservation.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=ar,categories=switchyard
// +kubebuilder:validation:XValidation:rule="!isIP(self.spec.address) || (ip(self.spec.address).family() == 4 ? self.metadata.name == self.spec.address : self.metadata.name.matches('^([0-9a-f]{4}-){7}[0-9a-f]{4}$') && ip(self.metadata.name.replace('-', ':')) == ip(self.spec.address))",message="the name of an AddressReservation is its address, for IPv6 in eight groups of four digits with dashes: fd00-0000-0000-0000-0000-0000-0000-0001"
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.spec.address`
// +kubebuilder:printcolumn:name="Namespace",type=string,JSONPath=`.spec.serviceRef.namespace`
// +kubebuilder:printcolumn:name="Service",type=string,JSONPath=`.spec.serviceRef.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Retain",type=string,JSONPath=`.spec.retain`
// +kubebuilder:printcolumn:name="Released",type=date,JSONPath=`.status.releasedAt`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AddressReservation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec AddressReservationSpec `json:"spec"`
	// +optional
	Status ReservationStatus `json:"status,omitempty"`
}

// AddressReservationList is a list of them.
//
// +kubebuilder:object:root=true
type AddressReservationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AddressReservation `json:"items"`
}

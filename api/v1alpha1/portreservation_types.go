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

// PortReservationSpec says whom a port of the nodes is kept for.
type PortReservationSpec struct {
	// ServiceRef is the Service that the port is kept for. Without it, the port
	// is kept from everybody.
	//
	// +optional
	ServiceRef *ServiceReference `json:"serviceRef,omitempty"`

	// PortNames are the names of the Service's ports that get the port as their
	// NodePort; a Service's only port may have no name. Without any, the first
	// that asks gets it.
	//
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=set
	// +optional
	PortNames []string `json:"portNames,omitempty"`

	// HealthCheck is true for spec.healthCheckNodePort.
	//
	// +optional
	HealthCheck bool `json:"healthCheck,omitempty"`

	// Retain says how long the reservation outlives its Service.
	//
	// +kubebuilder:default=Delete
	// +optional
	Retain Retain `json:"retain,omitempty"`
}

// PortReservation keeps the port that is its name, for example 30080.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=pr,categories=switchyard
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[1-9][0-9]{0,4}$') && int(self.metadata.name) <= 65535",message="the name of a PortReservation is the port it reserves, 1 to 65535"
// +kubebuilder:printcolumn:name="Namespace",type=string,JSONPath=`.spec.serviceRef.namespace`
// +kubebuilder:printcolumn:name="Service",type=string,JSONPath=`.spec.serviceRef.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Retain",type=string,JSONPath=`.spec.retain`
// +kubebuilder:printcolumn:name="Released",type=date,JSONPath=`.status.releasedAt`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type PortReservation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +kubebuilder:validation:XValidation:rule="!has(self.healthCheck) || !self.healthCheck || !has(self.portNames) || self.portNames.size() == 0",message="a port is for the health check or for ports of the Service: leave one of healthCheck and portNames out"
	// +optional
	Spec PortReservationSpec `json:"spec,omitempty"`
	// +optional
	Status ReservationStatus `json:"status,omitempty"`
}

// PortReservationList is a list of them.
//
// +kubebuilder:object:root=true
type PortReservationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PortReservation `json:"items"`
}

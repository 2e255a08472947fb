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

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Retain says how long a reservation outlives its Service: Delete, Retain, or
// a duration such as 24h, of a year (8760h) at most.
//
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:XValidation:rule="self in ['Delete', 'Retain'] || self.matches('^([0-9]+(h|m|s))+$') && duration(self) > duration('0s') && duration(self) <= duration('8760h')",message="use Delete, Retain or a duration such as 24h or 90m, at most 8760h"
type Retain string

// The values of Retain that are no duration.
const (
	// RetainDelete deletes the reservation when its Service is deleted.
	RetainDelete Retain = "Delete"
	// RetainForever keeps it until somebody deletes it.
	RetainForever Retain = "Retain"
)

// ServiceReference names the Service that a reservation is for. It need not
// exist.
type ServiceReference struct {
	// Namespace of the Service.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Namespace string `json:"namespace"`
	// Name of the Service.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name"`
}

// ReservationPhase is where a number is.
//
// +kubebuilder:validation:Enum=Pending;Reserved;Bound;Conflicted
type ReservationPhase string

// The phases of a reservation.
const (
	// ReservationPending is not held against an API server whose webhooks do not
	// answer: the object that does so is still to be made.
	ReservationPending ReservationPhase = "Pending"
	// ReservationReserved is held by an object of ours.
	ReservationReserved ReservationPhase = "Reserved"
	// ReservationBound is held by the Service it is for.
	ReservationBound ReservationPhase = "Bound"
	// ReservationConflicted is held by somebody else, who keeps it.
	ReservationConflicted ReservationPhase = "Conflicted"
)

// ReservationStatus is that of both kinds of reservations.
type ReservationStatus struct {
	// ObservedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Phase sums it up.
	// +optional
	Phase ReservationPhase `json:"phase,omitempty"`
	// Service is spec.serviceRef as the status is about it. Where the two differ,
	// the reservation has been given to another Service since, and says nothing
	// of that one yet.
	// +optional
	Service *ServiceReference `json:"service,omitempty"`
	// ServiceUID is that of the Service that holds the number, or held it last.
	// +optional
	ServiceUID types.UID `json:"serviceUID,omitempty"`
	// ReleasedAt is when that Service was seen to be gone. A duration in
	// spec.retain counts from then.
	// +optional
	ReleasedAt *metav1.Time `json:"releasedAt,omitempty"`
	// Conditions are Held: nobody else can get the number, whether or not our
	// webhooks answer.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

const (
	// ConditionHeld is true of a reservation that nobody can pass.
	ConditionHeld = "Held"
	// ConditionReady is true of a pool whose numbers can be given.
	ConditionReady = "Ready"
	// ConditionConflicted is true of a pool that overlaps with one that has precedence.
	ConditionConflicted = "Conflicted"

	// RetainAnnotation on a Service, with a value of Retain but Delete, has
	// reservations made for all its numbers, so that they come back when it is
	// created again.
	RetainAnnotation = "switchyard.dev/retain"
	// RetainedLabel marks reservations that were made because of RetainAnnotation.
	RetainedLabel = "switchyard.dev/retained"
	// RetainedForAnnotation names on these the Service that they were made for, as
	// NAMESPACE/NAME. Whoever gives such a reservation to another Service
	// (spec.serviceRef) has taken it over: it counts as made by hand from then on.
	RetainedForAnnotation = "switchyard.dev/retained-for"
	// RetainLimitLabel on a Namespace says how many numbers of Services that are
	// gone RetainAnnotation may keep there; 0 is none. Users of a namespace can not
	// set it, as the roles that Kubernetes has for them leave the object out.
	RetainLimitLabel = "switchyard.dev/retain-limit"
)

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

// PortPoolSpec says which ports of the nodes the Services of some namespaces get.
//
// A port in a pool is for the namespaces the pool selects and for no others.
// Namespaces that no pool selects get the ports that are in no pool.
type PortPoolSpec struct {
	// Ranges are the ports of the pool, each FIRST-LAST or one port, from 1 to
	// 65535. Those outside the API server's --service-node-port-range are never
	// given, which the condition Ready says.
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	Ranges []PortRange `json:"ranges"`

	// Reserved are ports of the pool that are given only to Services that ask
	// for them by number.
	//
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	// +optional
	Reserved []PortRange `json:"reserved,omitempty"`

	// NamespaceSelector selects the namespaces that the pool is for, by their
	// labels. Without it, and when it is empty, those are all.
	//
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// Priority orders the pools of a namespace: automatic ports come from the
	// highest that has one free, among equals from the first by name.
	//
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +kubebuilder:default=0
	// +optional
	Priority int32 `json:"priority,omitempty"`

	// AutoAssign is false for a pool whose ports are given only to Services that
	// ask for them by number.
	//
	// +kubebuilder:default=true
	// +optional
	AutoAssign *bool `json:"autoAssign,omitempty"`

	// AllocateLoadBalancerNodePorts is what spec.allocateLoadBalancerNodePorts of
	// a new Service of type LoadBalancer becomes where it is not set. Among
	// several pools of a namespace the one with the highest priority decides.
	//
	// +optional
	AllocateLoadBalancerNodePorts *bool `json:"allocateLoadBalancerNodePorts,omitempty"`
}

// PortRange is FIRST-LAST, both included, or one port.
//
// +kubebuilder:validation:MaxLength=11
// +kubebuilder:validation:Pattern=`^[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?$`
// +kubebuilder:validation:XValidation:rule="self.split('-').all(p, int(p) <= 65535)",message="ports are 1 to 65535"
// +kubebuilder:validation:XValidation:rule="int(self.split('-')[0]) <= int(self.split('-')[self.split('-').size() - 1])",message="write a range as FIRST-LAST, the smaller port first"
type PortRange string

// PortPoolStatus counts the ports of a pool.
type PortPoolStatus struct {
	// ObservedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Capacity is how many ports the ranges have inside the API server's own.
	// +optional
	Capacity int32 `json:"capacity"`
	// Allocated are held by Services.
	// +optional
	Allocated int32 `json:"allocated"`
	// Reserved are kept by PortReservations and held by no Service.
	// +optional
	Reserved int32 `json:"reserved"`
	// Free is the rest, the pool's own reserved ports among it.
	// +optional
	Free int32 `json:"free"`
	// Conditions are Ready (the ranges can be given) and Conflicted (they overlap
	// with those of another pool, which has precedence).
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// PortPool is a set of ports for the NodePorts of some namespaces.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=pp,categories=switchyard
// +kubebuilder:printcolumn:name="Ranges",type=string,JSONPath=`.spec.ranges`
// +kubebuilder:printcolumn:name="Priority",type=integer,JSONPath=`.spec.priority`
// +kubebuilder:printcolumn:name="Auto",type=boolean,JSONPath=`.spec.autoAssign`
// +kubebuilder:printcolumn:name="Used",type=integer,JSONPath=`.status.allocated`
// +kubebuilder:printcolumn:name="Free",type=integer,JSONPath=`.status.free`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Conflicted",type=string,JSONPath=`.status.conditions[?(@.type=="Conflicted")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type PortPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec PortPoolSpec `json:"spec"`
	// +optional
	Status PortPoolStatus `json:"status,omitempty"`
}

// PortPoolList is a list of them.
//
// +kubebuilder:object:root=true
type PortPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PortPool `json:"items"`
}

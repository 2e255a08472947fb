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

// AddressUse is the field of a Service that a pool's addresses are for.
//
// +kubebuilder:validation:Enum=ClusterIP;LoadBalancer;ExternalIP
type AddressUse string

// The uses of an address.
const (
	// UseClusterIP is spec.clusterIPs.
	UseClusterIP AddressUse = "ClusterIP"
	// UseLoadBalancer is status.loadBalancer.ingress, and spec.loadBalancerIP.
	UseLoadBalancer AddressUse = "LoadBalancer"
	// UseExternalIP is spec.externalIPs.
	UseExternalIP AddressUse = "ExternalIP"
)

// AddressSharing says which Services may have one address together, each with
// ports of its own.
//
// +kubebuilder:validation:Enum=Never;Namespace;Cluster
type AddressSharing string

// The ways to share a load-balancer address.
const (
	// SharingNever gives an address to one Service.
	SharingNever AddressSharing = "Never"
	// SharingNamespace lets Services of one namespace share an address.
	SharingNamespace AddressSharing = "Namespace"
	// SharingCluster lets Services of several namespaces share an address when
	// each of them names the other namespace.
	SharingCluster AddressSharing = "Cluster"
)

// AddressPoolSpec says which addresses the Services of some namespaces get.
//
// An address in a pool is for the namespaces and Services the pool selects and
// for no others. ClusterIPs of other namespaces come from what is left of the
// ServiceCIDRs. External IPs and load-balancer IPs that are in no pool are
// judged by admission rule X5.
//
// +kubebuilder:validation:XValidation:rule="self.use == 'LoadBalancer' || !has(self.sharing)",message="only addresses of load balancers can be shared: leave sharing out"
// +kubebuilder:validation:XValidation:rule="self.use == 'LoadBalancer' || !has(self.disabled) || !self.disabled",message="only pools of load balancers can be disabled: leave disabled out"
type AddressPoolSpec struct {
	// Use is the field of a Service that the addresses are for.
	//
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the use of a pool can not change: make another pool"
	// +required
	Use AddressUse `json:"use"`

	// Addresses are those of the pool, of either family: CIDRs, FIRST-LAST, or
	// one address. ClusterIPs outside every ServiceCIDR are never given, which the
	// condition Ready says.
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	Addresses []AddressRange `json:"addresses"`

	// Reserved are addresses of the pool that are given only to Services that ask
	// for them by value.
	//
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	// +optional
	Reserved []AddressRange `json:"reserved,omitempty"`

	// NamespaceSelector selects the namespaces that the pool is for, by their
	// labels. Without it, and when it is empty, those are all.
	//
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// ServiceSelector selects among the Services of those namespaces, by their
	// labels. Without it, and when it is empty, those are all.
	//
	// +optional
	ServiceSelector *metav1.LabelSelector `json:"serviceSelector,omitempty"`

	// Priority orders the pools of a Service: automatic addresses come from the
	// highest that has one free, among equals from the first by name.
	//
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +kubebuilder:default=0
	// +optional
	Priority int32 `json:"priority,omitempty"`

	// AutoAssign is false for a pool whose addresses are given only to Services
	// that ask for them by value.
	//
	// +kubebuilder:default=true
	// +optional
	AutoAssign *bool `json:"autoAssign,omitempty"`

	// Disabled is true for a pool that is being drained: its addresses are given to
	// no other Service, also not by value. Those that have one keep it.
	//
	// +optional
	Disabled bool `json:"disabled,omitempty"`

	// AvoidBuggyIPs leaves out IPv4 addresses that end in .0 or .255, which some
	// old equipment takes for network and broadcast addresses.
	//
	// +optional
	AvoidBuggyIPs bool `json:"avoidBuggyIPs,omitempty"`

	// Sharing says which Services may share an address of a load balancer;
	// Namespace when not set.
	//
	// +optional
	Sharing AddressSharing `json:"sharing,omitempty"`
}

// AddressRange is a CIDR without host bits, FIRST-LAST of one family with both
// included, or one address, all in canonical form (RFC 5952).
//
// +kubebuilder:validation:MaxLength=91
// +kubebuilder:validation:XValidation:rule="isCIDR(self) ? cidr(self).masked() == cidr(self) : self.split('-').size() <= 2 && self.split('-').all(a, isIP(a))",message="write a CIDR without host bits (192.0.2.0/28), a range (192.0.2.10-192.0.2.20) or an address"
// +kubebuilder:validation:XValidation:rule="isCIDR(self) || !self.split('-').all(a, isIP(a)) || self.split('-').all(a, ip.isCanonical(a))",message="write addresses in their canonical form (RFC 5952: 2001:db8::1)"
// +kubebuilder:validation:XValidation:rule="isCIDR(self) || !self.split('-').all(a, isIP(a)) || ip(self.split('-')[0]).family() == ip(self.split('-')[self.split('-').size() - 1]).family()",message="both ends of a range must be of one family"
type AddressRange string

// AddressPoolStatus counts the addresses of a pool.
type AddressPoolStatus struct {
	// ObservedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// IPv4 counts those of IPv4.
	// +optional
	IPv4 AddressCount `json:"ipv4,omitempty"`
	// IPv6 counts those of IPv6.
	// +optional
	IPv6 AddressCount `json:"ipv6,omitempty"`
	// Conditions are Ready (the addresses can be given) and Conflicted (they
	// overlap with those of another pool, which has precedence).
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// AddressCount counts the addresses of one family. Numbers above 2^63-1 are
// given as 2^63-1.
type AddressCount struct {
	// Capacity is how many there are; of ClusterIPs, how many lie in a ServiceCIDR
	// that is ready.
	// +optional
	Capacity int64 `json:"capacity"`
	// Allocated are held by Services.
	// +optional
	Allocated int64 `json:"allocated"`
	// Reserved are kept by AddressReservations and held by no Service.
	// +optional
	Reserved int64 `json:"reserved"`
	// Free is the rest, the pool's own reserved addresses among it.
	// +optional
	Free int64 `json:"free"`
}

// AddressPool is a set of addresses for the Services of some namespaces.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=ap,categories=switchyard
// +kubebuilder:printcolumn:name="Use",type=string,JSONPath=`.spec.use`
// +kubebuilder:printcolumn:name="Addresses",type=string,JSONPath=`.spec.addresses`
// +kubebuilder:printcolumn:name="Priority",type=integer,JSONPath=`.spec.priority`
// +kubebuilder:printcolumn:name="Auto",type=boolean,JSONPath=`.spec.autoAssign`
// +kubebuilder:printcolumn:name="Disabled",type=boolean,JSONPath=`.spec.disabled`,priority=1
// +kubebuilder:printcolumn:name="IPv4 free",type=integer,JSONPath=`.status.ipv4.free`
// +kubebuilder:printcolumn:name="IPv6 free",type=integer,JSONPath=`.status.ipv6.free`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Conflicted",type=string,JSONPath=`.status.conditions[?(@.type=="Conflicted")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AddressPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec AddressPoolSpec `json:"spec"`
	// +optional
	Status AddressPoolStatus `json:"status,omitempty"`
}

// AddressPoolList is a list of them.
//
// +kubebuilder:object:root=true
type AddressPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AddressPool `json:"items"`
}

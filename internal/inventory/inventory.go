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

package inventory

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// Inventory is what a cluster has, each kind as it was at one time. The kinds are
// read beside each other, so an object that is just being made or deleted may be
// in one of them and not yet, or no more, in another.
type Inventory struct {
	// Services are without managed fields and annotations of kubectl.
	Services            []corev1.Service
	IPAddresses         []networkingv1.IPAddress
	ServiceCIDRs        []networkingv1.ServiceCIDR
	PortPools           []v1alpha1.PortPool
	AddressPools        []v1alpha1.AddressPool
	PortReservations    []v1alpha1.PortReservation
	AddressReservations []v1alpha1.AddressReservation
	// Claims are the Leases by which replicas of the manager claim numbers.
	Claims []coordinationv1.Lease
	// AnnouncedBy are the nodes that answer for load balancers' addresses.
	AnnouncedBy map[netip.Addr]string
	// Unannounced are those for which none does, although nodes announce some, with
	// the time at which each was given.
	Unannounced map[netip.Addr]time.Time
	// Namespaces are the labels of each.
	Namespaces map[string]labels.Set
	// Endpoints are empty where they were not asked for.
	Endpoints Endpoints
	// NodePorts is the API server's range.
	NodePorts NodePorts
	// System is the namespace of the manager, where claims and placeholders are.
	System string
	// Unread are the kinds that could not be read.
	Unread []Unread

	// announcers tells that nodes announce addresses at layer 2.
	announcers bool
}

// Kind is one of the kinds that are read, in the plural.
type Kind string

// The kinds that are read.
const (
	Services            Kind = "Services"
	IPAddresses         Kind = "IPAddresses"
	ServiceCIDRs        Kind = "ServiceCIDRs"
	PortPools           Kind = "PortPools"
	AddressPools        Kind = "AddressPools"
	PortReservations    Kind = "PortReservations"
	AddressReservations Kind = "AddressReservations"
	Claims              Kind = "claims"
	Namespaces          Kind = "Namespaces"
	EndpointSlices      Kind = "EndpointSlices"
	Pods                Kind = "Pods"
)

// Unread is a kind that could not be read.
type Unread struct {
	Kind Kind `json:"kind"`
	// Reason is NotServed or Forbidden.
	Reason Reason `json:"reason"`
	// Message says it in words, with what to do about it.
	Message string `json:"message"`
}

// Notes are the messages for people: one for all kinds that have it in common.
func Notes(unread []Unread) []string {
	var patterns []string
	kinds := map[string][]string{}
	for _, u := range unread {
		pattern := strings.Replace(u.Message, string(u.Kind), "\x00", 1)
		if _, again := kinds[pattern]; !again {
			patterns = append(patterns, pattern)
		}
		kinds[pattern] = append(kinds[pattern], string(u.Kind))
	}
	for i, pattern := range patterns {
		patterns[i] = strings.Replace(pattern, "\x00", strings.Join(kinds[pattern], ", "), 1)
	}
	return patterns
}

// Reason is why a kind could not be read.
type Reason string

// The reasons for not reading a kind.
const (
	// NotServed is a kind that the API server does not know.
	NotServed Reason = "NotServed"
	// Forbidden is a kind that the user may not list.
	Forbidden Reason = "Forbidden"
)

// Has reports whether all of the kinds were read, so that what is missing there
// is missing in the cluster.
func (inv *Inventory) Has(kinds ...Kind) bool {
	return !slices.ContainsFunc(inv.Unread, func(u Unread) bool { return slices.Contains(kinds, u.Kind) })
}

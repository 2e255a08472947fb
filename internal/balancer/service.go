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

package balancer

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Service is what of a Service decides its addresses.
type Service struct {
	Key     types.NamespacedName
	UID     types.UID
	Created time.Time
	// Served is false for one that is not, or no longer, ours to serve.
	Served bool
	// Deleting Services keep what they have and get nothing new.
	Deleting                bool
	Labels, NamespaceLabels labels.Set
	// Families are those of its ClusterIPs, in their order.
	Families []corev1.IPFamily
	Policy   corev1.IPFamilyPolicy
	Wish     Wish
	// SharingKey lets it share an address; SharesWith are the other namespaces
	// whose Services may take part.
	SharingKey string
	SharesWith []string
	Ports      []Port
	// Local is the policy that keeps traffic from outside on the node it comes to.
	Local    bool
	Selector map[string]string
	// Status are the addresses that are written there.
	Status []netip.Addr
}

// Port is what two Services with one address can not both have.
type Port struct {
	Protocol corev1.Protocol
	Port     int32
}

// Wish is what a Service asks for.
type Wish struct {
	// Addrs are at most one of each family.
	Addrs []netip.Addr
	// Pool is the only one that automatic addresses may come from.
	Pool string
	// Invalid says what can not be understood, and what to write instead.
	Invalid string
}

func (p Port) compare(other Port) int {
	return cmp.Or(cmp.Compare(p.Protocol, other.Protocol), cmp.Compare(p.Port, other.Port))
}

// sorted has each port once and in order, so that two Services with thousands of
// ports are compared in one walk.
func (s Service) sorted() Service {
	s.Ports = slices.Compact(slices.SortedFunc(slices.Values(s.Ports), Port.compare))
	return s
}

// precedes orders Services by age.
func (s *Service) precedes(other *Service) int {
	return cmp.Or(s.Created.Compare(other.Created), cmp.Compare(s.Key.Namespace, other.Key.Namespace), cmp.Compare(s.Key.Name, other.Key.Name))
}

// wanted are the families that it is to have addresses of.
func (s *Service) wanted() []corev1.IPFamily {
	if s.Policy != corev1.IPFamilyPolicyPreferDualStack && s.Policy != corev1.IPFamilyPolicyRequireDualStack && len(s.Families) > 1 {
		return s.Families[:1]
	}
	return s.Families
}

func (s *Service) requiresBoth() bool { return s.Policy == corev1.IPFamilyPolicyRequireDualStack }

// wishOf is the address of a family that it asks for; it is not valid if none is.
func (s *Service) wishOf(family corev1.IPFamily) netip.Addr {
	for _, addr := range s.Wish.Addrs {
		if familyOf(addr) == family {
			return addr
		}
	}
	return netip.Addr{}
}

// strangeWish is an address of a family that the Service does not have.
func (s *Service) strangeWish() (netip.Addr, bool) {
	wanted := s.wanted()
	i := slices.IndexFunc(s.Wish.Addrs, func(addr netip.Addr) bool { return !slices.Contains(wanted, familyOf(addr)) })
	if i < 0 {
		return netip.Addr{}, false
	}
	return s.Wish.Addrs[i], true
}

func familyOf(addr netip.Addr) corev1.IPFamily {
	if addr.Is4() {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

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

package allocator

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// AddressUser is a Service that has an address as that of a load balancer or as
// an external IP. Unlike a ClusterIP, several may have one.
type AddressUser struct {
	Use     v1alpha1.AddressUse
	Service types.NamespacedName
}

type useKey struct {
	use  v1alpha1.AddressUse
	addr netip.Addr
}

// IsServed is false for headless and ExternalName Services: no proxy serves them,
// so that addresses which their fields name are not theirs.
func IsServed(service *corev1.Service) bool {
	return usesClusterIP(service) && service.Spec.ClusterIP != corev1.ClusterIPNone
}

// usesOf lists the addresses of a Service that are no ClusterIPs, each once per use.
func usesOf(service *corev1.Service) []useKey {
	if !IsServed(service) {
		return nil
	}
	var uses []useKey
	add := func(use v1alpha1.AddressUse, text string) {
		if addr, err := netip.ParseAddr(text); err == nil {
			if key := (useKey{use, addr.Unmap()}); !slices.Contains(uses, key) {
				uses = append(uses, key)
			}
		}
	}
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		add(v1alpha1.UseLoadBalancer, ingress.IP)
	}
	for _, ip := range service.Spec.ExternalIPs {
		add(v1alpha1.UseExternalIP, ip)
	}
	return uses
}

// AddressUsers lists who has the address as that of a load balancer or as an
// external IP, by use and name.
func (s *Services) AddressUsers(addr netip.Addr) []AddressUser {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var users []AddressUser
	for _, use := range addressUses {
		names := slices.Clone(s.users[useKey{use, addr.Unmap()}])
		slices.SortFunc(names, compareNames)
		for _, name := range names {
			users = append(users, AddressUser{Use: use, Service: name})
		}
	}
	return users
}

func (s *Services) addUses(key types.NamespacedName, uses []useKey) {
	for _, use := range uses {
		s.users[use] = append(s.users[use], key)
	}
}

func (s *Services) dropUses(key types.NamespacedName, uses []useKey) {
	for _, use := range uses {
		left := slices.DeleteFunc(s.users[use], func(name types.NamespacedName) bool { return name == key })
		if s.users[use] = left; len(left) == 0 {
			delete(s.users, use)
		}
	}
}

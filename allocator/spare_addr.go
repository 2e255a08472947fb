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
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// SpareAddr is a free ClusterIP for a Service of ours that needs one although
// nobody calls it, by its labels and those of its namespace. It is one that nobody would
// miss: outside of the pools while there is any, else of the pools that select
// it; and of IPv6 where the cluster has both families, as a range of
// IPv4 may be small. It is the zero Addr while no ServiceCIDR is known, and an
// ErrFull where none is free. Nothing is claimed, the API server is the lock.
func (s *Services) SpareAddr(namespace, service labels.Set) (netip.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	families := slices.SortedFunc(slices.Values(s.families), func(a, b corev1.IPFamily) int { return strings.Compare(string(b), string(a)) })
	var tried Transaction
	defer tried.Revert()
	for _, family := range families {
		if addr, ok := s.ranges.nextAddr(&tried, family, outsidePools); ok {
			return addr, nil
		}
	}
	for _, family := range families {
		if addr, ok := s.ranges.nextAddr(&tried, family, s.addrSource(family, namespace, service).stages); ok {
			return addr, nil
		}
	}
	if len(s.ranges.addrs) == 0 {
		return netip.Addr{}, nil
	}
	return netip.Addr{}, fmt.Errorf("no ClusterIP is free outside of the AddressPools, nor in one that selects it: %w", ErrFull)
}

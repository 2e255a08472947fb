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
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Holders lists who holds the number, oldest first: the oldest is the one that
// may keep it.
func (s *Services) Holders(n Number) []Holder {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sortedHolders(n)
}

func (s *Services) sortedHolders(n Number) []Holder {
	return slices.SortedFunc(slices.Values(s.holders[n]), func(a, b Holder) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Service.String(), b.Service.String()), cmp.Compare(a.Kind, b.Kind))
	})
}

// ClaimOf is the claim of a number.
func (s *Services) ClaimOf(n Number) (Claim, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, ok := s.claims[n]
	return c, ok
}

// Claimed reports whether a request under way has claimed the number.
func (s *Services) Claimed(n Number) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.claims[n]
	return ok
}

// RangeOf names the ranges a number like this one may lie in.
func (s *Services) RangeOf(n Number) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ranges.describe(n)
}

// Problem is something wrong with a number that a Service holds.
type Problem struct {
	Holding
	Range  string   // where the number should lie, if it lies outside
	Others []Holder // who else holds it, oldest first
}

// OutOfRange tells that the number lies in no range.
func (p Problem) OutOfRange() bool { return p.Range != "" }

// Problems lists what is wrong with the numbers of a Service, and who it is.
func (s *Services) Problems(key types.NamespacedName) (Holder, []Problem) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	known := s.seen[key]
	var problems []Problem
	for _, holding := range known.holdings {
		if !s.ranges.contains(holding.Number) && s.knowsRange(holding) {
			problems = append(problems, Problem{Holding: holding, Range: s.ranges.describe(holding.Number)})
		}
		others := slices.DeleteFunc(s.sortedHolders(holding.Number), func(h Holder) bool { return h.Service == key })
		if len(others) > 0 {
			problems = append(problems, Problem{Holding: holding, Others: others})
		}
	}
	return Holder{Service: key, UID: known.uid, Created: known.created}, problems
}

// knowsRange is false before the first service CIDR has been seen, when every
// address would look out of range.
func (s *Services) knowsRange(h Holding) bool { return h.Number.IsPort() || len(s.ranges.addrs) > 0 }

// RangeStats counts one range, for metrics.
type RangeStats struct {
	Kind            Kind
	Range           string
	Family          corev1.IPFamily // "" for ports
	Open            bool            // new Services may get numbers of it
	Allocated, Free uint64
}

// Stats counts all ranges.
func (s *Services) Stats() []RangeStats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	ports := s.ranges.ports
	stats := []RangeStats{{Kind: NodePort, Range: ports.String(), Open: true, Allocated: ports.Used(), Free: ports.Free()}}
	for _, a := range s.ranges.addrs {
		stats = append(stats, RangeStats{
			Kind: ClusterIP, Range: a.String(), Family: familyOf(a.cidr.Prefix.Addr()), Open: a.cidr.Ready, Allocated: a.Used(), Free: a.Free(),
		})
	}
	return stats
}

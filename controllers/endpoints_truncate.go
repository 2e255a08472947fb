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

package controllers

import (
	corev1 "k8s.io/api/core/v1"
)

// maxEndpointsAddresses is how many addresses an Endpoints object may carry; what
// needs more must read EndpointSlices (KEP-0752).
const maxEndpointsAddresses = 1000

// truncateSubsets cuts subsets down to limit addresses. Ready ones come first; the
// kind that does not fit is spread over the subsets in proportion, rounded up, so
// that the last subsets may get less. The slices it returns share memory with the
// input.
func truncateSubsets(subsets []corev1.EndpointSubset, limit int) (cut []corev1.EndpointSubset, truncated bool) {
	ready, notReady := countAddresses(subsets)
	if ready+notReady <= limit {
		return subsets, false
	}
	cut = make([]corev1.EndpointSubset, len(subsets))
	copy(cut, subsets)
	if ready > limit {
		shares := proportionalShares(cut, limit, ready, func(s *corev1.EndpointSubset) int { return len(s.Addresses) })
		for i := range cut {
			cut[i].Addresses, cut[i].NotReadyAddresses = cut[i].Addresses[:shares[i]], nil
		}
		return withoutEmpty(cut), true
	}
	shares := proportionalShares(cut, limit-ready, notReady, func(s *corev1.EndpointSubset) int { return len(s.NotReadyAddresses) })
	for i := range cut {
		cut[i].NotReadyAddresses = cut[i].NotReadyAddresses[:shares[i]]
	}
	return withoutEmpty(cut), true
}

func countAddresses(subsets []corev1.EndpointSubset) (ready, notReady int) {
	for i := range subsets {
		ready += len(subsets[i].Addresses)
		notReady += len(subsets[i].NotReadyAddresses)
	}
	return ready, notReady
}

// proportionalShares gives every subset its part of room, by its part of total.
func proportionalShares(subsets []corev1.EndpointSubset, room, total int, size func(*corev1.EndpointSubset) int) []int {
	shares := make([]int, len(subsets))
	left := room
	for i := range subsets {
		share := (size(&subsets[i])*room + total - 1) / total
		shares[i] = min(share, left, size(&subsets[i]))
		left -= shares[i]
	}
	return shares
}

// withoutEmpty drops subsets that have lost all their addresses: the API server
// refuses an Endpoints object that has one.
func withoutEmpty(subsets []corev1.EndpointSubset) []corev1.EndpointSubset {
	kept := subsets[:0]
	for _, subset := range subsets {
		if len(subset.Addresses)+len(subset.NotReadyAddresses) > 0 {
			kept = append(kept, subset)
		}
	}
	return kept
}

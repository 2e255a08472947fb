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

package subsets

import (
	corev1 "k8s.io/api/core/v1"
)

// Truncate cuts subsets down to limit addresses. Ready ones come first; the
// kind that does not fit is spread over the subsets in proportion, rounded up, so
// that the last subsets may get less. The slices it returns share memory with the
// input.
func Truncate(subsets []corev1.EndpointSubset, limit int) (cut []corev1.EndpointSubset, truncated bool) {
	shares, truncated := room(subsets, limit, func(s *corev1.EndpointSubset) (ready, notReady int) {
		return len(s.Addresses), len(s.NotReadyAddresses)
	})
	if !truncated {
		return subsets, false
	}
	cut = make([]corev1.EndpointSubset, len(subsets))
	copy(cut, subsets)
	for i := range cut {
		cut[i].Addresses = head(cut[i].Addresses, shares[i].ready)
		cut[i].NotReadyAddresses = head(cut[i].NotReadyAddresses, shares[i].notReady)
	}
	return withoutEmpty(cut), true
}

func head(addresses []corev1.EndpointAddress, n int) []corev1.EndpointAddress {
	if n == 0 {
		return nil
	}
	return addresses[:n]
}

// share is how many addresses of a subset are kept.
type share struct{ ready, notReady int }

// room divides limit among subsets of these sizes.
func room[T any](subsets []T, limit int, size func(*T) (ready, notReady int)) (shares []share, truncated bool) {
	shares = make([]share, len(subsets))
	var total share
	for i := range subsets {
		shares[i].ready, shares[i].notReady = size(&subsets[i])
		total.ready, total.notReady = total.ready+shares[i].ready, total.notReady+shares[i].notReady
	}
	switch {
	case total.ready+total.notReady <= limit:
		return shares, false
	case total.ready > limit:
		left := limit
		for i := range shares {
			shares[i] = share{ready: proportion(shares[i].ready, limit, total.ready, &left)}
		}
	default:
		left := limit - total.ready
		for i := range shares {
			shares[i].notReady = proportion(shares[i].notReady, limit-total.ready, total.notReady, &left)
		}
	}
	return shares, true
}

// proportion is a subset's part of room by its part of total, and no more than is
// left.
func proportion(size, room, total int, left *int) int {
	part := min((size*room+total-1)/total, *left, size)
	*left -= part
	return part
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

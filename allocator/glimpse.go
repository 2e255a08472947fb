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
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Glimpse is what the index knew of a Service before somebody went to read it past
// the cache. By the time the answer is there, the watch may have told more: then
// that is newer than the answer, which may have been under way for long.
type Glimpse struct {
	service known
	ended   uint64 // how many Services had been taken out
}

// known is what the index knows of the Service of a name.
type known struct {
	exists  bool
	uid     types.UID
	version string
}

// Glimpse is to be taken before the read that it is for.
func (s *Services) Glimpse(key types.NamespacedName) Glimpse {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Glimpse{s.knownOf(key), s.gone.count}
}

func (s *Services) knownOf(key types.NamespacedName) known {
	now, exists := s.seen[key]
	return known{exists, now.uid, now.version}
}

// Knows reports whether the index holds a Service of this name.
func (s *Services) Knows(key types.NamespacedName) bool { return s.Glimpse(key).service.exists }

// ForgetSeen takes out a Service that the API server has not found: the one that
// was known before, and none that has been made or changed since.
func (s *Services) ForgetSeen(key types.NamespacedName, before Glimpse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.knownOf(key); now.exists && now == before.service {
		s.drop(key)
	}
}

// ObserveRead takes in a Service that the API server has found, unless its end has
// become known since: it must not come back for good. The read may have begun
// before the index knew of the Service at all.
func (s *Services) ObserveRead(service *corev1.Service, before Glimpse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.knownOf(keyOf(service)).exists && s.gone.since(before.ended, service.UID) {
		return
	}
	if s.observe(service) {
		now := s.seen[keyOf(service)]
		now.read = true
		s.seen[keyOf(service)] = now
	}
}

// GlimpseReservations is to be taken before a reservation is read past the cache.
func (s *Services) GlimpseReservations() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.reserving.count
}

// ReserveRead keeps a number whose reservation the API server has found, unless
// the watch has told of the number since.
func (s *Services) ReserveRead(r Reservation, before uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.reserving.since(before, r.Number) {
		s.reserve(r)
	}
}

// UnreserveRead takes back a reservation that the API server has not found, unless
// the watch has told of the number since.
func (s *Services) UnreserveRead(n Number, before uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.reserving.since(before, n) {
		s.unreserve(n)
	}
}

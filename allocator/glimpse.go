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
	known   bool
	uid     types.UID
	version string
}

// Glimpse is to be taken before the read that it is for.
func (s *Services) Glimpse(key types.NamespacedName) Glimpse {
	s.mu.RLock()
	defer s.mu.RUnlock()
	now, known := s.seen[key]
	return Glimpse{known, now.uid, now.version}
}

// Knows reports whether the index holds a Service of this name.
func (s *Services) Knows(key types.NamespacedName) bool { return s.Glimpse(key).known }

// ForgetSeen takes out a Service that the API server has not found: the one that
// was known before, and none that has been made or changed since.
func (s *Services) ForgetSeen(key types.NamespacedName, before Glimpse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, known := s.seen[key]
	if !known || (Glimpse{known, old.uid, old.version}) != before {
		return
	}
	s.dropHoldings(key, old)
	delete(s.seen, key)
}

// ObserveRead takes in a Service that the API server has found, unless its end has
// become known since: it must not come back for good.
func (s *Services) ObserveRead(service *corev1.Service, before Glimpse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.seen[keyOf(service)]; !known && before.known && before.uid == service.UID {
		return
	}
	s.observe(service)
}

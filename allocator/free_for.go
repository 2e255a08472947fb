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
	"k8s.io/apimachinery/pkg/labels"
)

// FreeFor names free numbers after this one, "free: 30086-30100, 30102, ...", for a
// Service that is told of its own numbers only: those of
// its pools or, without any, those in no pool.
func (s *Services) FreeFor(n Number, namespace, service labels.Set) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if n.IsPort() {
		return s.ranges.freeFor(n, s.portSource(namespace))
	}
	return s.ranges.freeFor(n, s.addrSource(familyOf(n.Addr), namespace, service))
}

// GivesPort reports whether a port lies in the range of node ports.
func (s *Services) GivesPort(n Number) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return n.IsPort() && s.ranges.contains(n)
}

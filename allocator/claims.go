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
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Claim keeps a number that was chosen for a Service until the Service is seen
// to hold it. Service has no name while the API server has yet to generate one.
type Claim struct {
	Number  Number
	Service types.NamespacedName
	Created time.Time
	// Seen says that Created is when this replica has seen the claim come, by its own
	// clock; else it is the API server's word, by another.
	Seen bool
	// UID is that of the object which makes the claim known to all replicas; ""
	// while that is being created.
	UID types.UID
	// bound says that the Service was seen to hold the number. It is what this
	// replica has seen: one that was not there counts the claim until it expires.
	bound bool
}

const (
	// ClaimLifetime is how long a claim counts: the API server's default request
	// timeout, after which the request can no longer become a Service.
	ClaimLifetime = 60 * time.Second

	// A claim of the same Service is used again when it is neither so young that
	// its request may still be running beside this one, nor about to be collected.
	reuseAfter, reuseBefore = time.Second, ClaimLifetime / 2
)

// Claim marks a number as taken by a request under way.
func (s *Services) Claim(c Claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, claimed := s.claims[c.Number]
	c.bound = claimed && now.UID == c.UID && now.bound ||
		slices.ContainsFunc(s.holders[c.Number], func(h Holder) bool { return c.isFor(h.Service) })
	if claimed && now.UID == c.UID && now.Seen {
		c.Created, c.Seen = now.Created, true
	}
	s.claims[c.Number] = c
	s.ranges.mark(c.Number, true)
}

// Unclaim takes back the claim that the object with this UID was, if it still is
// the claim of its number: an event may be late, and the number claimed again.
// Without a UID it takes back what a plan for the Service has claimed and nobody
// has made an object for.
func (s *Services) Unclaim(c Claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, claimed := s.claims[c.Number]
	if !claimed || now.UID != c.UID || c.UID == "" && now.Service != c.Service {
		return
	}
	delete(s.claims, c.Number)
	s.unmarkUnused(c.Number)
}

// ExpireClaims drops claims that were made before the time given and of which there
// is no object: their end was missed, or it was never made.
func (s *Services) ExpireClaims(before time.Time, exists func(types.UID) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, c := range s.claims {
		if c.Created.Before(before) && !exists(c.UID) {
			delete(s.claims, n)
			s.unmarkUnused(n)
		}
	}
}

// reusable finds a number that an earlier attempt of the same Service has
// claimed: a retried request gets the same numbers, and a client that is
// rejected again and again does not use up the range. Of several it is the lowest.
func (s *Services) reusable(service types.NamespacedName, fits func(Number) bool, update bool, now time.Time) (Number, bool) {
	if service.Name == "" {
		return Number{}, false
	}
	var lowest Number
	for n, c := range s.claims {
		age := now.Sub(c.Created)
		if c.Service == service && !c.bound && age < reuseBefore && (update || age >= reuseAfter) && len(s.holders[n]) == 0 && fits(n) &&
			(lowest.IsZero() || n.Compare(lowest) < 0) {
			lowest = n
		}
	}
	return lowest, !lowest.IsZero()
}

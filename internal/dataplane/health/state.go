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

package health

import (
	"slices"
	"sync"
	"time"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Patience is how long a change may wait to be programmed before the node
// calls itself unhealthy. kube-proxy's is twice its sync period, with the same
// result by default; changes here take milliseconds unless the kernel refuses.
const Patience = 60 * time.Second

// State is what is known of the dataplane's health. It is safe for concurrent
// use.
type State struct {
	now      func() time.Time
	patience time.Duration

	mu       sync.Mutex
	families map[model.Family]*familyState
	eligible bool
}

// Generation numbers the changes of a family in the order of Queued; 0 is
// before the first.
type Generation uint64

type familyState struct {
	// updated is when the kernel last took a change; zero if never.
	updated time.Time
	// newest is the last change queued.
	newest Generation
	// pending are the changes that the kernel has not taken, oldest first.
	pending []span
}

// span is a run of changes that were queued at nearly the same time.
type span struct {
	since time.Time
	last  Generation
}

// A span of a second is exact enough for a patience of a minute, and maxSpans
// of them reach beyond it: what comes later joins the last one.
const (
	spanLength = time.Second
	maxSpans   = 100
)

// NewState is the state of a node that programs the given families, before its
// first sync.
func NewState(patience time.Duration, families ...model.Family) *State {
	s := &State{now: time.Now, patience: patience, families: map[model.Family]*familyState{}, eligible: true}
	for _, family := range families {
		s.families[family] = &familyState{}
	}
	return s
}

// Queued says that family has one more change to program, and numbers it.
// Whoever queues the change does both under one lock, so that the order of
// numbers is the order in the queue.
func (s *State) Queued(family model.Family) Generation {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.families[family]
	f.newest++
	now, n := s.now(), len(f.pending)
	if n > 0 && (n == maxSpans || now.Sub(f.pending[n-1].since) < spanLength) {
		f.pending[n-1].last = f.newest
	} else {
		f.pending = append(f.pending, span{since: now, last: f.newest})
	}
	return f.newest
}

// Done says that the kernel has taken all changes of family up to the given
// one. Those that came later still wait, however long ago it was that they were
// queued: a commit that hangs is seen although earlier ones succeeded.
func (s *State) Done(family model.Family, upTo Generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.families[family]
	f.updated = s.now()
	f.pending = slices.DeleteFunc(f.pending, func(waiting span) bool { return waiting.last <= upTo })
}

// late says whether the oldest change has waited for too long.
func (f *familyState) late(now time.Time, patience time.Duration) bool {
	return len(f.pending) > 0 && now.Sub(f.pending[0].since) >= patience
}

// SetEligible says whether the Node object wants traffic from outside
// (KEP-3836).
func (s *State) SetEligible(eligible bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eligible = eligible
}

// Ready says whether every family has been programmed once.
func (s *State) Ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.families {
		if f.updated.IsZero() {
			return false
		}
	}
	return true
}

// Healthy says whether programming keeps up in every family.
func (s *State) Healthy() bool { return s.report().Healthy }

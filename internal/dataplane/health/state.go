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

type familyState struct {
	// updated is when the kernel last agreed with what is wanted, queued since
	// when it has not; zero if never and not at all.
	updated, queued time.Time
}

// NewState is the state of a node that programs the given families, before its
// first sync.
func NewState(patience time.Duration, families ...model.Family) *State {
	s := &State{now: time.Now, patience: patience, families: map[model.Family]*familyState{}, eligible: true}
	for _, family := range families {
		s.families[family] = &familyState{}
	}
	return s
}

// Queued says that family has a change to program. Only the oldest one counts.
func (s *State) Queued(family model.Family) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.families[family]; f.queued.IsZero() {
		f.queued = s.now()
	}
}

// Updated says that all changes of family are programmed.
func (s *State) Updated(family model.Family) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*s.families[family] = familyState{updated: s.now()}
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

// report is the state as /healthz and /livez print it.
func (s *State) report() report {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	r := report{CurrentTime: now, Healthy: true, eligible: s.eligible, Status: map[string]familyReport{}}
	for family, f := range s.families {
		if f.updated.After(r.LastUpdated) {
			r.LastUpdated = f.updated
		}
		late := !f.queued.IsZero() && now.Sub(f.queued) >= s.patience
		if f.updated.IsZero() && !late {
			// Starting up: rules of an earlier run still carry the traffic, so
			// that load balancers have no reason to turn away. /readyz tells.
			continue
		}
		r.Healthy = r.Healthy && !late
		r.Status[family.String()] = familyReport{LastUpdated: f.updated, Healthy: !late}
	}
	return r
}

// report has the fields of kube-proxy 1.36 and later.
type report struct {
	LastUpdated  time.Time               `json:"lastUpdated"`
	CurrentTime  time.Time               `json:"currentTime"`
	NodeEligible *bool                   `json:"nodeEligible,omitempty"`
	Healthy      bool                    `json:"healthy"`
	Status       map[string]familyReport `json:"status"`

	eligible bool
}

type familyReport struct {
	LastUpdated time.Time `json:"lastUpdated"`
	Healthy     bool      `json:"healthy"`
}

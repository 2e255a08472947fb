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

import "time"

// report has the fields of kube-proxy 1.36 and later.
type report struct {
	LastUpdated  time.Time               `json:"lastUpdated"`
	CurrentTime  time.Time               `json:"currentTime"`
	NodeEligible *bool                   `json:"nodeEligible,omitempty"`
	Healthy      bool                    `json:"healthy"`
	Status       map[string]familyReport `json:"status,omitempty"`

	eligible bool
}

type familyReport struct {
	LastUpdated time.Time `json:"lastUpdated"`
	Healthy     bool      `json:"healthy"`
}

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
		late := f.late(now, s.patience)
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

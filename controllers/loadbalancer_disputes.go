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
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// patientRepairs is how often addresses that somebody else has written are
	// written again at once.
	patientRepairs = 3
	// disputeLimit is the longest between two repairs, and how long nothing has
	// to happen for a dispute to be over.
	disputeLimit = 5 * time.Minute
)

// disputes are Services whose addresses another controller writes as well. Without
// a limit the two would write as fast as the API server takes it.
type disputes map[types.NamespacedName]*dispute

type dispute struct {
	times int
	last  time.Time
	until time.Time // nothing is repaired before
}

// begin notes that somebody else has written. It is true when the user is to be told.
func (d disputes) begin(key types.NamespacedName, now time.Time) bool {
	found := d[key]
	if found == nil || now.Sub(found.until) > disputeLimit && now.Sub(found.last) > disputeLimit {
		found = &dispute{}
		d[key] = found
	}
	found.times++
	found.last = now
	if over := found.times - patientRepairs; over > 0 {
		found.until = now.Add(min(time.Second<<min(over-1, 20), disputeLimit))
	}
	return found.times == patientRepairs+1
}

// wait is how long the Service is to be left as it is.
func (d disputes) wait(key types.NamespacedName, now time.Time) time.Duration {
	if d[key] == nil {
		return 0
	}
	return d[key].until.Sub(now)
}

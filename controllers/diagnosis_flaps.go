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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// calmGraces is how many graces a condition has to be well for, so that what comes
	// then has nothing to do with what was before: ten minutes.
	calmGraces = 20
	// mostGraces bounds how long it has to be well before that is written: four minutes.
	mostGraces = 8
)

// flaps are how often each condition has become well again of late. A pod that is
// ready for some seconds each time before it crashes would make its Service well and
// bad again every few minutes, which is two writes that go to every node.
type flaps map[string]recovered

// recovered is how often that was, each time soon after the time before, and when it
// was last.
type recovered struct {
	times int
	last  time.Time
}

// patience is how long a condition has to be well before that is written: not at all
// the first time, and then twice as long each time.
func (f flaps) patience(before *metav1.Condition, grace time.Duration) time.Duration {
	if before == nil || wellFound(*before) || f.calm(before, grace) {
		return 0
	}
	return min(grace<<(min(f[before.Type].times, mostGraces)-1), mostGraces*grace)
}

// calm tells of a condition that had been well for long before it was bad.
func (f flaps) calm(before *metav1.Condition, grace time.Duration) bool {
	since := f[before.Type]
	return since.times == 0 || before.LastTransitionTime.Sub(since.last) > calmGraces*grace
}

// note remembers what has been written.
func (f flaps) note(changed []transition, now time.Time, grace time.Duration) {
	for _, t := range changed {
		if t.before == nil || wellFound(*t.before) || !wellFound(t.after) {
			continue
		}
		times := 1
		if !f.calm(t.before, grace) {
			times += f[t.after.Type].times
		}
		f[t.after.Type] = recovered{times, now}
	}
}

// forget drops what is over.
func (f flaps) forget(there []metav1.Condition, now time.Time, grace time.Duration) {
	for name, since := range f {
		if condition := conditionOf(there, name); condition == nil || wellFound(*condition) && now.Sub(since.last) > calmGraces*grace {
			delete(f, name)
		}
	}
}

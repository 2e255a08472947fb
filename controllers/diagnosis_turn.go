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
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// turn is how long a Service has to wait until it is written for the first time, of
// which nothing is to be said and which was there before this manager was: nobody
// waits for that. All are looked at right away, so that those that do not answer are
// told after their grace, wherever they are among thousands, and what changes
// meanwhile waits for none of these.
func (r *DiagnosisReconciler) turn(service *corev1.Service, changed []transition, memory *diagnosisMemory, now time.Time) time.Duration {
	news := func(t transition) bool { return t.before != nil || !wellFound(t.after) }
	if slices.ContainsFunc(changed, news) || !service.CreationTimestamp.Time.Before(r.began) {
		return 0
	}
	if memory.turn.IsZero() {
		memory.turn = now.Add(r.firsts.ReserveN(now, 1).DelayFrom(now))
	}
	return max(0, memory.turn.Sub(now))
}

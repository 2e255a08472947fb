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

package agent

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

// triggers tells when what caused the change of a slice happened. It belongs to
// the goroutine that follows slices.
type triggers struct {
	// started is the agent's own begin: earlier causes are not its latency.
	started time.Time
	// last are those of slices that changed since. A slice that is written again
	// for another reason keeps its annotation.
	last map[cache.ObjectName]time.Time
}

func newTriggers(started time.Time) *triggers {
	return &triggers{started: started, last: map[cache.ObjectName]time.Time{}}
}

// of is zero if nothing new caused the change, or nothing that is known.
func (t *triggers) of(eps *discoveryv1.EndpointSlice) time.Time {
	at, err := time.Parse(time.RFC3339Nano, eps.Annotations[corev1.EndpointsLastChangeTriggerTime])
	name := cache.ObjectName{Namespace: eps.Namespace, Name: eps.Name}
	if err != nil || at.Before(t.started) || at.Equal(t.last[name]) {
		return time.Time{}
	}
	t.last[name] = at
	return at
}

func (t *triggers) forget(namespace, name string) {
	delete(t.last, cache.ObjectName{Namespace: namespace, Name: name})
}

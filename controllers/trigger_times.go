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
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/endpointslices"
)

// triggerTimes finds out when that happened which has a Service's slices written:
// the earliest of the changes since the last time (row E25). The network
// programming latency is measured from there. Unlike the library's tracker it
// can be told of a few pods only.
type triggerTimes struct {
	mu       sync.Mutex
	services map[types.NamespacedName]*serviceTimes
}

// serviceTimes are what was seen last.
type serviceTimes struct {
	created time.Time
	pods    map[string]time.Time
}

func newTriggerTimes() *triggerTimes {
	return &triggerTimes{services: map[types.NamespacedName]*serviceTimes{}}
}

// of takes in all pods of a Service. It is zero if nothing has changed, and when
// the Service was created for one that is new here. Callers of one Service take
// turns.
func (t *triggerTimes) of(service *corev1.Service, pods []*corev1.Pod) time.Time {
	next := &serviceTimes{created: service.CreationTimestamp.Time, pods: make(map[string]time.Time, len(pods))}
	last := t.swap(types.NamespacedName{Namespace: service.Namespace, Name: service.Name}, next)
	if last == nil {
		last = &serviceTimes{}
	}
	var earliest time.Time
	for _, pod := range pods {
		if changed := readySince(pod); !changed.IsZero() {
			next.pods[pod.Name] = changed
			earliest = earlierChange(earliest, last.pods[pod.Name], changed)
		}
	}
	if last.created.IsZero() {
		return next.created
	}
	return earlierChange(earliest, last.created, next.created)
}

// ofSome takes in a few pods of a Service that is known.
func (t *triggerTimes) ofSome(service types.NamespacedName, changes []endpointslices.Change) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	var earliest time.Time
	known := t.services[service]
	if known == nil {
		return earliest
	}
	for _, change := range changes {
		last := known.pods[change.Name]
		delete(known.pods, change.Name)
		if change.Pod == nil {
			continue
		}
		if changed := readySince(change.Pod); !changed.IsZero() {
			known.pods[change.Name] = changed
			earliest = earlierChange(earliest, last, changed)
		}
	}
	return earliest
}

func (t *triggerTimes) swap(service types.NamespacedName, next *serviceTimes) (last *serviceTimes) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last = t.services[service]
	t.services[service] = next
	return last
}

func (t *triggerTimes) forget(service types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.services, service)
}

// earlierChange is the earlier of two times, if the second is one of a change.
func earlierChange(earliest, last, changed time.Time) time.Time {
	if changed.After(last) && (earliest.IsZero() || changed.Before(earliest)) {
		return changed
	}
	return earliest
}

// readySince is when the pod became ready or not.
func readySince(pod *corev1.Pod) time.Time {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.PodReady {
			return pod.Status.Conditions[i].LastTransitionTime.Time
		}
	}
	return time.Time{}
}

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

package main

import (
	"context"
	"errors"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// readiness is what a bare watch of the EndpointSlices says of each pod, beside
// what it should say.
type readiness struct {
	stop   func()
	mu     sync.Mutex
	failed error
	want   map[string]bool // ready or not, by pod
	// slices are the pods of each slice, have is in which each pod was seen last.
	slices map[string]map[string]bool
	have   map[string]endpointSeen
	// right counts pods that are seen as they should be, since rightAt all of them.
	right   int
	rightAt time.Time
	changes map[string]*changed
}

type endpointSeen struct {
	slice string
	ready bool
}

// changed is a pod whose readiness has been written.
type changed struct {
	pod   string
	ready bool
	// acknowledged is when the API server had answered, seen when a slice had it.
	acknowledged, seen time.Time
}

func newReadiness() *readiness {
	return &readiness{
		stop: func() {}, want: map[string]bool{}, slices: map[string]map[string]bool{}, have: map[string]endpointSeen{}, changes: map[string]*changed{},
	}
}

// watchReadiness begins where there are no slices and every pod is ready.
func (h *hamlet) watchReadiness(ctx context.Context) (*readiness, error) {
	w := newReadiness()
	for _, pod := range h.pods {
		w.want[pod.Name] = true
	}
	slices := h.client.DiscoveryV1().EndpointSlices(namespace)
	list, err := slices.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	// The API server ends the watch of a client that it can not send to for a while,
	// as may happen when thousands of slices are made on two busy cores.
	events, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{WatchFuncWithContext: slices.Watch})
	if err != nil {
		return nil, err
	}
	w.stop = events.Stop
	go w.follow(events)
	return w, nil
}

func (w *readiness) follow(events watch.Interface) {
	for event := range events.ResultChan() {
		w.note(event, time.Now())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = errors.New("the watch of EndpointSlices has ended")
}

func (w *readiness) note(event watch.Event, now time.Time) {
	slice, ok := event.Object.(*discoveryv1.EndpointSlice)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	holds := map[string]bool{}
	if event.Type != watch.Deleted {
		for _, endpoint := range slice.Endpoints {
			if endpoint.TargetRef != nil {
				holds[endpoint.TargetRef.Name] = endpoint.Conditions.Ready != nil && *endpoint.Conditions.Ready
			}
		}
	}
	for pod := range w.slices[slice.Name] {
		if _, still := holds[pod]; !still && w.have[pod].slice == slice.Name {
			w.count(pod, -1)
			delete(w.have, pod)
		}
	}
	for pod, ready := range holds {
		w.count(pod, -1)
		w.have[pod] = endpointSeen{slice.Name, ready}
		w.count(pod, +1)
		if change := w.changes[pod]; change != nil && change.ready == ready && change.seen.IsZero() {
			change.seen = now
		}
	}
	w.slices[slice.Name] = holds
	if len(holds) == 0 {
		delete(w.slices, slice.Name)
	}
	if w.right < len(w.want) {
		w.rightAt = time.Time{}
	} else if w.rightAt.IsZero() {
		w.rightAt = now
	}
}

// count adds n if the pod is seen as it should be.
func (w *readiness) count(pod string, n int) {
	want, known := w.want[pod]
	if have, held := w.have[pod]; known && held && have.ready == want {
		w.right += n
	}
}

// turn is that the pod is about to become ready, or not ready.
func (w *readiness) turn(pod string) *changed {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count(pod, -1)
	w.want[pod] = !w.want[pod]
	w.count(pod, +1)
	w.rightAt = time.Time{}
	change := &changed{pod: pod, ready: w.want[pod]}
	w.changes[pod] = change
	return change
}

func (w *readiness) acknowledge(change *changed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change.acknowledged = time.Now()
}

// notReady are the pods that should not be.
func (w *readiness) notReady() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	pods := map[string]bool{}
	for pod, ready := range w.want {
		if !ready {
			pods[pod] = true
		}
	}
	return pods
}

// pending says that a change of the pod is still waited for.
func (w *readiness) pending(pod string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	change := w.changes[pod]
	return change != nil && change.seen.IsZero()
}

// progress is how many pods are seen as they should be, of how many, and since
// when all of them are.
func (w *readiness) progress() (right, all int, since time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.right, len(w.want), w.rightAt, w.failed
}

// latencies are from the answer to the slice; where there is none yet, until now,
// which is less than it will be: these are counted as unseen.
func (w *readiness) latencies(changes []*changed, now time.Time) (all []time.Duration, unseen int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, change := range changes {
		seen := change.seen
		if seen.IsZero() {
			unseen++
			seen = now
		}
		all = append(all, max(0, seen.Sub(change.acknowledged)))
	}
	return all, unseen
}

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
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// takenAtOnce is a queue whose workers are as fast as can be: a request is worked
// on before whoever has queued it does anything else. It keeps what for.
type takenAtOnce struct {
	requestQueue
	dirty *dirtyPods
	taken []string
}

func (q *takenAtOnce) Add(request reconcile.Request) {
	errand, what := q.dirty.take(request.NamespacedName), "whole"
	if !errand.whole {
		what = fmt.Sprint(errand.pods)
	}
	q.taken = append(q.taken, request.String()+" "+what)
}

func (q *takenAtOnce) AddAfter(request reconcile.Request, _ time.Duration) { q.Add(request) }
func (q *takenAtOnce) AddRateLimited(request reconcile.Request)            { q.Add(request) }

// TestAPodIsNotedBeforeItsServiceIsQueued: a request that is taken in between
// would have nothing to do, and none would come after it (row E29).
func TestAPodIsNotedBeforeItsServiceIsQueued(t *testing.T) {
	service := testService(intstr.FromInt32(80))
	index, queue := servicesOf(service), &takenAtOnce{dirty: newDirtyPods()}
	queue.dirty.take(client.ObjectKeyFromObject(service)) // The whole has been planned.
	pod := testPod("10.0.0.1", func(p *corev1.Pod) { p.Labels = map[string]string{"app": "web"} })
	other := testPod("10.0.0.1", func(p *corev1.Pod) { p.Labels = pod.Labels }, unreadyPod)
	pods := podEvents(index, time.Second, queue.dirty.add)
	pods.Create(t.Context(), event.CreateEvent{Object: pod}, queue)
	pods.Update(t.Context(), event.UpdateEvent{ObjectOld: pod, ObjectNew: other}, queue)
	pods.Delete(t.Context(), event.DeleteEvent{Object: other}, queue)
	one := "default/web [pod-10.0.0.1]"
	if want := []string{one, one, one}; !slices.Equal(queue.taken, want) {
		t.Errorf("requests for %q, want %q", queue.taken, want)
	}
}

// TestAServiceThatIsGoneIsForgotten: one of its name is planned as a whole, and of
// those that come and go nothing stays behind.
func TestAServiceThatIsGoneIsForgotten(t *testing.T) {
	service := testService(intstr.FromInt32(80))
	b := newSliceBench(t, nil)
	b.Live = b.Client
	endpoints := &EndpointsReconciler{
		Client: failingCluster(nil, nil), Live: failingCluster(nil, nil), services: newSelectorIndex(), dirty: newDirtyPods(),
		triggers: newTriggerTimes(), ledgers: newEndpointsLedgers(), writes: newWriteTracker(),
	}
	for title, controller := range map[string]struct {
		reconcile.Reconciler
		dirty *dirtyPods
	}{"slices": {b, b.dirty}, "Endpoints": {endpoints, endpoints.dirty}} {
		key := client.ObjectKeyFromObject(service)
		controller.dirty.take(key)
		controller.dirty.add(key, "pod-10.0.0.1")
		if _, err := controller.Reconcile(t.Context(), requestFor(key)); err != nil {
			t.Fatal(err)
		}
		if left := len(controller.dirty.services); left != 0 {
			t.Errorf("%s: %d Services are remembered", title, left)
		}
	}
}

// TestWorkersAndRetries: as many workers as are asked for, and retries from a tenth
// of a second to retryLimit, ten a second after the first hundred (row E30).
func TestWorkersAndRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		controller := (&EndpointsOptions{Workers: 7}).controller()
		if controller.MaxConcurrentReconciles != 7 {
			t.Errorf("%d workers, want 7", controller.MaxConcurrentReconciles)
		}
		web := requestFor(types.NamespacedName{Namespace: "shop", Name: "web"})
		var waits []time.Duration
		for range 12 {
			waits = append(waits, controller.RateLimiter.When(web))
		}
		if waits[0] != 100*time.Millisecond || waits[1] != 200*time.Millisecond || waits[11] != retryLimit {
			t.Errorf("retries after %v, want 100ms, 200ms and so on up to %v", waits, retryLimit)
		}
		controller.RateLimiter.Forget(web)
		if wait := controller.RateLimiter.When(web); wait != 100*time.Millisecond {
			t.Errorf("a retry after %v once the last has been successful", wait)
		}
		time.Sleep(time.Minute)
		var last time.Duration
		for i := range 150 {
			last = controller.RateLimiter.When(requestFor(types.NamespacedName{Namespace: "shop", Name: fmt.Sprint(i)}))
		}
		if last != 5*time.Second {
			t.Errorf("the last of 150 Services that fail at once waits %v, want 5s", last)
		}
	})
}

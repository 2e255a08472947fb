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
	"errors"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	clientset "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// steadyBench is a sliceBench of which the Service has been planned. What is
// written does not come back into the cache unless a test puts it there.
func steadyBench(t *testing.T, pods ...*corev1.Pod) (*sliceBench, *corev1.Service) {
	t.Helper()
	service := testService(intstr.FromInt32(80))
	service.UID = "1"
	slice := sliceOf(service, "web-x", pods...)
	b := newSliceBench(t, pods, service, slice)
	b.server = clientset.NewClientset(slice)
	b.writer.client = b.server.DiscoveryV1()
	// As the API server does.
	b.server.PrependReactor("update", "endpointslices", func(action clienttesting.Action) (bool, runtime.Object, error) {
		action.(clienttesting.UpdateAction).GetObject().(*discoveryv1.EndpointSlice).Generation++
		return false, nil, nil
	})
	if _, err := b.reconcile(service); err != nil || len(b.writes()) > 0 {
		t.Fatalf("the Service is not as it should be to begin with: %v", err)
	}
	return b, service
}

// turn has a pod be not ready, and notes it as the watch would.
func (b *sliceBench) turn(service *corev1.Service, pod *corev1.Pod) {
	next := pod.DeepCopy()
	unreadyPod(next)
	_ = b.pods.indexer.Update(next)
	b.dirty.add(client.ObjectKeyFromObject(service), pod.Name)
}

// catchUp shows the cache what the server has.
func (b *sliceBench) catchUp(t *testing.T) {
	t.Helper()
	list, err := b.server.Tracker().List(discoveryv1.SchemeGroupVersion.WithResource("endpointslices"), discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, slice := range list.(*discoveryv1.EndpointSliceList).Items {
		var cached discoveryv1.EndpointSlice
		if err := b.Client.Get(t.Context(), client.ObjectKeyFromObject(&slice), &cached); err != nil {
			t.Fatal(err)
		}
		slice.ResourceVersion = cached.ResourceVersion
		if err := b.Client.Update(t.Context(), &slice); err != nil {
			t.Fatal(err)
		}
	}
}

// plans counts plans while something is done.
func plans(do func()) (service, pods float64) {
	count := func() (float64, float64) {
		return testutil.ToFloat64(slicePlans.WithLabelValues(planOfService)), testutil.ToFloat64(slicePlans.WithLabelValues(planOfPods))
	}
	service, pods = count()
	do()
	serviceNow, podsNow := count()
	return serviceNow - service, podsNow - pods
}

// TestPodsArePlannedAloneAfterTheCacheLagged: of two requests, the one that waited
// for the cache and the one for another pod, the first does the work of both, and
// the second does not take an empty list for the whole Service.
func TestPodsArePlannedAloneAfterTheCacheLagged(t *testing.T) {
	pods := []*corev1.Pod{testPod("10.0.0.1"), testPod("10.0.0.2"), testPod("10.0.0.3"), testPod("10.0.0.4")}
	b, service := steadyBench(t, pods...)
	whole, some := plans(func() {
		for i, step := range []struct {
			pod     *corev1.Pod // that changes
			shown   bool        // what was written before
			waiting bool
			writes  int
		}{
			{pod: pods[0], writes: 1},
			{pod: pods[1], waiting: true},
			{pod: pods[2], shown: true, writes: 1}, // for both
			{shown: true},                          // the request that waited
			{pod: pods[3], writes: 1},
		} {
			if step.shown {
				b.catchUp(t)
			}
			if step.pod != nil {
				b.turn(service, step.pod)
			}
			result, err := b.reconcile(service)
			if err != nil || result.RequeueAfter > 0 != step.waiting || len(b.writes()) != step.writes {
				t.Errorf("step %d: %+v, %v", i, result, err)
			}
		}
	})
	if whole != 0 || some != 3 {
		t.Errorf("%v plans of the Service and %v of pods, want 0 and 3", whole, some)
	}
	b.catchUp(t)
	var list discoveryv1.EndpointSliceList
	if err := b.Client.List(t.Context(), &list); err != nil || len(list.Items) != 1 {
		t.Fatalf("%d slices, %v", len(list.Items), err)
	}
	for _, endpoint := range list.Items[0].Endpoints {
		if *endpoint.Conditions.Ready {
			t.Errorf("%s is ready in the slice and is not", endpoint.TargetRef.Name)
		}
	}
}

// TestPodsArePlannedAloneAfterAConflict: what failed is planned as a whole, and
// what comes after that is not.
func TestPodsArePlannedAloneAfterAConflict(t *testing.T) {
	pods := []*corev1.Pod{testPod("10.0.0.1"), testPod("10.0.0.2")}
	b, service := steadyBench(t, pods...)
	failure := errors.New("the object has been modified")
	b.fail("update", &failure)
	b.turn(service, pods[0])
	if _, err := b.reconcile(service); !errors.Is(err, failure) {
		t.Fatalf("error %v", err)
	}
	failure = nil
	for i, want := range [][2]float64{{1, 0}, {0, 1}} {
		b.turn(service, pods[i])
		whole, some := plans(func() { _, _ = b.reconcile(service) })
		if whole != want[0] || some != want[1] {
			t.Errorf("%d: %v plans of the Service and %v of pods, want %v", i, whole, some, want)
		}
		b.catchUp(t)
	}
}

// TestAnUpdateSeenBeforeItsAnswerIsOurs: the watch may be faster than the answer.
func TestAnUpdateSeenBeforeItsAnswerIsOurs(t *testing.T) {
	pods := []*corev1.Pod{testPod("10.0.0.1"), testPod("10.0.0.2")}
	for generations, foreign := range map[int64]bool{1: false, 2: true} {
		t.Run(fmt.Sprint(generations, " later"), func(t *testing.T) {
			b, service := steadyBench(t, pods...)
			queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
			defer queue.ShutDown()
			before := sliceOf(service, "web-x", pods...)
			watch := b.dirty.wholes(b.owner.events(0, nil))
			b.server.PrependReactor("update", "endpointslices", func(action clienttesting.Action) (bool, runtime.Object, error) {
				after := action.(clienttesting.UpdateAction).GetObject().(*discoveryv1.EndpointSlice).DeepCopy()
				after.Generation = before.Generation + generations
				watch.Update(t.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: after}, queue)
				return false, nil, nil
			})
			b.turn(service, pods[0])
			if _, err := b.reconcile(service); err != nil || !slices.Contains(b.writes(), "update") {
				t.Fatalf("no update, or %v", err)
			}
			if taken := b.dirty.take(client.ObjectKeyFromObject(service)); taken.whole != foreign || (queue.Len() > 0) != foreign {
				t.Errorf("the next request is for %+v, want the whole: %t", taken, foreign)
			}
		})
	}
}

// TestAnUpdateThatFailedIsNotWaitedFor: what shows afterwards is somebody else's.
func TestAnUpdateThatFailedIsNotWaitedFor(t *testing.T) {
	pods := []*corev1.Pod{testPod("10.0.0.1"), testPod("10.0.0.2")}
	b, service := steadyBench(t, pods...)
	b.fail("update", new(errors.New("the object has been modified")))
	b.turn(service, pods[0])
	if _, err := b.reconcile(service); err == nil {
		t.Fatal("no error")
	}
	before := sliceOf(service, "web-x", pods...)
	theirs := before.DeepCopy()
	theirs.Generation++
	if !b.owner.changedByOthers(before, theirs) {
		t.Error("a change by somebody else is taken for ours")
	}
}

// TestASliceDeletedBeforeItsAnswerIsNotWaitedFor: the watch may show its end
// before the answer to its creation comes.
func TestASliceDeletedBeforeItsAnswerIsNotWaitedFor(t *testing.T) {
	service := testService(intstr.FromInt32(80))
	service.UID = "1"
	b := newSliceBench(t, []*corev1.Pod{testPod("10.0.0.1")}, service)
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	watch := b.dirty.wholes(b.owner.events(0, nil))
	created := 0
	b.server.PrependReactor("create", "endpointslices", func(action clienttesting.Action) (bool, runtime.Object, error) {
		slice := action.(clienttesting.CreateAction).GetObject().(*discoveryv1.EndpointSlice)
		created++
		slice.Name, slice.UID, slice.Generation = fmt.Sprint("web-", created), types.UID(fmt.Sprint(created)), 1
		if created == 1 {
			watch.Create(t.Context(), event.CreateEvent{Object: slice.DeepCopy()}, queue)
			watch.Delete(t.Context(), event.DeleteEvent{Object: slice.DeepCopy()}, queue)
		}
		return false, nil, nil
	})
	for range 2 {
		if result, err := b.reconcile(service); err != nil || result.RequeueAfter > 0 {
			t.Errorf("%+v, %v: want no wait", result, err)
		}
	}
	if queue.Len() == 0 || created != 2 {
		t.Errorf("%d queued, %d slices created: want the deleted slice to be made again", queue.Len(), created)
	}
}

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
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// TestExternalNamesHaveNoPods: a Service that stands for a name may have kept its
// selector, which would have each pod's event tell that its endpoints are kept, and
// nobody hear of the slices that take their place.
func TestExternalNamesHaveNoPods(t *testing.T) {
	service := testService(intstr.FromInt32(80))
	external := service.DeepCopy()
	external.Spec.Type = corev1.ServiceTypeExternalName
	key, pod := client.ObjectKeyFromObject(service), testPod("10.0.0.1")
	index := newSelectorIndex()
	watch := serviceEvents(index)
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	for i, step := range []struct {
		before, after *corev1.Service
		selects       bool
	}{{nil, service, true}, {service, external, false}, {external, service, true}} {
		if step.before == nil {
			watch.Create(t.Context(), event.CreateEvent{Object: step.after}, queue)
		} else {
			watch.Update(t.Context(), event.UpdateEvent{ObjectOld: step.before, ObjectNew: step.after}, queue)
		}
		matches := len(index.Matches(pod.Namespace, service.Spec.Selector)) > 0
		if matches != step.selects || index.Has(key) != step.selects || queue.Len() != 1 {
			t.Errorf("step %d: selects %t, is held %t, want %t; %d queued", i, matches, index.Has(key), step.selects, queue.Len())
		}
		request, _ := queue.Get()
		queue.Done(request)
	}
}

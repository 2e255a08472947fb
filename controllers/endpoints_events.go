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
	"context"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"k8s.io/client-go/util/workqueue"
)

// requestQueue is the work queue that event handlers fill.
type requestQueue = workqueue.TypedRateLimitingInterface[reconcile.Request]

func requestFor(service types.NamespacedName) reconcile.Request {
	return reconcile.Request{NamespacedName: service}
}

// serviceEvents keeps the selector index in step with the Services and queues
// each of them. One that stands for a name has a selector at most by mistake. The index is written before the request is queued: a pod that
// comes too early for the index is then found by the reconciler, which lists
// pods after both.
func serviceEvents(index *selectorIndex) handler.EventHandler {
	changed := func(object client.Object, queue requestQueue) {
		service := object.(*corev1.Service)
		key := client.ObjectKeyFromObject(service)
		if selectsPods(service) {
			index.Set(key, service.Spec.Selector)
		} else {
			index.Delete(key)
		}
		queue.Add(requestFor(key))
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue requestQueue) { changed(e.Object, queue) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue requestQueue) {
			before, after := e.ObjectOld.(*corev1.Service), e.ObjectNew.(*corev1.Service)
			// A resync repeats what did not change at all, to have it looked at.
			if before.ResourceVersion == after.ResourceVersion || !sameButStatus(before, after) {
				changed(after, queue)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue requestQueue) {
			key := client.ObjectKeyFromObject(e.Object)
			index.Delete(key)
			queue.Add(requestFor(key))
		},
	}
}

// sameButStatus leaves out what no endpoint depends on: conditions and addresses
// of load balancers come and go, and every Service is given some.
func sameButStatus(a, b *corev1.Service) bool {
	return a.UID == b.UID && (a.DeletionTimestamp == nil) == (b.DeletionTimestamp == nil) &&
		maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations) &&
		apiequality.Semantic.DeepEqual(&a.Spec, &b.Spec)
}

// podEvents queues the Services that a pod's arrival, change or departure
// touches, batchPeriod later, so that a burst becomes one reconciliation. note,
// if set, is told of each pod before.
func podEvents(index *selectorIndex, batchPeriod time.Duration, note func(service types.NamespacedName, pod string)) handler.EventHandler {
	add := func(queue requestQueue, pod client.Object, services []types.NamespacedName) {
		for _, service := range services {
			if note != nil {
				note(service, pod.GetName())
			}
			queue.AddAfter(requestFor(service), batchPeriod)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue requestQueue) {
			// The initial list queues every Service anyway, and no worker
			// starts before all of these pods are in the cache.
			if !e.IsInInitialList {
				add(queue, e.Object, index.Matches(e.Object.GetNamespace(), e.Object.GetLabels()))
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue requestQueue) {
			add(queue, e.ObjectNew, servicesTouchedBy(index, e.ObjectOld.(*corev1.Pod), e.ObjectNew.(*corev1.Pod)))
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue requestQueue) {
			add(queue, e.Object, index.Matches(e.Object.GetNamespace(), e.Object.GetLabels()))
		},
	}
}

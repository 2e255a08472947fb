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

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// lookSoon queues a Service after the pace, so that a burst of events is one look.
func (r *DiagnosisReconciler) lookSoon(queue requestQueue, service types.NamespacedName) {
	queue.AddAfter(requestFor(service), r.Options.pace())
}

// serviceEvents files selectors and queues Services. Those that there are at the
// start go to the end of the queue at once.
func (r *DiagnosisReconciler) serviceEvents() handler.EventHandler {
	filed := func(object client.Object) types.NamespacedName {
		key := client.ObjectKeyFromObject(object)
		if service, ok := object.(*corev1.Service); ok {
			r.services.Set(key, service.Spec.Selector)
		}
		return key
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue requestQueue) {
			if key := filed(e.Object); e.IsInInitialList {
				queue.Add(requestFor(key))
			} else {
				r.lookSoon(queue, key)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue requestQueue) {
			r.lookSoon(queue, filed(e.ObjectNew))
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue requestQueue) {
			key := client.ObjectKeyFromObject(e.Object)
			r.services.Delete(key)
			queue.Add(requestFor(key))
		},
	}
}

// sliceEvents queue the Service that a slice is for, and was for.
func (r *DiagnosisReconciler) sliceEvents() handler.EventHandler {
	queueIt := func(object client.Object, queue requestQueue) {
		if name := object.GetLabels()[discoveryv1.LabelServiceName]; name != "" {
			r.lookSoon(queue, types.NamespacedName{Namespace: object.GetNamespace(), Name: name})
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue requestQueue) {
			if !e.IsInInitialList {
				queueIt(e.Object, queue)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue requestQueue) {
			queueIt(e.ObjectOld, queue)
			queueIt(e.ObjectNew, queue)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue requestQueue) { queueIt(e.Object, queue) },
	}
}

// policyEvents queue all Services of the namespace.
func (r *DiagnosisReconciler) policyEvents() handler.EventHandler {
	queueAll := func(object client.Object, queue requestQueue) {
		keys, err := r.caches.services.IndexKeys(toolscache.NamespaceIndex, object.GetNamespace())
		if err != nil {
			return // there is such an index in every cache
		}
		for _, key := range keys {
			if namespace, name, err := toolscache.SplitMetaNamespaceKey(key); err == nil {
				r.lookSoon(queue, types.NamespacedName{Namespace: namespace, Name: name})
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue requestQueue) {
			if !e.IsInInitialList {
				queueAll(e.Object, queue)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue requestQueue) {
			if e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() {
				queueAll(e.ObjectNew, queue)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue requestQueue) { queueAll(e.Object, queue) },
	}
}

// nodeEvents queue the Services that have a pod on the node, and those whose
// connections have to stay on a node.
func (r *DiagnosisReconciler) nodeEvents() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue requestQueue) {
			if !e.IsInInitialList {
				r.queueOfNode(e.Object.GetName(), queue)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue requestQueue) {
			if nodeChanged(e.ObjectOld, e.ObjectNew) {
				r.queueOfNode(e.ObjectNew.GetName(), queue)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue requestQueue) {
			r.queueOfNode(e.Object.GetName(), queue)
		},
	}
}

func (r *DiagnosisReconciler) queueOfNode(node string, queue requestQueue) {
	queued := map[types.NamespacedName]bool{}
	for _, object := range r.caches.pods.indexer.List() {
		if pod, ok := object.(*corev1.Pod); ok && pod.Spec.NodeName == node {
			for _, service := range r.services.Matches(pod.Namespace, pod.Labels) {
				queued[service] = true
			}
		}
	}
	for _, object := range r.caches.services.List() {
		if service, ok := object.(*corev1.Service); ok && localPolicy(service) {
			queued[client.ObjectKeyFromObject(service)] = true
		}
	}
	for service := range queued {
		r.lookSoon(queue, service)
	}
}

// nodeChanged leaves out what a node says every few minutes.
func nodeChanged(before, after client.Object) bool {
	old, isNode := before.(*corev1.Node)
	node, is := after.(*corev1.Node)
	return !isNode || !is || old.UID != node.UID || nodeReadiness(old) != nodeReadiness(node) ||
		!equality.Semantic.DeepEqual(old.Labels, node.Labels) || !equality.Semantic.DeepEqual(old.Spec.Taints, node.Spec.Taints)
}

func nodeReadiness(node *corev1.Node) corev1.ConditionStatus {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == corev1.NodeReady {
			return node.Status.Conditions[i].Status
		}
	}
	return ""
}

// findingEvents queue the Services whose numbers have changed.
func (r *DiagnosisReconciler) findingEvents() handler.TypedEventHandler[types.NamespacedName, reconcile.Request] {
	return handler.TypedFuncs[types.NamespacedName, reconcile.Request]{
		GenericFunc: func(_ context.Context, e event.TypedGenericEvent[types.NamespacedName], queue requestQueue) {
			r.lookSoon(queue, e.Object)
		},
	}
}

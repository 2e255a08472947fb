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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
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

// TestAServiceIsLookedAtWhenMoreThanItsStatusChanges: conditions are written to each
// Service, and nothing of its endpoints depends on them.
func TestAServiceIsLookedAtWhenMoreThanItsStatusChanges(t *testing.T) {
	for title, tc := range map[string]struct {
		change func(*corev1.Service)
		queued int
	}{
		"a condition":         {func(s *corev1.Service) { s.Status.Conditions = []metav1.Condition{{Type: "EndpointsAvailable"}} }, 0},
		"a label":             {func(s *corev1.Service) { s.Labels = map[string]string{"a": "b"} }, 1},
		"an annotation":       {func(s *corev1.Service) { s.Annotations = map[string]string{KeepEndpointsAnnotation: "true"} }, 1},
		"a port":              {func(s *corev1.Service) { s.Spec.Ports[0].TargetPort = intstr.FromInt32(81) }, 1},
		"its end":             {func(s *corev1.Service) { s.DeletionTimestamp = new(metav1.Now()) }, 1},
		"another of its name": {func(s *corev1.Service) { s.UID = "other" }, 1},
		"nothing: a resync":   {func(s *corev1.Service) { s.ResourceVersion = "1" }, 1},
	} {
		before := testService(intstr.FromInt32(80))
		before.ResourceVersion = "1"
		after := before.DeepCopy()
		after.ResourceVersion = "2"
		tc.change(after)
		queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		serviceEvents(newSelectorIndex()).Update(t.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: after}, queue)
		if got := queue.Len(); got != tc.queued {
			t.Errorf("%s: %d queued, want %d", title, got, tc.queued)
		}
		queue.ShutDown()
	}
}

// TestEndpointsOfPodsAreNoSourceOfMirrors, but where the Service selects none.
func TestEndpointsOfPodsAreNoSourceOfMirrors(t *testing.T) {
	ours, theirs := handMade(80, "10.0.0.1"), handMade(80, "10.0.0.1")
	ours.Labels = map[string]string{endpointsManagedByLabel: EndpointsControllerName}
	selecting := testService(intstr.FromInt32(80))
	selecting.Namespace, selecting.Name = ours.Namespace, ours.Name
	without := selecting.DeepCopy()
	without.Spec.Selector = nil
	for title, tc := range map[string]struct {
		before, after *corev1.Endpoints
		service       *corev1.Service
		queued        int
	}{
		"made of pods":                      {ours, ours, selecting, 0},
		"the Service has lost its selector": {ours, ours, without, 1},
		"the Service is not known":          {ours, ours, nil, 1},
		"made by hand":                      {theirs, theirs, without, 1},
		"made by hand until now":            {theirs, ours, selecting, 1},
		"made of pods until now":            {ours, theirs, selecting, 1},
	} {
		reader := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme)
		if tc.service != nil {
			reader = reader.WithObjects(tc.service.DeepCopy())
		}
		r := &EndpointSliceMirroringReconciler{Client: reader.Build()}
		queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		mirrorSourceEvents(r.madeOfPods).Update(t.Context(), event.UpdateEvent{ObjectOld: tc.before, ObjectNew: tc.after}, queue)
		if got := queue.Len(); got != tc.queued {
			t.Errorf("%s: %d queued, want %d", title, got, tc.queued)
		}
		queue.ShutDown()
	}
}

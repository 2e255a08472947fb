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
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestACacheThatIsBehindIsWaitedFor: what we have overwritten, or do not see yet,
// is neither written again nor made twice (row E26).
func TestACacheThatIsBehindIsWaitedFor(t *testing.T) {
	t.Run("Endpoints", func(t *testing.T) {
		service := testService(intstr.FromInt32(80))
		cluster := failingCluster(nil, nil, service, &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}})
		r := &EndpointsReconciler{
			Client: cluster, services: servicesOf(service), pods: podsByLabelOnly(t), dirty: newDirtyPods(),
			triggers: newTriggerTimes(), ledgers: newEndpointsLedgers(), writes: newWriteTracker(),
		}
		cached, err := r.current(t.Context(), client.ObjectKeyFromObject(service))
		if err != nil {
			t.Fatal(err)
		}
		ours := cached.DeepCopy()
		ours.ResourceVersion = "1000"
		r.writes.wrote(cached, ours)
		for _, behind := range []bool{true, false} {
			if !behind {
				r.writes.forget(client.ObjectKeyFromObject(service))
			}
			result, err := r.Reconcile(t.Context(), requestFor(client.ObjectKeyFromObject(service)))
			now, getErr := r.current(t.Context(), client.ObjectKeyFromObject(service))
			if err != nil || getErr != nil {
				t.Fatal(err, getErr)
			}
			if waits, written := result.RequeueAfter > 0, now.ResourceVersion != cached.ResourceVersion; waits != behind || written == behind {
				t.Errorf("behind %t: waits %t, written %t", behind, waits, written)
			}
		}
	})
	t.Run("mirrors", func(t *testing.T) {
		service := testService(intstr.FromInt32(80), func(s *corev1.Service) { s.Name, s.Spec.Selector = "db", nil })
		r := &EndpointSliceMirroringReconciler{
			Client: failingCluster(nil, nil, service, handMade(80, "10.0.0.1")), lag: newCacheLag(time.Now),
			owner: newSliceOwner(EndpointSliceMirroringControllerName), recorder: legacyRecorder{events.NewFakeRecorder(10)},
		}
		r.Options.Default()
		ours := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "db-x", UID: "x", Generation: 1, Labels: map[string]string{discoveryv1.LabelServiceName: "db"},
		}}
		r.owner.tracker.Update(ours)
		for want, behind := range []bool{true, false} {
			if !behind {
				r.owner.tracker.HandleDeletion(ours)
			}
			result, err := r.Reconcile(t.Context(), requestFor(client.ObjectKeyFromObject(service)))
			if err != nil {
				t.Fatal(err)
			}
			var list discoveryv1.EndpointSliceList
			if err := r.Client.List(t.Context(), &list); err != nil {
				t.Fatal(err)
			}
			if made := len(list.Items); made != want || result.RequeueAfter > 0 != behind {
				t.Errorf("behind %t: %d slices are made, want %d, and tried again after %v", behind, made, want, result.RequeueAfter)
			}
		}
	})
}

// TestWhoHasChangedASlice: the API server raises the generation of a slice for its
// labels as for its endpoints, but not for its owners (row E16).
func TestWhoHasChangedASlice(t *testing.T) {
	before := sliceOf(testService(intstr.FromInt32(80)), "web-x", testPod("10.0.0.1"))
	later := func(change func(*discoveryv1.EndpointSlice)) *discoveryv1.EndpointSlice {
		after := before.DeepCopy()
		after.Generation++
		change(after)
		return after
	}
	owner := newSliceOwner(EndpointSliceControllerName)
	for title, tc := range map[string]struct {
		after *discoveryv1.EndpointSlice
		ours  bool
		want  bool
	}{
		"labels, by us":      {later(func(s *discoveryv1.EndpointSlice) { s.Labels["team"] = "red" }), true, false},
		"labels":             {later(func(s *discoveryv1.EndpointSlice) { s.Labels["team"] = "red" }), false, true},
		"whose slice it is":  {later(func(s *discoveryv1.EndpointSlice) { s.Labels[discoveryv1.LabelServiceName] = "shop" }), false, true},
		"who manages it":     {later(func(s *discoveryv1.EndpointSlice) { delete(s.Labels, discoveryv1.LabelManagedBy) }), false, true},
		"its owners":         {later(func(s *discoveryv1.EndpointSlice) { s.OwnerReferences, s.Generation = nil, 1 }), false, true},
		"a note in passing":  {later(func(s *discoveryv1.EndpointSlice) { s.Annotations, s.Generation = map[string]string{"a": "b"}, 1 }), false, false},
		"an endpoint, by us": {later(func(s *discoveryv1.EndpointSlice) { s.Endpoints = nil }), true, false},
		"an endpoint":        {later(func(s *discoveryv1.EndpointSlice) { s.Endpoints = nil }), false, true},
	} {
		owner.tracker.Update(before)
		if tc.ours {
			owner.tracker.Update(tc.after)
		}
		if got := owner.changedByOthers(before, tc.after); got != tc.want {
			t.Errorf("%s: changed by others %t, want %t", title, got, tc.want)
		}
	}
}

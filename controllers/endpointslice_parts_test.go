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
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/endpointslice/topologycache"
	endpointsliceutil "k8s.io/endpointslice/util"

	"switchyard.dev/switchyard/internal/endpointslices"
)

var shopWeb = types.NamespacedName{Namespace: "shop", Name: "web"}

func TestRequestsAreForTheWholeOrForPods(t *testing.T) {
	d := newDirtyPods()
	take := func() errand { taken := d.take(shopWeb); slices.Sort(taken.pods); return taken }
	whole := errand{whole: true}
	pods := func(names ...string) errand { return errand{pods: names} }
	for i, step := range []struct {
		do   func()
		want errand
	}{
		{func() {}, whole},
		{func() {}, pods()}, // somebody has taken it already
		{func() { d.add(shopWeb, "a"); d.add(shopWeb, "b"); d.add(shopWeb, "a") }, pods("a", "b")},
		{func() {}, pods()},
		{func() { d.add(shopWeb, "a"); d.whole(shopWeb); d.add(shopWeb, "b") }, whole},
		{func() { d.add(shopWeb, "c") }, pods("c")},
		{func() { d.add(types.NamespacedName{Namespace: "shop", Name: "db"}, "c") }, pods()},
		{func() {
			for i := range 300 {
				d.add(shopWeb, fmt.Sprint(i))
			}
		}, whole},
		{func() { d.giveBack(shopWeb, pods("a")); d.add(shopWeb, "b") }, pods("a", "b")},
		{func() { d.giveBack(shopWeb, whole); d.add(shopWeb, "b") }, whole},
		{func() { d.whole(shopWeb); d.giveBack(shopWeb, pods("a")) }, whole},
	} {
		step.do()
		if got := take(); got.whole != step.want.whole || !slices.Equal(got.pods, step.want.pods) {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}

// TestTriggerTimesAreTheLibrarys compares with the library's tracker, and few
// pods with the whole.
func TestTriggerTimesAreTheLibrarys(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	at := func() metav1.Time { return metav1.Unix(int64(1+r.IntN(1000)), 0) }
	library, whole, some := endpointsliceutil.NewTriggerTimeTracker(), newTriggerTimes(), newTriggerTimes()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", CreationTimestamp: at()}}
	pods := map[string]*corev1.Pod{}
	nonZero := 0
	for step := range 5000 {
		var changes []endpointslices.Change
		for range r.IntN(3) {
			name := fmt.Sprint(r.IntN(10))
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
			switch r.IntN(4) {
			case 0:
				pod = nil
			case 1:
			default:
				pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, LastTransitionTime: at()}}
			}
			if delete(pods, name); pod != nil {
				pods[name] = pod
			}
			changes = slices.DeleteFunc(changes, func(c endpointslices.Change) bool { return c.Name == name })
			changes = append(changes, endpointslices.Change{Name: name, Pod: pod})
		}
		all := make([]*corev1.Pod, 0, len(pods))
		for _, pod := range pods {
			all = append(all, pod)
		}
		if step%500 == 0 {
			service.CreationTimestamp = at()
			some.of(service, all)
		}
		want := library.ComputeEndpointLastChangeTriggerTime("shop", service, all)
		if got := whole.of(service, all); !got.Equal(want) {
			t.Fatalf("step %d: %v, want %v", step, got, want)
		}
		if step%500 != 0 {
			if got := some.ofSome(shopWeb, changes); !got.Equal(want) {
				t.Fatalf("step %d: %v of the pods %v, want %v", step, got, changes, want)
			}
		}
		if !want.IsZero() {
			nonZero++
		}
	}
	if nonZero < 1000 {
		t.Errorf("only %d steps had a time", nonZero)
	}
}

func TestPodsOfAServiceAreFoundByAnyOfItsLabels(t *testing.T) {
	indexer := toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{
		toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc, podsByLabel: labelsOfPod,
	})
	for i := range 12 {
		_ = indexer.Add(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: []string{"shop", "other"}[i%2], Name: fmt.Sprintf("p%02d", i),
			Labels: map[string]string{"app": []string{"web", "db", "web"}[i%3], "tier": fmt.Sprint(i % 4), "pod-template-hash": "x"},
		}})
	}
	index := podIndex{indexer}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	for name, tc := range map[string]struct {
		selector map[string]string
		anchor   labelPair
		want     []string
	}{
		"by its only label":              {map[string]string{"app": "web"}, labelPair{"app", "web"}, []string{"p00", "p02", "p06", "p08"}},
		"by one of two":                  {map[string]string{"app": "web", "tier": "2"}, labelPair{"tier", "2"}, []string{"p02", "p06"}},
		"by the other":                   {map[string]string{"app": "web", "tier": "2"}, labelPair{"app", "web"}, []string{"p02", "p06"}},
		"by a label that is not indexed": {map[string]string{"app": "db", "pod-template-hash": "x"}, labelPair{"pod-template-hash", "x"}, []string{"p04", "p10"}},
		"by an anchor of before":         {map[string]string{"app": "db"}, labelPair{"app", "web"}, []string{"p04", "p10"}},
		"without an anchor":              {map[string]string{"app": "db"}, labelPair{}, []string{"p04", "p10"}},
		"by what nobody has":             {map[string]string{"app": "none"}, labelPair{"app", "none"}, nil},
	} {
		service.Spec.Selector = tc.selector
		pods, err := index.selected(service, tc.anchor)
		var got []string
		for _, pod := range pods {
			got = append(got, pod.Name)
		}
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, tc.want)
		}
	}
	service.Spec.Selector = map[string]string{"app": "web"}
	changes, err := index.changes(service, []string{"p00", "p04", "p99"})
	if err != nil || changes[0].Pod == nil || changes[1].Pod != nil || changes[2].Pod != nil {
		t.Errorf("changes: %+v, %v", changes, err)
	}
}

// TestHintsLeaveTheCacheAlone: slices that are planned from are those of the
// cache, and hints may be added to any of them.
func TestHintsLeaveTheCacheAlone(t *testing.T) {
	ready, zone := true, "zone-1"
	for name, change := range map[string]func(*corev1.Service){
		"without hints": func(*corev1.Service) {},
		"by topology mode": func(s *corev1.Service) {
			s.Annotations = map[string]string{corev1.AnnotationTopologyMode: "Auto"}
		},
		"by traffic distribution": func(s *corev1.Service) {
			s.Spec.TrafficDistribution = new(corev1.ServiceTrafficDistributionPreferSameZone)
		},
	} {
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
		change(service)
		var existing, before []*discoveryv1.EndpointSlice
		for i := range 3 {
			slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("web-", i)}, AddressType: discoveryv1.AddressTypeIPv4}
			for j := range 4 {
				slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
					Addresses: []string{fmt.Sprintf("10.1.%d.%d", i, j)}, Zone: &zone, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
					Hints: &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "zone-9"}}},
				})
			}
			existing, before = append(existing, slice), append(before, slice.DeepCopy())
		}
		w := &sliceWriter{topology: topologycache.NewTopologyCache(), recorder: legacyRecorder{events.NewFakeRecorder(10)}}
		plan := &endpointslices.Plan{Family: discoveryv1.AddressTypeIPv4, Unchanged: existing}
		w.hint(t.Context(), service, plan)
		if diff := cmp.Diff(before, existing); diff != "" {
			t.Errorf("%s: the cached slices were changed:\n%s", name, diff)
		}
		if len(plan.Update) != 3 {
			t.Errorf("%s: %d slices are written, want all 3: their hints are those of another zone", name, len(plan.Update))
		}
	}
}

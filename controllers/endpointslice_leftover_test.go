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
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestWhoWroteTheEndpointsLast(t *testing.T) {
	const contents, label = `{"f:endpoints":{}}`, `{"f:metadata":{"f:labels":{"f:endpointslice.kubernetes.io/managed-by":{}}}}`
	for title, tc := range map[string]struct {
		fields []metav1.ManagedFieldsEntry
		want   bool
	}{
		"we did":                        {[]metav1.ManagedFieldsEntry{managed(endpointSliceFieldManager, 5, contents)}, true},
		"we made it without endpoints":  {[]metav1.ManagedFieldsEntry{managed(endpointSliceFieldManager, 5, label)}, true},
		"a person did":                  {[]metav1.ManagedFieldsEntry{managed(endpointSliceFieldManager, 9, label), managed("kubectl-edit", 5, contents)}, false},
		"a person agrees with us":       {[]metav1.ManagedFieldsEntry{managed(endpointSliceFieldManager, 9, contents), managed("kubectl", 5, contents)}, false},
		"the controller before us":      {[]metav1.ManagedFieldsEntry{managed("kube-controller-manager", 5, contents)}, false},
		"nobody says so":                {nil, false},
		"who labels it does not matter": {[]metav1.ManagedFieldsEntry{managed(endpointSliceFieldManager, 9, contents), managed("kubectl", 5, label)}, true},
	} {
		object := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: tc.fields}}
		if got := ownedByUs(podSliceTarget, object); got != tc.want {
			t.Errorf("%s: ours %t, want %t", title, got, tc.want)
		}
	}
}

// TestSlicesGoOnlyIfTheServerKnowsNoService: the cache of Services may be behind
// that of slices, as it is when another leader has just made them.
func TestSlicesGoOnlyIfTheServerKnowsNoService(t *testing.T) {
	service := testService(intstr.FromInt32(80))
	service.UID = "1"
	orphaned := sliceOf(service, "web-y")
	orphaned.OwnerReferences = nil
	for _, there := range []bool{true, false} {
		b := newSliceBench(t, nil, sliceOf(service, "web-x", testPod("10.0.0.1")), orphaned)
		live := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme)
		if there {
			live = live.WithObjects(service)
		}
		b.Live = live.Build()
		if _, err := b.reconcile(service); err != nil {
			t.Fatal(err)
		}
		var left discoveryv1.EndpointSliceList
		if err := b.Client.List(t.Context(), &left); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{true: 2, false: 1}[there]; len(left.Items) != want {
			t.Errorf("with a Service %t there are %d slices left, want %d", there, len(left.Items), want)
		}
	}
}

// TestSlicesOfPodsThatAreNotSelectedAnyMore: ours go; what is kept, or was made
// by others, goes once somebody else describes the endpoints.
func TestSlicesOfPodsThatAreNotSelectedAnyMore(t *testing.T) {
	for title, tc := range map[string]struct {
		writer, keep string
		mirrored     bool
		want         []string
		event        string
	}{
		"ours":                                  {endpointSliceFieldManager, "", false, nil, endpointsRemovedReason},
		"ours, kept":                            {endpointSliceFieldManager, "true", false, []string{"web-x"}, endpointsKeptReason},
		"ours, kept, and there is a mirror":     {endpointSliceFieldManager, "true", true, []string{"web-m"}, endpointsHandedOverReason},
		"of the controller before us":           {"kube-controller-manager", "", false, []string{"web-x"}, endpointsKeptReason},
		"of the controller before us, mirrored": {"kube-controller-manager", "", true, []string{"web-m"}, endpointsHandedOverReason},
	} {
		service := testService(intstr.FromInt32(80), func(s *corev1.Service) {
			s.UID, s.Spec.Selector, s.Annotations = "1", nil, map[string]string{KeepEndpointsAnnotation: tc.keep}
		})
		slice := sliceOf(service, "web-x", testPod("10.0.0.1"))
		mirror := slice.DeepCopy()
		mirror.Name, mirror.Labels[discoveryv1.LabelManagedBy] = "web-m", EndpointSliceMirroringControllerName
		cached := []client.Object{service, slice}
		if tc.mirrored {
			cached = append(cached, mirror)
		}
		b := newSliceBench(t, nil, cached...)
		there := slice.DeepCopy()
		entry := managed(tc.writer, 5, `{"f:endpoints":{}}`)
		entry.Operation, entry.APIVersion, entry.FieldsType = metav1.ManagedFieldsOperationUpdate, "discovery.k8s.io/v1", "FieldsV1"
		there.ManagedFields = []metav1.ManagedFieldsEntry{entry}
		b.Live = fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithReturnManagedFields().WithObjects(there).Build()
		if _, err := b.reconcile(service); err != nil {
			t.Errorf("%s: %v", title, err)
		}
		var list discoveryv1.EndpointSliceList
		if err := b.Client.List(t.Context(), &list); err != nil {
			t.Fatal(err)
		}
		var left []string
		for i := range list.Items {
			left = append(left, list.Items[i].Name)
		}
		told := lastEvent(b.events)
		if !slices.Equal(left, tc.want) || !strings.Contains(told, tc.event) || tc.event == "" && told != "" {
			t.Errorf("%s: %v left and told %q, want %v and %q", title, left, told, tc.want, tc.event)
		}
	}
}

// TestOnlyWhatOthersDescribeIsHandedOver: a slice of another family stays, and one
// that no Service owns.
func TestOnlyWhatOthersDescribeIsHandedOver(t *testing.T) {
	service := testService(intstr.FromInt32(80), func(s *corev1.Service) {
		s.UID, s.Spec.Selector, s.Annotations = "1", nil, map[string]string{KeepEndpointsAnnotation: "true"}
	})
	slice := sliceOf(service, "web-4", testPod("10.0.0.1"))
	other, orphan, mirror := slice.DeepCopy(), slice.DeepCopy(), slice.DeepCopy()
	other.Name, other.AddressType, other.Endpoints[0].Addresses = "web-6", discoveryv1.AddressTypeIPv6, []string{"fd00::1"}
	orphan.Name, orphan.OwnerReferences = "web-copy", nil
	mirror.Name, mirror.Labels[discoveryv1.LabelManagedBy] = "web-m", EndpointSliceMirroringControllerName
	b := newSliceBench(t, nil, service, slice, other, orphan, mirror)
	if _, err := b.reconcile(service); err != nil {
		t.Fatal(err)
	}
	if left := sliceNames(t, b.Client); !slices.Equal(left, []string{"web-6", "web-copy", "web-m"}) {
		t.Errorf("%v are left", left)
	}
	for _, want := range []string{endpointsHandedOverReason, endpointsKeptReason} {
		if told := lastEvent(b.events); !strings.Contains(told, want) {
			t.Errorf("told %q, want %s", told, want)
		}
	}
}

func sliceNames(t *testing.T, reader client.Reader) (names []string) {
	t.Helper()
	var list discoveryv1.EndpointSliceList
	if err := reader.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

// TestEndpointsGoOnlyIfTheServerKnowsNoService: hand-made ones would be lost for
// good because the cache is behind.
func TestEndpointsGoOnlyIfTheServerKnowsNoService(t *testing.T) {
	service := testService(intstr.FromInt32(80), func(s *corev1.Service) { s.Name, s.Spec.Selector = "db", nil })
	for _, there := range []bool{true, false} {
		live := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme)
		if there {
			live = live.WithObjects(service)
		}
		reconciler := &EndpointsReconciler{
			Client: failingCluster(nil, nil, handMade(80, "10.0.0.1")), Live: live.Build(), services: newSelectorIndex(),
			dirty: newDirtyPods(), triggers: newTriggerTimes(), ledgers: newEndpointsLedgers(), writes: newWriteTracker(),
		}
		if _, err := reconciler.Reconcile(t.Context(), requestFor(client.ObjectKeyFromObject(service))); err != nil {
			t.Fatal(err)
		}
		current, err := reconciler.current(t.Context(), client.ObjectKeyFromObject(service))
		if err != nil || (current != nil) != there {
			t.Errorf("with a Service %t: Endpoints are left: %t, %v", there, current != nil, err)
		}
	}
}

func TestEventsAreNoLongerThanTheServerTakes(t *testing.T) {
	recorder := events.NewFakeRecorder(10)
	for text, want := range map[string]int{strings.Repeat("a", longestNote): longestNote, strings.Repeat("a", 2000): longestNote, strings.Repeat("\u00e4", 1000): longestNote - 1} {
		legacyRecorder{recorder}.Eventf(nil, corev1.EventTypeWarning, "Why", "%s", text)
		told := strings.TrimPrefix(lastEvent(recorder), "Warning Why ")
		if len(told) != want || !utf8.ValidString(told) || len(text) > longestNote && !strings.HasSuffix(told, "...") {
			t.Errorf("%d bytes of %d are told, want %d: %q", len(told), len(text), want, told)
		}
	}
}

// TestWhatIsAboutToGoIsNotMirrored: the Endpoints that we made of pods have to be
// deleted, but those that somebody has edited since, or keeps, are mirrored.
func TestWhatIsAboutToGoIsNotMirrored(t *testing.T) {
	ours := managed(endpointsFieldManager, 5, `{"f:subsets":{}}`)
	theirs := managed("kubectl-edit", 5, `{"f:subsets":{}}`)
	for title, tc := range map[string]struct {
		writer *metav1.ManagedFieldsEntry
		keep   string
		want   int
	}{
		"ours":                 {&ours, "", 0},
		"ours, to be kept":     {&ours, "true", 1},
		"kept by another word": {&ours, "yes", 0},
		"edited since":         {&theirs, "", 1},
		"gone already":         {nil, "", 0},
	} {
		service := testService(intstr.FromInt32(80), func(s *corev1.Service) {
			s.Name, s.Spec.Selector, s.Annotations = "db", nil, map[string]string{KeepEndpointsAnnotation: tc.keep}
		})
		object := handMade(80, "10.0.0.1")
		object.Labels = map[string]string{endpointsManagedByLabel: EndpointsControllerName}
		live := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithReturnManagedFields()
		if tc.writer != nil {
			there := object.DeepCopy()
			tc.writer.Operation, tc.writer.APIVersion, tc.writer.FieldsType = metav1.ManagedFieldsOperationUpdate, "v1", "FieldsV1"
			there.ManagedFields = []metav1.ManagedFieldsEntry{*tc.writer}
			live = live.WithObjects(there)
		}
		reconciler := &EndpointSliceMirroringReconciler{
			Client: failingCluster(nil, nil, service, object), Live: live.Build(), owner: newSliceOwner(EndpointSliceMirroringControllerName),
			recorder: legacyRecorder{events.NewFakeRecorder(10)}, lag: newCacheLag(time.Now),
		}
		reconciler.Options.Default()
		if _, err := reconciler.Reconcile(t.Context(), requestFor(client.ObjectKeyFromObject(service))); err != nil {
			t.Errorf("%s: %v", title, err)
		}
		var slices discoveryv1.EndpointSliceList
		if err := reconciler.Client.List(t.Context(), &slices); err != nil || len(slices.Items) != tc.want {
			t.Errorf("%s: %d slices, %v, want %d", title, len(slices.Items), err, tc.want)
		}
	}
}

func TestFailedSlicesAreToldToTheUser(t *testing.T) {
	service := testService(intstr.FromInt32(80))
	b := newSliceBench(t, []*corev1.Pod{testPod("10.0.0.1")}, service)
	denied := fmt.Errorf("no quorum")
	b.fail("create", &denied)
	if _, err := b.reconcile(service); err == nil {
		t.Error("a failed write is no error")
	}
	if got := lastEvent(b.events); !strings.Contains(got, "FailedToUpdateEndpointSlices") || !strings.Contains(got, "no quorum") {
		t.Errorf("event %q", got)
	}
	denied = nil
	if _, err := b.reconcile(service); err != nil || lastEvent(b.events) != "" {
		t.Errorf("once it works again: %v, or an Event", err)
	}
}

func TestTruncationIsToldOnce(t *testing.T) {
	service := testService(intstr.FromInt32(80))
	var pods []*corev1.Pod
	for i := range 1001 {
		pod := testPod(fmt.Sprintf("10.0.%d.%d", i/200, 1+i%200))
		pod.Labels = map[string]string{"app": "web"}
		pods = append(pods, pod)
	}
	recorder := events.NewFakeRecorder(10)
	reconciler := &EndpointsReconciler{
		Client: failingCluster(nil, nil, service), services: servicesOf(service), pods: podsByLabelOnly(t, pods...),
		triggers: newTriggerTimes(), dirty: newDirtyPods(), ledgers: newEndpointsLedgers(), writes: newWriteTracker(), recorder: legacyRecorder{recorder},
	}
	var told []string
	for _, change := range []func(){func() {}, func() { service.Labels["team"] = "red" }} {
		change()
		if err := reconciler.Client.Update(t.Context(), service); err != nil {
			t.Fatal(err)
		}
		if _, err := reconciler.Reconcile(t.Context(), requestFor(client.ObjectKeyFromObject(service))); err != nil {
			t.Fatal(err)
		}
		told = append(told, lastEvent(recorder))
	}
	if !strings.Contains(told[0], "EndpointsTruncated") || told[1] != "" {
		t.Errorf("told %q, want it once", told)
	}
}

// delays is a queue that notes how long each request has to wait.
type delays struct {
	requestQueue
	noted []time.Duration
}

func (d *delays) Add(reconcile.Request)                             { d.noted = append(d.noted, 0) }
func (d *delays) AddAfter(_ reconcile.Request, after time.Duration) { d.noted = append(d.noted, after) }

func TestTheBatchPeriodDelaysPodsAlone(t *testing.T) {
	index, queue := newSelectorIndex(), &delays{}
	service := testService(intstr.FromInt32(80))
	pod := testPod("10.0.0.1")
	pod.Labels = map[string]string{"app": "web"}
	serviceEvents(index).Create(context.Background(), event.CreateEvent{Object: service}, queue)
	noted := []string{}
	pods := podEvents(index, time.Minute, func(_ types.NamespacedName, pod string) { noted = append(noted, pod) })
	pods.Create(context.Background(), event.CreateEvent{Object: pod}, queue)
	pods.Update(context.Background(), event.UpdateEvent{ObjectOld: pod, ObjectNew: testPod("10.0.0.1", func(p *corev1.Pod) { p.Labels = pod.Labels; unreadyPod(p) })}, queue)
	pods.Delete(context.Background(), event.DeleteEvent{Object: pod}, queue)
	if want := []time.Duration{0, time.Minute, time.Minute, time.Minute}; !slices.Equal(queue.noted, want) || len(noted) != 3 {
		t.Errorf("delays %v with %d pods noted, want %v with 3", queue.noted, len(noted), want)
	}
}

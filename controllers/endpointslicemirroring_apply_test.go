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
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// TestAMirrorLosesNothingByAWriteThatFails: an address moves to another slice, or
// to a new one, which cannot be written. Then it stays where it is. The other
// family is not held up.
func TestAMirrorLosesNothingByAWriteThatFails(t *testing.T) {
	service := testService(intstr.FromInt32(80), func(s *corev1.Service) { s.Name, s.Spec.Selector = "db", nil })
	two := func(second int32, addresses ...string) *corev1.Endpoints {
		endpoints := handMade(80, "10.0.0.1")
		endpoints.Subsets = append(endpoints.Subsets, handMade(second, addresses...).Subsets...)
		return endpoints
	}
	cases := map[string]struct {
		before, after        *corev1.Endpoints
		createErr, updateErr error
		want                 []string
	}{
		"an update": {
			before: two(90, "10.0.0.2", "fd00::1"), after: handMade(80, "10.0.0.1", "10.0.0.2"), updateErr: errors.New("no quorum"),
			want: []string{"IPv4 10.0.0.1 @ 80", "IPv4 10.0.0.2 @ 90"},
		},
		"an update, and what has nothing to do with it is done": {
			before: two(90, "10.0.0.3"), after: handMade(80, "10.0.0.1", "10.0.0.2"), updateErr: errors.New("no quorum"),
			want: []string{"IPv4 10.0.0.1 @ 80"},
		},
		"a creation": {
			before: handMade(80, "10.0.0.1", "10.0.0.2", "fd00::1"), after: two(90, "10.0.0.2"), createErr: errors.New("no quorum"),
			want: []string{"IPv4 10.0.0.1 10.0.0.2 @ 80"},
		},
	}
	for title, tc := range cases {
		t.Run(title, func(t *testing.T) {
			objects := []client.Object{service, tc.after}
			for i, slice := range planMirror(tc.before, nil, 1000).create {
				slice.Name, slice.UID = slice.GenerateName+string(rune('a'+i)), types.UID(rune('a'+i))
				objects = append(objects, slice)
			}
			reconciler := &EndpointSliceMirroringReconciler{
				Client: failingCluster(tc.createErr, tc.updateErr, objects...),
				owner:  newSliceOwner(EndpointSliceMirroringControllerName), recorder: legacyRecorder{events.NewFakeRecorder(10)},
				lag: newCacheLag(time.Now),
			}
			reconciler.Options.Default()
			if _, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(service)}); err == nil {
				t.Error("no error, so it would not be tried again")
			}
			var list discoveryv1.EndpointSliceList
			if err := reconciler.Client.List(t.Context(), &list); err != nil {
				t.Fatal(err)
			}
			var left []*discoveryv1.EndpointSlice
			for i := range list.Items {
				left = append(left, &list.Items[i])
			}
			if diff := cmp.Diff(tc.want, slices.Sorted(slices.Values(spellSlices(left)))); diff != "" {
				t.Errorf("slices (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnInvalidMirrorIsTold: and not tried again, unless something else failed too.
func TestAnInvalidMirrorIsTold(t *testing.T) {
	invalid := apierrors.NewInvalid(schema.GroupKind{Group: discoveryv1.GroupName, Kind: "EndpointSlice"}, "",
		field.ErrorList{field.Duplicate(field.NewPath("ports").Index(1).Child("name"), "")})
	for title, tc := range map[string]struct {
		err       error
		wantEvent string
		wantRetry bool
	}{
		"invalid":       {invalid, "FailedToUpdateEndpointSlices", false},
		"anything else": {errors.New("no quorum"), "", true},
	} {
		t.Run(title, func(t *testing.T) {
			service := testService(intstr.FromInt32(80), func(s *corev1.Service) { s.Name, s.Spec.Selector = "db", nil })
			recorder := events.NewFakeRecorder(10)
			reconciler := &EndpointSliceMirroringReconciler{
				Client: failingCluster(tc.err, nil, service, handMade(80, "10.0.0.1")), lag: newCacheLag(time.Now),
				owner: newSliceOwner(EndpointSliceMirroringControllerName), recorder: legacyRecorder{recorder},
			}
			reconciler.Options.Default()
			_, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(service)})
			if retry := !errors.Is(err, reconcile.TerminalError(nil)); err == nil || retry != tc.wantRetry {
				t.Errorf("error %v, tried again %t, want %t", err, retry, tc.wantRetry)
			}
			if event := lastEvent(recorder); (event == "") != (tc.wantEvent == "") || !strings.Contains(event, tc.wantEvent) {
				t.Errorf("event %q, want %q", event, tc.wantEvent)
			}
		})
	}
}

// TestAMirrorThatChangedIsReadAgain: that is no error to be logged.
func TestAMirrorThatChangedIsReadAgain(t *testing.T) {
	service := testService(intstr.FromInt32(80), func(s *corev1.Service) { s.Name, s.Spec.Selector = "db", nil })
	changed := apierrors.NewConflict(discoveryv1.Resource("endpointslices"), "db-a", nil)
	before := planMirror(handMade(80, "10.0.0.1"), nil, 1000).create[0]
	before.Name, before.UID = "db-a", "a"
	reconciler := &EndpointSliceMirroringReconciler{
		Client: failingCluster(nil, changed, service, handMade(80, "10.0.0.2"), before), lag: newCacheLag(time.Now),
		owner: newSliceOwner(EndpointSliceMirroringControllerName), recorder: legacyRecorder{events.NewFakeRecorder(10)},
	}
	reconciler.Options.Default()
	result, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(service)})
	if err != nil || result.RequeueAfter == 0 {
		t.Errorf("%+v, %v: want a wait and no error", result, err)
	}
}

// TestAMirrorDeletedBeforeItsAnswerIsNotWaitedFor: the watch may show its end
// before the answer to its creation comes.
func TestAMirrorDeletedBeforeItsAnswerIsNotWaitedFor(t *testing.T) {
	service := testService(intstr.FromInt32(80), func(s *corev1.Service) { s.Name, s.Spec.Selector = "db", nil })
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	reconciler := &EndpointSliceMirroringReconciler{
		lag: newCacheLag(time.Now), owner: newSliceOwner(EndpointSliceMirroringControllerName), recorder: legacyRecorder{events.NewFakeRecorder(10)},
	}
	watch, created := reconciler.owner.events(0, nil), 0
	reconciler.Client = interceptor.NewClient(failingCluster(nil, nil, service, handMade(80, "10.0.0.1")).(client.WithWatch), interceptor.Funcs{
		Create: func(ctx context.Context, inner client.WithWatch, object client.Object, options ...client.CreateOption) error {
			created++
			object.SetUID(types.UID(strconv.Itoa(created)))
			object.SetName("db-" + strconv.Itoa(created))
			if created > 1 {
				return inner.Create(ctx, object, options...)
			}
			watch.Create(ctx, event.CreateEvent{Object: object}, queue)
			watch.Delete(ctx, event.DeleteEvent{Object: object}, queue)
			return nil
		},
	})
	reconciler.Options.Default()
	for range 2 {
		result, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(service)})
		if err != nil || result.RequeueAfter > 0 {
			t.Errorf("%+v, %v: want no wait", result, err)
		}
	}
	if created != 2 {
		t.Errorf("%d mirrors created: want the deleted one to be made again", created)
	}
}

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
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// lastsLong has a conflict last until it is told, and checks that the waits before
// it double.
func lastsLong(t *testing.T, recorder *events.FakeRecorder, reconcile func() (ctrl.Result, error)) {
	t.Helper()
	for want := lagRetry; want <= lagLimit; want *= 2 {
		result, err := reconcile()
		if told := lastEvent(recorder); result.RequeueAfter != want || err != nil || told != "" {
			t.Fatalf("%+v, %v, told %q: want to wait for %v", result, err, told, want)
		}
	}
	for range 2 {
		if result, err := reconcile(); err == nil || result.RequeueAfter > 0 || !strings.Contains(lastEvent(recorder), "FailedTo") {
			t.Fatalf("%+v, %v: want a failure like others, and to tell it", result, err)
		}
	}
}

// TestAConflictOfSlicesIsNoNews: who has written a slice in between is read again,
// and the whole is planned again.
func TestAConflictOfSlicesIsNoNews(t *testing.T) {
	pods := []*corev1.Pod{testPod("10.0.0.1"), testPod("10.0.0.2")}
	for title, failure := range map[string]error{
		"changed": apierrors.NewConflict(discoveryv1.Resource("endpointslices"), "web-x", errors.New("the object has been modified")),
		"deleted": apierrors.NewNotFound(discoveryv1.Resource("endpointslices"), "web-x"),
	} {
		t.Run(title, func(t *testing.T) {
			b, service := steadyBench(t, pods...)
			b.fail("update", &failure)
			b.turn(service, pods[0])
			whole, some := plans(func() {
				lastsLong(t, b.events, func() (ctrl.Result, error) { return b.reconcile(service) })
			})
			if some != 1 || whole < 2 {
				t.Errorf("%v plans of pods and %v of the Service, want the first to be of pods and the others of the Service", some, whole)
			}
			failure = nil
			if _, err := b.reconcile(service); err != nil || len(b.conflicts.inRow) > 0 {
				t.Errorf("%v, and %d conflicts are remembered when it is over", err, len(b.conflicts.inRow))
			}
		})
	}
}

// TestAConflictHidesNoOtherFailure: there is something to be told.
func TestAConflictHidesNoOtherFailure(t *testing.T) {
	conflict := apierrors.NewConflict(discoveryv1.Resource("endpointslices"), "web-x", nil)
	for title, tc := range map[string]struct {
		errs []error
		want bool
	}{
		"nothing":                      {nil, false},
		"a conflict":                   {[]error{conflict}, true},
		"a conflict and something":     {[]error{conflict, errors.New("no quorum")}, false},
		"something and then conflicts": {[]error{errors.New("no quorum"), conflict, conflict}, false},
	} {
		if got := onlyConflicts(tc.errs); got != tc.want {
			t.Errorf("%s: only conflicts %t, want %t", title, got, tc.want)
		}
	}
}

// TestAConflictOfEndpointsIsNotTriedForGood: a cache may lag, but a webhook or a
// quota may say the same to each write.
func TestAConflictOfEndpointsIsNotTriedForGood(t *testing.T) {
	resource := corev1.Resource("endpoints")
	for title, failure := range map[string]error{
		"made":    apierrors.NewAlreadyExists(resource, "web"),
		"changed": apierrors.NewConflict(resource, "web", nil),
	} {
		t.Run(title, func(t *testing.T) {
			recorder, service := events.NewFakeRecorder(10), testService(intstr.FromInt32(80))
			r := &EndpointsReconciler{
				Client: failingCluster(failure, nil, service), services: servicesOf(service), pods: podsByLabelOnly(t), dirty: newDirtyPods(),
				triggers: newTriggerTimes(), ledgers: newEndpointsLedgers(), writes: newWriteTracker(), recorder: legacyRecorder{recorder},
			}
			reconcile := func() (ctrl.Result, error) {
				return r.Reconcile(t.Context(), requestFor(client.ObjectKeyFromObject(service)))
			}
			lastsLong(t, recorder, reconcile)
			r.Client = failingCluster(nil, nil, service)
			if result, err := reconcile(); err != nil || result.RequeueAfter > 0 || len(r.conflicts.inRow) > 0 {
				t.Errorf("%+v, %v, and %d conflicts are remembered when it is over", result, err, len(r.conflicts.inRow))
			}
		})
	}
}

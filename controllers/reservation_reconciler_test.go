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
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/placeholder"
)

func reserved(port, service string) *v1alpha1.PortReservation {
	return &v1alpha1.PortReservation{
		ObjectMeta: metav1.ObjectMeta{Name: port, UID: types.UID(port)},
		Spec:       v1alpha1.PortReservationSpec{ServiceRef: &v1alpha1.ServiceReference{Namespace: "team", Name: service}},
	}
}

// A try takes a Lease, a ClusterIP and a look past the cache, and what keeps the
// number from us may last until somebody starts the API server anew.
func TestWhatTheServerDoesNotGiveIsTriedLessAndLess(t *testing.T) {
	refuse := true
	r, _ := reservationsOf(t, reserved("30080", "web"))
	r.retries = workqueue.NewTypedItemExponentialFailureRateLimiter[allocator.Number](takenRetry, takenRetryMost)
	r.client = interceptor.NewClient(r.client.(client.WithWatch), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if _, service := object.(*corev1.Service); service && refuse {
				return apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), "x", field.ErrorList{
					field.Invalid(field.NewPath("spec", "ports").Index(0).Child("nodePort"), 30080, "provided port is already allocated"),
				})
			}
			return c.Create(ctx, object, options...)
		},
	})
	r.keeper = &placeholder.Keeper{Client: r.client, Live: r.client, Namespace: "system"}
	look := func() time.Duration {
		t.Helper()
		result, err := (&portReservationReconciler{r}).Reconcile(context.Background(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "30080"}})
		if err != nil {
			t.Fatal(err)
		}
		return result.RequeueAfter
	}
	var waits []time.Duration
	for range 9 {
		waits = append(waits, look())
	}
	if waits[0] != 5*time.Second || waits[1] != 10*time.Second || waits[8] != 10*time.Minute || !slices.IsSorted(waits) {
		t.Errorf("tried again after %v", waits)
	}
	refuse = false
	if wait := look(); wait != 0 {
		t.Errorf("held, and looked at again in %v", wait)
	}
	if err := r.keeper.Release(context.Background(), allocator.PortNumber(30080)); err != nil {
		t.Fatal(err)
	}
	if refuse = true; look() != takenRetry {
		t.Error("the next time begins with a long wait")
	}
}

// Anybody may label a Service of theirs.
func TestOnlyServicesOfTheManagerStandForReservedPorts(t *testing.T) {
	r, _ := reservationsOf(t, reserved("30081", "fake"))
	events := reservationEvents{
		client: r.client, namespace: "system", ports: true,
		list:   func() client.ObjectList { return &v1alpha1.PortReservationList{} },
		object: func() client.Object { return &v1alpha1.PortReservation{} },
	}
	for namespace, want := range map[string]string{"system": "30080", "team": "30081"} {
		service := placeholder.Ports(namespace, 30080)
		service.Name = "fake"
		queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		events.ofService().Create(context.Background(), event.CreateEvent{Object: service}, queue)
		if queue.Len() != 1 {
			t.Fatalf("in namespace %s: %d requests", namespace, queue.Len())
		}
		if got, _ := queue.Get(); got.Name != want {
			t.Errorf("in namespace %s it leads to %s, want %s", namespace, got.Name, want)
		}
		queue.ShutDown()
	}
}

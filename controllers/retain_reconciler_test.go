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

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

func newRetain(t *testing.T, most int, objects ...client.Object) (*retainReconciler, *eventLog) {
	t.Helper()
	c := reservationClient(t, objects...)
	log := &eventLog{}
	return &retainReconciler{client: c, recorder: log, budget: &retainBudget{client: c, most: most}}, log
}

func retain(t *testing.T, r *retainReconciler, service *corev1.Service) ctrl.Result {
	t.Helper()
	result, err := r.Reconcile(context.Background(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(service)})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func annotated(service *corev1.Service, value string) *corev1.Service {
	service.Annotations = map[string]string{v1alpha1.RetainAnnotation: value}
	return service
}

// reservedNames lists all reservations.
func reservedNames(t *testing.T, c client.Client) []string {
	t.Helper()
	var ports v1alpha1.PortReservationList
	var addresses v1alpha1.AddressReservationList
	for _, list := range []client.ObjectList{&ports, &addresses} {
		if err := c.List(context.Background(), list); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for i := range addresses.Items {
		names = append(names, addresses.Items[i].Name)
	}
	for i := range ports.Items {
		names = append(names, ports.Items[i].Name)
	}
	return slices.Sorted(slices.Values(names))
}

// leftBehind are reservations whose Service is gone.
func leftBehind(ports ...int32) []client.Object {
	var objects []client.Object
	for _, port := range ports {
		service := allocated(fmt.Sprintf("gone-%d", port), 1, "10.0.0.200", port)
		for _, object := range planRetain(retainWish{service: service, retain: v1alpha1.RetainForever}, nil, nil).create {
			if r, ok := object.(*v1alpha1.PortReservation); ok {
				r.Status.ReleasedAt = new(metav1.NewTime(reservationTime))
				objects = append(objects, r)
			}
		}
	}
	return objects
}

func TestWhatIsSaidOfServicesIsForgottenWithThem(t *testing.T) {
	r, log := newRetain(t, DefaultRetainLimit)
	for i := range 3 {
		service := annotated(allocated(fmt.Sprint("s", i), 1, "10.0.0.1", 30080), strings.Repeat("x", 250_000))
		if err := r.client.Create(context.Background(), service); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			retain(t, r, service)
		}
		if lines := log.taken(); len(lines) != 1 || len(lines[0]) > 300 || len(r.warned) != 1 {
			t.Errorf("%d Events, %d Services remembered: %.400q", len(lines), len(r.warned), lines)
		}
		if err := r.client.Delete(context.Background(), service); err != nil {
			t.Fatal(err)
		}
		retain(t, r, service)
		if len(r.warned) != 0 {
			t.Errorf("%d Services are remembered, and none exists", len(r.warned))
		}
	}
	mended := annotated(allocated("web", 1, "10.0.0.1", 30080), "nonsense")
	if err := r.client.Create(context.Background(), mended); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"nonsense", "24h", "nonsense"} {
		if err := r.client.Update(context.Background(), annotated(mended, value)); err != nil {
			t.Fatal(err)
		}
		retain(t, r, mended)
	}
	if lines := log.taken(); len(lines) != 2 {
		t.Errorf("a mistake that is made again is told again: %q", lines)
	}
}

func TestANamespaceKeepsSoManyNumbersOfServicesThatAreGone(t *testing.T) {
	web := func(value string) *corev1.Service { return annotated(allocated("web", 1, "10.0.0.1", 30080), value) }
	for name, tc := range map[string]struct {
		most   int
		label  string
		gone   []int32
		own    bool // the Service's own are among what is left behind
		value  string
		want   []string // beside those left behind
		events int
		retry  time.Duration
	}{
		"room for all":                            {most: 4, gone: []int32{30001, 30002}, value: "24h", want: []string{"10.0.0.1", "30080"}},
		"room for some reserves none":             {most: 3, gone: []int32{30001, 30002}, value: "24h", events: 1, retry: retainLimitRetry},
		"a Service with more numbers than all":    {most: 1, value: "24h", events: 1, retry: retainLimitRetry},
		"the namespace may keep more":             {most: 1, label: "4", gone: []int32{30001, 30002}, value: "24h", want: []string{"10.0.0.1", "30080"}},
		"the namespace may keep less":             {most: 64, label: "3", gone: []int32{30001, 30002}, value: "24h", events: 1, retry: retainLimitRetry},
		"nonsense of the namespace changes none":  {most: 4, label: "many", gone: []int32{30001, 30002}, value: "24h", want: []string{"10.0.0.1", "30080"}},
		"a negative number of the namespace, too": {most: 4, label: "-1", gone: []int32{30001, 30002}, value: "24h", want: []string{"10.0.0.1", "30080"}},
		"nothing is kept anywhere":                {most: 0, value: "24h", events: 1},
		"nothing is kept here":                    {most: 64, label: "0", value: "Retain", events: 1},
		"nothing is kept, nothing is wished":      {most: 0, value: "Delete"},
		"nothing is kept but here":                {most: 0, label: "2", value: "24h", want: []string{"10.0.0.1", "30080"}},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team"}}
			if tc.label != "" {
				namespace.Labels = map[string]string{v1alpha1.RetainLimitLabel: tc.label}
			}
			r, log := newRetain(t, tc.most, append(leftBehind(tc.gone...), namespace, web(tc.value))...)
			for range 2 {
				if result := retain(t, r, web(tc.value)); result.RequeueAfter != tc.retry {
					t.Errorf("looked at again in %v, want %v", result.RequeueAfter, tc.retry)
				}
			}
			want := tc.want
			for _, port := range tc.gone {
				want = append(want, fmt.Sprint(port))
			}
			if diff := cmp.Diff(slices.Sorted(slices.Values(want)), reservedNames(t, r.client)); diff != "" {
				t.Errorf("reserved (-want +got):\n%s", diff)
			}
			if lines := log.taken(); len(lines) != tc.events || tc.events > 0 && !strings.Contains(lines[0], v1alpha1.RetainLimitLabel) {
				t.Errorf("Events: %q", lines)
			}
		})
	}
}

// What a Service has left behind itself does not keep it from coming back.
func TestAServiceThatComesBackIsNotCountedTwice(t *testing.T) {
	gone := leftBehind(30001)
	r, log := newRetain(t, 2, append(gone, annotated(allocated("gone-30001", 1, "10.0.0.200", 30001), "Retain"))...)
	retain(t, r, allocated("gone-30001", 1, "", 0))
	if diff := cmp.Diff([]string{"10.0.0.200", "30001"}, reservedNames(t, r.client)); diff != "" || len(log.taken()) > 0 {
		t.Errorf("reserved (-want +got):\n%s", diff)
	}
}

// A namespace that has much at once, and loses it at once, keeps what it may.
func TestWhatIsReleasedOverTheLimitIsNotKept(t *testing.T) {
	r, log := reservationsOf(t, leftBehind(30001)...)
	r.budget.most = 2
	over := func(port int32, change ...func(*reservationFacts)) bool {
		t.Helper()
		facts := reservedPort(append([]func(*reservationFacts){
			func(f *reservationFacts) { f.Number, f.Object = allocator.PortNumber(port), fmt.Sprint(port) }, byAnnotation, retains("1h"), wasBound("web"),
		}, change...)...)
		over, err := r.overLimit(context.Background(), facts, facts.verdict())
		if err != nil {
			t.Fatal(err)
		}
		if over {
			r.reportOverLimit(facts)
		}
		return over
	}
	if over(30002) {
		t.Error("the second of two is not kept")
	}
	if over(30002) {
		t.Error("the second of two, looked at again before the cache knows, is not kept")
	}
	if !over(30003) {
		t.Error("a third of two is kept")
	}
	if lines := log.taken(); len(lines) != 1 || !strings.HasPrefix(lines[0], "web: RetainLimit: 30003 is not kept") || !strings.Contains(lines[0], v1alpha1.RetainLimitLabel) {
		t.Errorf("Events: %q", lines)
	}
	if over(30004, func(f *reservationFacts) { f.retained = false }) {
		t.Error("one made by hand is counted")
	}
	if over(30005, released(time.Minute)) {
		t.Error("one that has been kept so far is not kept any more")
	}
	if over(30002, serviceLives("web", time.Minute), heldBy(teamWeb)) || over(30006) {
		t.Error("one that is bound again makes no room")
	}
}

// A reservation that an administrator has given to another Service is not the
// annotation's any more, whatever its labels say.
func TestARetainedReservationThatIsMovedCountsAsMadeByHand(t *testing.T) {
	moved := leftBehind(30001)[0].(*v1alpha1.PortReservation)
	if !isRetained(moved) {
		t.Error("it does not count as retained as it is made")
	}
	moved.Spec.ServiceRef.Name = "web"
	if isRetained(moved) {
		t.Error("it counts as retained")
	}
	r, _ := newRetain(t, 64, moved, annotated(allocated("web", 1, "10.0.0.1", 30080), "24h"))
	retain(t, r, allocated("web", 1, "", 0)) // which lives without the port
	if diff := cmp.Diff([]string{"10.0.0.1", "30001", "30080"}, reservedNames(t, r.client)); diff != "" {
		t.Errorf("reserved (-want +got):\n%s", diff)
	}
}

func TestAnAddressThatServicesShareIsLeftToThem(t *testing.T) {
	share := func(name string, value string) *corev1.Service {
		s := annotated(allocated(name, 1, "", 0), value)
		s.Spec.Type, s.Spec.ClusterIP, s.Spec.ClusterIPs, s.Spec.Ports = corev1.ServiceTypeLoadBalancer, "", nil, nil
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.7"}}
		return s
	}
	a, b := share("a", "Retain"), share("b", "")
	r, log := newRetain(t, 64, a)
	retain(t, r, a)
	if names := reservedNames(t, r.client); len(names) != 1 || len(log.taken()) > 0 {
		t.Errorf("alone: %q", names)
	}
	var bound v1alpha1.AddressReservation
	if err := r.client.Get(context.Background(), types.NamespacedName{Name: "192.0.2.7"}, &bound); err != nil {
		t.Fatal(err)
	}
	bound.Status.ServiceUID = a.UID
	if err := r.client.Status().Update(context.Background(), &bound); err != nil {
		t.Fatal(err)
	}
	if err := r.client.Create(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	requests := r.toSharers(context.Background(), b)
	if len(requests) != 1 || requests[0].NamespacedName != (types.NamespacedName{Namespace: "team", Name: "a"}) {
		t.Errorf("a Service that comes to share leads to %v", requests)
	}
	retain(t, r, a)
	if names := reservedNames(t, r.client); len(names) != 0 {
		t.Errorf("with another: %q", names)
	}
	if lines := log.taken(); len(lines) != 1 || !strings.Contains(lines[0], "AddressShared: 192.0.2.7") {
		t.Errorf("Events: %q", lines)
	}
	if err := r.client.Delete(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	retain(t, r, a)
	if names := reservedNames(t, r.client); len(names) != 1 {
		t.Errorf("alone again: %q", names)
	}
}

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
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	endpointsliceutil "k8s.io/endpointslice/util"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// largeWorld is a Service with many pods, whose Endpoints a reconciler keeps.
type largeWorld struct {
	*EndpointsReconciler
	service *corev1.Service
	cache   *countingIndexer
	random  *rand.Rand
	writes  int
	// refuse is what the next writes are answered.
	refuse error
}

// countingIndexer counts how often all pods of a Service are asked for.
type countingIndexer struct {
	toolscache.Indexer
	lists int
}

func (i *countingIndexer) ByIndex(index, value string) ([]any, error) {
	i.lists++
	return i.Indexer.ByIndex(index, value)
}

func newLargeWorld(t *testing.T, pods int) *largeWorld {
	t.Helper()
	w := &largeWorld{random: rand.New(rand.NewPCG(7, 8)), service: testService(intstr.FromString("http"))}
	w.cache = &countingIndexer{Indexer: toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{podsByLabel: labelsOfPod})}
	write := func(do func() error) error {
		w.writes++
		if w.refuse != nil {
			return w.refuse
		}
		return do()
	}
	cluster := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(w.service).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, inner client.WithWatch, object client.Object, options ...client.CreateOption) error {
			return write(func() error { return inner.Create(ctx, object, options...) })
		},
		Update: func(ctx context.Context, inner client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			if _, endpoints := object.(*corev1.Endpoints); endpoints {
				return write(func() error { return inner.Update(ctx, object, options...) })
			}
			return inner.Update(ctx, object, options...)
		},
	}).Build()
	w.EndpointsReconciler = &EndpointsReconciler{
		Client: cluster, services: servicesOf(w.service), pods: podIndex{w.cache}, dirty: newDirtyPods(), triggers: newTriggerTimes(),
		ledgers: newEndpointsLedgers(), writes: newWriteTracker(), recorder: legacyRecorder{events.NewFakeRecorder(10000)},
	}
	for n := range pods {
		w.set(n, w.pod(n))
	}
	return w
}

// pod is ready most often, and rarely has another port.
func (w *largeWorld) pod(n int) *corev1.Pod {
	number := int32(8080)
	if w.random.IntN(10) == 0 {
		number = 9090
	}
	pod := testPod(fmt.Sprintf("10.0.%d.%d", n/250, n%250), podPort("http", number, corev1.ProtocolTCP))
	pod.Labels = map[string]string{"app": "web"}
	if w.random.IntN(5) == 0 {
		unreadyPod(pod)
	}
	return pod
}

// set puts a pod into the cache, nil for none, and notes it as the watch would.
func (w *largeWorld) set(n int, pod *corev1.Pod) {
	name := fmt.Sprintf("pod-10.0.%d.%d", n/250, n%250)
	if pod == nil {
		_ = w.cache.Delete(&corev1.Pod{ObjectMeta: testPod(strings.TrimPrefix(name, "pod-")).ObjectMeta})
	} else {
		_ = w.cache.Add(pod)
	}
	w.dirty.add(client.ObjectKeyFromObject(w.service), name)
}

// reconcile is later than large Endpoints rest.
func (w *largeWorld) reconcile(t *testing.T) (ctrl.Result, error) {
	t.Helper()
	time.Sleep(maxEndpointsAddresses * restPerAddress)
	return w.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(w.service)})
}

func inBubble(t *testing.T, title string, do func(t *testing.T)) {
	t.Helper()
	t.Run(title, func(t *testing.T) { synctest.Test(t, do) })
}

func (w *largeWorld) endpoints(t *testing.T) *corev1.Endpoints {
	t.Helper()
	var endpoints corev1.Endpoints
	if err := w.Client.Get(t.Context(), client.ObjectKeyFromObject(w.service), &endpoints); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return &endpoints
}

// want is what all pods at once give.
func (w *largeWorld) want() *corev1.Endpoints {
	var pods []*corev1.Pod
	for _, object := range w.cache.List() {
		pods = append(pods, object.(*corev1.Pod))
	}
	return desiredEndpoints(nil, w.service, pods)
}

// TestEndpointsOfManyPodsAreThoseOfTheWhole changes pods of a Service that has too
// many for its Endpoints, has others meddle and writes refused. The Endpoints are
// always those that all pods at once give, and are written only if they change.
func TestEndpointsOfManyPodsAreThoseOfTheWhole(t *testing.T) {
	for title, pods := range map[string]int{"that are too many": 1150, "that are not": 300} {
		inBubble(t, title, func(t *testing.T) {
			w := newLargeWorld(t, pods)
			refused := 0
			for step := range 150 {
				w.disturb(t)
				for range w.random.IntN(3) {
					n := w.random.IntN(pods)
					if w.random.IntN(4) == 0 {
						w.set(n, nil)
					} else {
						w.set(n, w.pod(n))
					}
				}
				if _, err := w.reconcile(t); w.refuse != nil {
					refused++
					w.refuse = nil
					_, err = w.reconcile(t)
					if err != nil {
						t.Fatal(step, err)
					}
				} else if err != nil {
					t.Fatal(step, err)
				}
				got, want := w.endpoints(t), w.want()
				if !apiequality.Semantic.DeepEqual(got.Subsets, want.Subsets) || !apiequality.Semantic.DeepEqual(got.Labels, want.Labels) ||
					got.Annotations[corev1.EndpointsOverCapacity] != want.Annotations[corev1.EndpointsOverCapacity] {
					t.Fatalf("step %d: the Endpoints are not those of all pods", step)
				}
				if w.writes = 0; step%3 == 0 {
					if _, err := w.reconcile(t); err != nil || w.writes > 0 {
						t.Fatalf("step %d: %d writes though nothing has changed, %v", step, w.writes, err)
					}
				}
			}
			if refused < 5 {
				t.Errorf("only %d writes were refused", refused)
			}
		})
	}
}

// disturb is what may go on beside the pods.
func (w *largeWorld) disturb(t *testing.T) {
	t.Helper()
	switch w.random.IntN(20) {
	case 0: // the Service offers another port, as its event says
		w.service.Spec.Ports[0].TargetPort = []intstr.IntOrString{intstr.FromString("http"), intstr.FromInt32(80)}[w.random.IntN(2)]
		w.service.Spec.PublishNotReadyAddresses = w.random.IntN(2) == 0
		if err := w.Client.Update(t.Context(), w.service); err != nil {
			t.Fatal(err)
		}
		w.dirty.whole(client.ObjectKeyFromObject(w.service))
	case 1: // and before its event comes
		w.service.Labels = map[string]string{"step": fmt.Sprint(w.random.Int())}
		if err := w.Client.Update(t.Context(), w.service); err != nil {
			t.Fatal(err)
		}
	case 2: // somebody edits the Endpoints
		w.meddle(t)
	case 3:
		w.refuse = apierrors.NewConflict(schema.GroupResource{Resource: "endpoints"}, "web", nil)
	case 5: // more pods than are looked at alone
		for n := range 290 {
			w.set(n, w.pod(n))
		}
	case 4:
		w.refuse = apierrors.NewInternalError(fmt.Errorf("no quorum"))
	}
}

func (w *largeWorld) meddle(t *testing.T) {
	t.Helper()
	endpoints := w.endpoints(t)
	if endpoints.UID = types.UID("theirs"); len(endpoints.Subsets) == 0 {
		return
	}
	if endpoints.Subsets[0].Ports[0].Port++; w.random.IntN(2) == 0 {
		delete(endpoints.Labels, endpointsManagedByLabel)
	}
	if err := w.Client.Update(t.Context(), endpoints); err != nil {
		t.Fatal(err)
	}
}

// TestAChangedPodOfManyIsLookedAtAlone, and what does not show is not written.
func TestAChangedPodOfManyIsLookedAtAlone(t *testing.T) {
	synctest.Test(t, aChangedPodOfManyIsLookedAtAlone)
}

func aChangedPodOfManyIsLookedAtAlone(t *testing.T) {
	w := newLargeWorld(t, 1150)
	if _, err := w.reconcile(t); err != nil || w.writes != 1 {
		t.Fatalf("%d writes, %v", w.writes, err)
	}
	shown := w.endpoints(t).Subsets[0].Addresses[0].TargetRef.Name
	for title, tc := range map[string]struct {
		pod    func() *corev1.Pod
		writes int
	}{
		"one that shows":         {func() *corev1.Pod { return w.named(shown) }, 1},
		"one that does not show": {func() *corev1.Pod { return w.hidden(t) }, 0},
	} {
		w.writes, w.cache.lists = 0, 0
		pod := tc.pod().DeepCopy()
		dyingPod(pod)
		_ = w.cache.Update(pod)
		w.dirty.add(client.ObjectKeyFromObject(w.service), pod.Name)
		_, err := w.reconcile(t)
		if err != nil || w.writes != tc.writes || w.cache.lists > 0 {
			t.Errorf("%s: %d writes, all pods listed %d times, %v", title, w.writes, w.cache.lists, err)
		}
		if _, desired, _, err := w.desired(w.service, w.endpoints(t), errand{}); err != nil || desired != nil {
			t.Errorf("%s: Endpoints of which nothing is known to have changed are looked into, %v", title, err)
		}
	}
}

func (w *largeWorld) named(name string) *corev1.Pod {
	object, _, _ := w.cache.GetByKey(w.service.Namespace + "/" + name)
	return object.(*corev1.Pod)
}

// hidden is a pod that the Endpoints have no room for.
func (w *largeWorld) hidden(t *testing.T) *corev1.Pod {
	t.Helper()
	var shown []string
	for _, subset := range w.endpoints(t).Subsets {
		for _, address := range slices.Concat(subset.Addresses, subset.NotReadyAddresses) {
			shown = append(shown, address.TargetRef.Name)
		}
	}
	for _, object := range w.cache.List() {
		if pod := object.(*corev1.Pod); !slices.Contains(shown, pod.Name) && pod.Status.Conditions[0].Status != corev1.ConditionTrue {
			return pod
		}
	}
	t.Fatal("all pods show")
	return nil
}

// TestLargeEndpointsRestAfterAWrite: what pods change meanwhile is one write, and
// nothing of it is forgotten. A Service that changes does not wait.
func TestLargeEndpointsRestAfterAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLargeWorld(t, 400)
		key := client.ObjectKeyFromObject(w.service)
		if _, err := w.reconcile(t); err != nil || w.writes != 1 {
			t.Fatalf("%d writes, %v", w.writes, err)
		}
		began := time.Now()
		var turned time.Time
		for i := range 3 {
			w.set(i, w.turned(i, time.Now().Add(-time.Duration(i)*time.Second)))
			turned = time.Now().Add(-time.Duration(i) * time.Second)
			result, err := w.Reconcile(t.Context(), requestFor(key))
			if left := 400*restPerAddress - time.Since(began); err != nil || result.RequeueAfter != left || w.writes != 1 {
				t.Errorf("after %v: %d writes, the next after %v, %v; want it after %v", time.Since(began), w.writes, result.RequeueAfter, err, left)
			}
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		if _, err := w.Reconcile(t.Context(), requestFor(key)); err != nil || w.writes != 2 {
			t.Errorf("%d writes, %v; want a second one for the three pods", w.writes, err)
		}
		got := w.endpoints(t)
		if !apiequality.Semantic.DeepEqual(got.Subsets, w.want().Subsets) {
			t.Error("the Endpoints are not those of all pods")
		}
		if trigger := got.Annotations[corev1.EndpointsLastChangeTriggerTime]; trigger != turned.UTC().Format(time.RFC3339Nano) {
			t.Errorf("triggered at %s, want %s, when the first pod turned", trigger, turned.UTC())
		}
		w.set(3, w.turned(3, time.Now()))
		w.dirty.whole(key)
		if _, err := w.Reconcile(t.Context(), requestFor(key)); err != nil || w.writes != 3 {
			t.Errorf("%d writes, %v; want one for the whole at once", w.writes, err)
		}
		w.service.Labels = map[string]string{"step": "next"}
		if err := w.Client.Update(t.Context(), w.service); err != nil {
			t.Fatal(err)
		}
		w.dirty.whole(key)
		if _, err := w.Reconcile(t.Context(), requestFor(key)); err != nil || w.writes != 4 {
			t.Errorf("%d writes, %v; want one for the Service at once", w.writes, err)
		}
	})
}

// turned is a pod that became the other of ready and not ready at that time.
func (w *largeWorld) turned(n int, at time.Time) *corev1.Pod {
	object, _, _ := w.cache.GetByKey(fmt.Sprintf("%s/pod-10.0.%d.%d", w.service.Namespace, n/250, n%250))
	pod := object.(*corev1.Pod).DeepCopy()
	ready := &pod.Status.Conditions[0]
	ready.LastTransitionTime = metav1.NewTime(at)
	if ready.Status = corev1.ConditionTrue; endpointsliceutil.IsPodReady(object.(*corev1.Pod)) {
		ready.Status = corev1.ConditionFalse
	}
	return pod
}

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
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	clientset "k8s.io/client-go/kubernetes/fake"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	corelisters "k8s.io/client-go/listers/core/v1"
	clienttesting "k8s.io/client-go/testing"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	endpointslicemetrics "k8s.io/endpointslice/metrics"
	"k8s.io/endpointslice/topologycache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// sliceBench is a reconciler between a cache that a test fills and a server that
// a test lets fail. What is written does not come back into the cache.
type sliceBench struct {
	*EndpointSliceReconciler
	server *clientset.Clientset
	events *events.FakeRecorder
	// got is called when the Service has been read.
	got func()
}

func newSliceBench(t *testing.T, pods []*corev1.Pod, cached ...client.Object) *sliceBench {
	t.Helper()
	b := &sliceBench{server: clientset.NewClientset(), events: events.NewFakeRecorder(100), got: func() {}}
	owner, index := newSliceOwner(EndpointSliceControllerName), newSelectorIndex()
	reader := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(cached...).
		WithIndex(&discoveryv1.EndpointSlice{}, owner.indexName(), owner.indexValues).
		WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, inner client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
				err := inner.Get(ctx, key, object, options...)
				b.got()
				return err
			},
		}).Build()
	for _, object := range cached {
		if service, ok := object.(*corev1.Service); ok {
			index.Set(client.ObjectKeyFromObject(service), service.Spec.Selector)
		}
	}
	podCache := toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{
		toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc, podsByLabel: labelsOfPod,
	})
	for _, pod := range pods {
		pod.Labels = map[string]string{"app": "web"}
		_ = podCache.Add(pod)
	}
	nodes := toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{})
	_ = nodes.Add(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}})
	topology := topologycache.NewTopologyCache()
	recorder := legacyRecorder{b.events}
	b.EndpointSliceReconciler = &EndpointSliceReconciler{
		Client: reader, owner: owner, services: index, pods: podIndex{podCache}, dirty: newDirtyPods(), triggers: newTriggerTimes(),
		topology: &zoneTopology{nodes: corelisters.NewNodeLister(nodes), cache: topology, services: index, ready: true},
		writer: &sliceWriter{client: b.server.DiscoveryV1(), tracker: owner.tracker, underWay: owner.underWay, topology: topology,
			metrics: endpointslicemetrics.NewCache(100), recorder: recorder},
		recorder: recorder, lag: newCacheLag(time.Now),
	}
	b.Options.Default()
	return b
}

// fail makes a verb fail until it is told nil.
func (b *sliceBench) fail(verb string, err *error) {
	b.server.PrependReactor(verb, "endpointslices", func(clienttesting.Action) (bool, runtime.Object, error) { return *err != nil, nil, *err })
}

func (b *sliceBench) reconcile(service client.Object) (ctrl.Result, error) {
	return b.Reconcile(context.Background(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(service)})
}

// sliceOf is what the reconciler would have made of pods.
func sliceOf(service *corev1.Service, name string, pods ...*corev1.Pod) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: service.Namespace, Name: name, UID: "uid-" + service.UID, Generation: 1,
			Labels: map[string]string{
				"team": "blue", discoveryv1.LabelServiceName: service.Name, discoveryv1.LabelManagedBy: EndpointSliceControllerName,
			},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(service, corev1.SchemeGroupVersion.WithKind("Service"))},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(80)), Protocol: new(corev1.ProtocolTCP)}},
	}
	for _, pod := range pods {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{pod.Status.PodIP}, NodeName: new("n"),
			Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		})
	}
	return slice
}

// writes are the server's verbs since the last time.
func (b *sliceBench) writes() (verbs []string) {
	for _, action := range b.server.Actions() {
		verbs = append(verbs, action.GetVerb())
	}
	b.server.ClearActions()
	return verbs
}

// TestWhatComesWhileARequestIsWorkedOnIsNotLost: a Service that changes after it
// was read is planned as a whole by the next request, and not only for a pod
// that changes as well.
func TestWhatComesWhileARequestIsWorkedOnIsNotLost(t *testing.T) {
	service := testService(intstr.FromInt32(80))
	b := newSliceBench(t, []*corev1.Pod{testPod("10.0.0.1")}, service)
	key := client.ObjectKeyFromObject(service)
	b.got = func() { b.dirty.whole(key) }
	if _, err := b.reconcile(service); err != nil {
		t.Fatal(err)
	}
	b.dirty.add(key, "pod-10.0.0.1")
	if taken := b.dirty.take(key); !taken.whole {
		t.Errorf("the next request is for %v, want the whole Service", taken)
	}
	b.dirty.whole(key)
	b.got = func() { b.dirty.add(key, "pod-10.0.0.2") }
	b.owner.tracker.DeleteService(key.Namespace, key.Name)
	b.server = clientset.NewClientset()
	b.writer.client = b.server.DiscoveryV1()
	if _, err := b.reconcile(service); err != nil {
		t.Fatal(err)
	}
	if taken := b.dirty.take(key); taken.whole || !slices.Equal(taken.pods, []string{"pod-10.0.0.2"}) {
		t.Errorf("the next request is for %v, want the pod that came", taken)
	}
}

// TestWhatWasNotDoneIsDoneAgain: a request that fails is for the whole next time,
// and one that waited for the cache is for what it was for.
func TestWhatWasNotDoneIsDoneAgain(t *testing.T) {
	pods := []*corev1.Pod{testPod("10.0.0.1"), testPod("10.0.0.2")}
	service := testService(intstr.FromInt32(80))
	service.UID = "1"
	key := client.ObjectKeyFromObject(service)
	for name, tc := range map[string]struct {
		spoil func(*sliceBench)
		want  []string
	}{
		"a write that failed": {func(b *sliceBench) { b.fail("update", new(errors.New("no quorum"))) }, nil},
		"a panic":             {func(b *sliceBench) { b.got = func() { panic("oh") } }, nil},
		"a cache that lags": {func(b *sliceBench) {
			newer := sliceOf(service, "web-x", pods[0])
			newer.Generation = 9
			b.owner.tracker.Update(newer)
		}, []string{"pod-10.0.0.2"}},
		"nothing": {func(*sliceBench) {}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newSliceBench(t, pods, service, sliceOf(service, "web-x", pods[0]))
			b.server = clientset.NewClientset(sliceOf(service, "web-x", pods[0]))
			b.writer.client = b.server.DiscoveryV1()
			b.dirty.take(key)
			b.dirty.add(key, "pod-10.0.0.2")
			tc.spoil(b)
			func() {
				defer func() { _ = recover() }()
				_, _ = b.reconcile(service)
			}()
			if name == "nothing" {
				b.dirty.add(key, "pod-10.0.0.3")
				tc.want = []string{"pod-10.0.0.3"}
			} else if tc.want == nil {
				b.dirty.add(key, "pod-10.0.0.3") // is not all there is to do
			}
			if got := b.dirty.take(key); got.whole != (tc.want == nil) || !slices.Equal(got.pods, tc.want) {
				t.Errorf("the next request is for %v, want %v", got, tc.want)
			}
		})
	}
}

// TestATerminatingNamespaceStillLosesEndpoints: no slice can be created there,
// but what goes is taken out of those there are.
func TestATerminatingNamespaceStillLosesEndpoints(t *testing.T) {
	gone, stays := testPod("10.0.0.1"), testPod("10.0.0.2", podPort("http", 8080, corev1.ProtocolTCP))
	other := testPod("10.0.0.3", podPort("http", 9090, corev1.ProtocolTCP))
	service := testService(intstr.FromString("http"))
	service.UID = "1"
	slice := sliceOf(service, "web-x", gone, stays)
	slice.Ports[0].Port = new(int32(8080))
	b := newSliceBench(t, []*corev1.Pod{stays, other}, service, slice)
	b.server = clientset.NewClientset(slice)
	b.writer.client = b.server.DiscoveryV1()
	b.fail("create", new(namespaceTerminating()))
	if _, err := b.reconcile(service); err != nil {
		t.Fatal(err)
	}
	if got := b.writes(); !slices.Equal(got, []string{"create", "update"}) {
		t.Errorf("writes %v, want an update in spite of the refused creation", got)
	}
}

// TestAServiceOnItsWayOutGetsNoMoreSlices: they would be deleted with it (row E19).
func TestAServiceOnItsWayOutGetsNoMoreSlices(t *testing.T) {
	going := testService(intstr.FromInt32(80), func(s *corev1.Service) {
		s.Finalizers, s.DeletionTimestamp = []string{"example.com/audit"}, &metav1.Time{Time: noon}
	})
	for want, service := range map[int]*corev1.Service{0: going, 1: testService(intstr.FromInt32(80))} {
		b := newSliceBench(t, []*corev1.Pod{testPod("10.0.0.1")}, service)
		if _, err := b.reconcile(service); err != nil || len(b.writes()) != want {
			t.Errorf("not %d writes, or %v", want, err)
		}
	}
}

// TestASliceHeldByAFinalizerIsNotWaitedFor (row E27).
func TestASliceHeldByAFinalizerIsNotWaitedFor(t *testing.T) {
	pod := testPod("10.0.0.1")
	service := testService(intstr.FromInt32(80))
	service.UID = "1"
	slice := sliceOf(service, "web-x", pod)
	slice.Finalizers, slice.DeletionTimestamp = []string{"example.com/audit"}, &metav1.Time{Time: noon}
	b := newSliceBench(t, []*corev1.Pod{pod}, service, slice)
	b.owner.tracker.Update(slice)
	result, err := b.reconcile(service)
	if err != nil || result.RequeueAfter > 0 || !slices.Equal(b.writes(), []string{"create"}) {
		t.Errorf("%+v, %v: want another slice at once", result, err)
	}
}

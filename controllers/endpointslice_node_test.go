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
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	corelisters "k8s.io/client-go/listers/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// afterQueue notes what is queued at once and what later.
type afterQueue struct {
	requestQueue
	now   []reconcile.Request
	later map[reconcile.Request]time.Duration
}

func (q *afterQueue) Add(request reconcile.Request) { q.now = append(q.now, request) }

func (q *afterQueue) AddAfter(request reconcile.Request, after time.Duration) {
	q.later[request] = after
}

// TestANodeThatGoesMayComeBack: its Services are planned again when it has not
// come back for as long as the pod garbage collector waits.
func TestANodeThatGoesMayComeBack(t *testing.T) {
	service := testService(intstr.FromInt32(80))
	pods := []client.Object{testPod("10.0.0.1"), testPod("10.0.0.2"), testPod("10.0.0.3")}
	for i, pod := range pods {
		pod.SetLabels(service.Spec.Selector)
		pod.(*corev1.Pod).Spec.NodeName = []string{"lost", "lost", "n"}[i]
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "lost"}}
	nodes := toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{})
	var options EndpointsOptions
	options.Default()
	topology := &zoneTopology{
		nodes: corelisters.NewNodeLister(nodes), services: servicesOf(service), quarantine: options.NodeQuarantine,
		reader:     fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(pods...).WithIndex(&corev1.Pod{}, podsByNode, nodeOfPod).Build(),
		overloaded: make(chan event.TypedGenericEvent[types.NamespacedName], 10), ready: true,
	}
	queue := &afterQueue{later: map[reconcile.Request]time.Duration{}}
	topology.events().Delete(t.Context(), event.DeleteEvent{Object: node}, queue)
	if len(queue.now) != 1 || queue.now[0] != nodesRequest {
		t.Errorf("queued at once: %v, want the zones' recount alone", queue.now)
	}
	if after := queue.later[nodeRequest("lost")]; len(queue.later) != 1 || after != 40*time.Second {
		t.Errorf("queued for later: %v, want the node in 40 s", queue.later)
	}
	reconciler := &EndpointSliceReconciler{topology: topology}
	queued := func() (services []types.NamespacedName) {
		if _, err := reconciler.Reconcile(context.Background(), nodeRequest("lost")); err != nil {
			t.Fatal(err)
		}
		for len(topology.overloaded) > 0 {
			services = append(services, (<-topology.overloaded).Object)
		}
		return services
	}
	if got := queued(); len(got) != 1 || got[0] != client.ObjectKeyFromObject(service) {
		t.Errorf("it is gone for good, and %v is planned again, want its Service, once", got)
	}
	_ = nodes.Add(node)
	if got := queued(); len(got) > 0 {
		t.Errorf("it has come back, and %v is planned again", got)
	}
}

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
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/endpointslice/topologycache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// nodesRequest is the request that stands for all nodes: however many of them
// change, the queue holds it once.
var nodesRequest = reconcile.Request{}

// nodeRequest stands for one node, which is in no namespace, as Services are.
func nodeRequest(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
}

// podsByNode is the cache index from a node to the pods on it.
const podsByNode = "switchyard.dev/endpoints-pod-node"

// zoneTopology follows the nodes: their zones, which every endpoint carries, and
// the CPU they offer per zone, by which topology-mode Auto (KEP-2433) spreads hints.
type zoneTopology struct {
	nodes      corelisters.NodeLister
	cache      *topologycache.TopologyCache
	reader     client.Reader
	services   *selectorIndex
	overloaded chan event.TypedGenericEvent[types.NamespacedName]
	// quarantine is EndpointsOptions.NodeQuarantine.
	quarantine time.Duration

	mu    sync.Mutex
	ready bool
}

func newZoneTopology(ctx context.Context, mgr ctrl.Manager, services *selectorIndex, quarantine time.Duration) (*zoneTopology, error) {
	nodes, err := nodeLister(ctx, mgr)
	if err != nil {
		return nil, err
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &corev1.Pod{}, podsByNode, nodeOfPod); err != nil {
		return nil, fmt.Errorf("indexing pods by node: %w", err)
	}
	return &zoneTopology{
		nodes:      nodes,
		cache:      topologycache.NewTopologyCache(),
		reader:     mgr.GetClient(),
		services:   services,
		overloaded: make(chan event.TypedGenericEvent[types.NamespacedName]),
		quarantine: quarantine,
	}, nil
}

// nodeLister reads the manager's own cache in the form the library asks for.
func nodeLister(ctx context.Context, mgr ctrl.Manager) (corelisters.NodeLister, error) {
	informer, err := mgr.GetCache().GetInformer(ctx, &corev1.Node{})
	if err != nil {
		return nil, fmt.Errorf("watching nodes: %w", err)
	}
	shared, ok := informer.(toolscache.SharedIndexInformer)
	if !ok {
		return nil, fmt.Errorf("watching nodes: the cache of type %T offers no indexer; the endpoint controllers need a cluster-wide cache", informer)
	}
	return corelisters.NewNodeLister(shared.GetIndexer()), nil
}

func nodeOfPod(object client.Object) []string {
	if node := object.(*corev1.Pod).Spec.NodeName; node != "" {
		return []string{node}
	}
	return nil
}

// node returns nil for one that is not known.
func (t *zoneTopology) node(name string) *corev1.Node {
	node, err := t.nodes.Get(name)
	if err != nil { // A lister knows no other error than that there is none.
		return nil
	}
	return node
}

// ensure makes the first request wait for the nodes. Without it a restart would
// take the hints of every topology-aware Service away and give them back.
func (t *zoneTopology) ensure(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ready {
		return nil
	}
	if err := t.setNodes(ctx); err != nil {
		return err
	}
	t.ready = true
	return nil
}

func (t *zoneTopology) setNodes(ctx context.Context) error {
	nodes, err := t.nodes.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	t.cache.SetNodes(ctrl.LoggerFrom(ctx), nodes)
	return nil
}

// refresh recounts the zones and queues the Services whose hints no longer fit.
func (t *zoneTopology) refresh(ctx context.Context) error {
	if err := t.setNodes(ctx); err != nil {
		return err
	}
	for _, name := range t.cache.GetOverloadedServices() {
		namespace, name, err := toolscache.SplitMetaNamespaceKey(name)
		if err != nil {
			return err
		}
		if err := t.send(ctx, types.NamespacedName{Namespace: namespace, Name: name}); err != nil {
			return err
		}
	}
	return nil
}

func (t *zoneTopology) send(ctx context.Context, service types.NamespacedName) error {
	select {
	case t.overloaded <- event.TypedGenericEvent[types.NamespacedName]{Object: service}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gone queues the Services with pods on a node that was deleted some time ago. If
// it is back, there is nothing to do.
func (t *zoneTopology) gone(ctx context.Context, node string) error {
	if t.node(node) != nil {
		return nil
	}
	services, err := t.servicesOn(ctx, node)
	for _, service := range services {
		if err := t.send(ctx, service); err != nil {
			return err
		}
	}
	return err
}

// forget drops the hints remembered for a Service.
func (t *zoneTopology) forget(service types.NamespacedName) {
	for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
		t.cache.RemoveHints(service.String(), family)
	}
}

// events queues the zones' recount, and the Services with pods on a node that has
// appeared (their endpoints were held back) or has moved to another zone. A node
// that goes is queued itself, for later: one that was deleted by mistake is made
// anew by its kubelet. In the latter two cases upstream leaves endpoints as they
// are until something else changes.
func (t *zoneTopology) events() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, queue requestQueue) {
			queue.Add(nodesRequest)
			if !e.IsInInitialList {
				t.queueServicesOn(ctx, e.Object.GetName(), queue)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, queue requestQueue) {
			before, after := e.ObjectOld.(*corev1.Node), e.ObjectNew.(*corev1.Node)
			if !sameZoneWeight(before, after) {
				queue.Add(nodesRequest)
			}
			if before.Labels[corev1.LabelTopologyZone] != after.Labels[corev1.LabelTopologyZone] {
				t.queueServicesOn(ctx, after.Name, queue)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue requestQueue) {
			queue.Add(nodesRequest)
			queue.AddAfter(nodeRequest(e.Object.GetName()), t.quarantine)
		},
	}
}

func (t *zoneTopology) queueServicesOn(ctx context.Context, node string, queue requestQueue) {
	services, err := t.servicesOn(ctx, node)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Looking for the Services of a node", "node", node)
	}
	for _, service := range services {
		queue.Add(requestFor(service))
	}
}

// servicesOn are those with pods on a node, each once.
func (t *zoneTopology) servicesOn(ctx context.Context, node string) ([]types.NamespacedName, error) {
	var pods corev1.PodList
	if err := t.reader.List(ctx, &pods, client.MatchingFields{podsByNode: node}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the pods of node %s: %w", node, err)
	}
	found := map[types.NamespacedName]struct{}{}
	for i := range pods.Items {
		for _, service := range t.services.Matches(pods.Items[i].Namespace, pods.Items[i].Labels) {
			found[service] = struct{}{}
		}
	}
	return slices.Collect(maps.Keys(found)), nil
}

// sameZoneWeight compares what the hints are computed from.
func sameZoneWeight(before, after *corev1.Node) bool {
	return nodeReady(before) == nodeReady(after) &&
		before.Status.Allocatable.Cpu().Equal(*after.Status.Allocatable.Cpu()) &&
		labels.Equals(before.Labels, after.Labels)
}

func nodeReady(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

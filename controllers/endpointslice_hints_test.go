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
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/endpointslice/topologycache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"switchyard.dev/switchyard/internal/endpointslices"
)

// zonedNodes are ready, node-a in zone-a and so on, with so much CPU each.
func zonedNodes(cpu ...string) (nodes []*corev1.Node) {
	for i, some := range cpu {
		letter := string(rune('a' + i))
		nodes = append(nodes, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "node-" + letter, Labels: map[string]string{corev1.LabelTopologyZone: "zone-" + letter}},
			Status: corev1.NodeStatus{
				Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(some)},
				Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
			},
		})
	}
	return nodes
}

// TestWhatHintsAreGivenBy: the annotations, of which the older one wins, and
// trafficDistribution where they do not (rows E33, E34). Only the latter names
// nodes.
func TestWhatHintsAreGivenBy(t *testing.T) {
	const (
		older, newer          = corev1.DeprecatedAnnotationTopologyAwareHints, corev1.AnnotationTopologyMode
		none, zones, andNodes = "no hints", "hints for zones", "hints for zones and nodes"
		sameNode              = corev1.ServiceTrafficDistributionPreferSameNode
	)
	for title, tc := range map[string]struct {
		annotations  map[string]string
		distribution string
		want         string
	}{
		"nothing":                                    {nil, "", none},
		"topology-mode":                              {map[string]string{newer: "Auto"}, "", zones},
		"topology-mode in small letters":             {map[string]string{newer: "auto"}, "", zones},
		"topology-mode of an unknown kind":           {map[string]string{newer: "PreferZone"}, "", none},
		"the older annotation":                       {map[string]string{older: "Auto"}, "", zones},
		"both, and the older one says no":            {map[string]string{older: "Disabled", newer: "Auto"}, "", none},
		"both, and the older one says yes":           {map[string]string{older: "auto", newer: "Disabled"}, "", zones},
		"both, and the older one is empty":           {map[string]string{older: "", newer: "Auto"}, "", none},
		"trafficDistribution":                        {nil, sameNode, andNodes},
		"trafficDistribution of an unknown kind":     {nil, "Elsewhere", none},
		"trafficDistribution and topology-mode":      {map[string]string{newer: "Auto"}, sameNode, zones},
		"trafficDistribution and a mode that is off": {map[string]string{older: "Disabled", newer: "Auto"}, sameNode, andNodes},
	} {
		t.Run(title, func(t *testing.T) {
			service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Annotations: tc.annotations}}
			if tc.distribution != "" {
				service.Spec.TrafficDistribution = &tc.distribution
			}
			slice := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4}
			for _, letter := range []string{"a", "b"} {
				slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
					Addresses: []string{"10.0.0.1"}, NodeName: new("node-" + letter), Zone: new("zone-" + letter),
					Conditions: discoveryv1.EndpointConditions{Ready: new(true)},
				})
			}
			w := &sliceWriter{topology: topologycache.NewTopologyCache(), recorder: legacyRecorder{events.NewFakeRecorder(10)}}
			w.topology.SetNodes(ctrl.LoggerFrom(t.Context()), zonedNodes("4", "4"))
			w.hint(t.Context(), service, &endpointslices.Plan{Family: slice.AddressType, Create: []*discoveryv1.EndpointSlice{slice}})
			for _, endpoint := range slice.Endpoints {
				got := none
				switch {
				case endpoint.Hints == nil:
				case len(endpoint.Hints.ForNodes) > 0:
					got = andNodes
				case len(endpoint.Hints.ForZones) > 0:
					got = zones
				}
				if got != tc.want {
					t.Errorf("%s of %s, want %s", got, *endpoint.NodeName, tc.want)
				}
			}
			// The metrics count by it.
			if distributes(service) != (tc.want == andNodes) {
				t.Errorf("counted as distributed by trafficDistribution: %t", distributes(service))
			}
		})
	}
}

// TestAServiceWhoseHintsDoNotFitAnyMoreIsPlannedAsAWhole: when CPU moves from one
// zone to another, no pod has changed, and a request for none would do nothing.
func TestAServiceWhoseHintsDoNotFitAnyMoreIsPlannedAsAWhole(t *testing.T) {
	b, service := steadyBench(t, testPod("10.0.0.1"))
	key := client.ObjectKeyFromObject(service)
	b.topology.cache.SetHints(key.String(), discoveryv1.AddressTypeIPv4, topologycache.EndpointZoneInfo{"zone-a": 4, "zone-b": 4})
	b.topology.cache.SetHints("shop/even", discoveryv1.AddressTypeIPv4, topologycache.EndpointZoneInfo{"zone-a": 2, "zone-b": 6})
	nodes := toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{})
	for _, node := range zonedNodes("1", "7") {
		_ = nodes.Add(node)
	}
	b.topology.nodes = corelisters.NewNodeLister(nodes)
	b.topology.overloaded = make(chan event.TypedGenericEvent[types.NamespacedName], 10)
	if _, err := b.Reconcile(t.Context(), nodesRequest); err != nil {
		t.Fatal(err)
	}
	if len(b.topology.overloaded) != 1 {
		t.Fatalf("%d Services are queued, want the one with hints for 4 endpoints in a zone of an eighth of the CPU", len(b.topology.overloaded))
	}
	queue := &takenAtOnce{dirty: b.dirty}
	queueGeneric(b.dirty).Generic(t.Context(), <-b.topology.overloaded, queue)
	if want := []string{key.String() + " whole"}; !slices.Equal(queue.taken, want) {
		t.Errorf("requests for %q, want %q", queue.taken, want)
	}
}

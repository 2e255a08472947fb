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
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// diagnosisOf is a reconciler whose caches hold these objects.
func diagnosisOf(t testing.TB, all ...client.Object) *DiagnosisReconciler {
	t.Helper()
	indexer := func(extra toolscache.Indexers) toolscache.Indexer {
		extra[toolscache.NamespaceIndex] = toolscache.MetaNamespaceIndexFunc
		return toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, extra)
	}
	r := &DiagnosisReconciler{Now: func() time.Time { return judgedAt }, services: newSelectorIndex(), writes: rate.NewLimiter(rate.Inf, 1), caches: diagnosisCaches{
		services: indexer(toolscache.Indexers{}), nodes: indexer(toolscache.Indexers{}), policies: indexer(toolscache.Indexers{}),
		slices: indexer(toolscache.Indexers{slicesByService: serviceKeyOfSlice}), pods: podIndex{indexer(toolscache.Indexers{podsByLabel: labelsOfPod})},
	}}
	r.numbers = newNumberAudit(DiagnosisOptions{}, nil)
	close(r.numbers.ready)
	for _, object := range all {
		into := r.caches.services
		switch object := object.(type) {
		case *corev1.Service:
			r.services.Set(client.ObjectKeyFromObject(object), object.Spec.Selector)
		case *corev1.Pod:
			into = r.caches.pods.indexer
		case *corev1.Node:
			into = r.caches.nodes
		case *discoveryv1.EndpointSlice:
			into = r.caches.slices
		case *networkingv1.NetworkPolicy:
			into = r.caches.policies
		}
		if err := into.Add(object); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// notedQueue keeps what was queued, at once or after the pace.
type notedQueue struct {
	requestQueue
	now, soon []string
}

func (q *notedQueue) Add(request reconcile.Request) { q.now = append(q.now, request.String()) }
func (q *notedQueue) AddAfter(request reconcile.Request, after time.Duration) {
	if after != diagnosisPace {
		panic(fmt.Sprint("queued after ", after))
	}
	q.soon = append(q.soon, request.String())
}

func nodeOf(name string, ready corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}}}
}

func diagnosedPod(namespace, name, app, node string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": app}}, Spec: corev1.PodSpec{NodeName: node}}
}

func selecting(namespace, name string, changes ...func(*corev1.ServiceSpec)) *corev1.Service {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": name}}}
	for _, change := range changes {
		change(&service.Spec)
	}
	return service
}

// An event costs the Services that it can concern, and no others.
func TestWhichServicesAnEventIsAbout(t *testing.T) {
	local := func(spec *corev1.ServiceSpec) { spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal }
	r := diagnosisOf(t, selecting("shop", "web"), selecting("shop", "db"), selecting("shop", "edge", local), selecting("other", "web"),
		diagnosedPod("shop", "web-1", "web", "node-a"), diagnosedPod("shop", "db-1", "db", "node-b"), diagnosedPod("other", "web-1", "web", "node-b"))
	labelled := nodeOf("node-a", corev1.ConditionTrue)
	labelled.Labels = map[string]string{corev1.LabelNodeExcludeBalancers: ""}
	heartbeat := nodeOf("node-a", corev1.ConditionTrue)
	heartbeat.Status.Conditions[0].LastHeartbeatTime = metav1.NewTime(judgedAt)
	policy := func(generation int64) *networkingv1.NetworkPolicy {
		return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "other", Name: "deny", Generation: generation}}
	}
	slice := func(service string) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "s", Labels: map[string]string{discoveryv1.LabelServiceName: service}}}
	}
	for name, tc := range map[string]struct {
		handler       handler.EventHandler
		before, after client.Object // an update, or an arrival or departure
		atStart       bool
		now, soon     []string
	}{
		"a node goes":                   {handler: r.nodeEvents(), before: nodeOf("node-a", ""), soon: []string{"shop/edge", "shop/web"}},
		"a node comes":                  {handler: r.nodeEvents(), after: nodeOf("node-b", ""), soon: []string{"other/web", "shop/db", "shop/edge"}},
		"a node there was":              {handler: r.nodeEvents(), after: nodeOf("node-b", ""), atStart: true},
		"a node stops reporting":        {handler: r.nodeEvents(), before: nodeOf("node-a", "True"), after: nodeOf("node-a", "Unknown"), soon: []string{"shop/edge", "shop/web"}},
		"a node is excluded":            {handler: r.nodeEvents(), before: nodeOf("node-a", "True"), after: labelled, soon: []string{"shop/edge", "shop/web"}},
		"a node is as it was":           {handler: r.nodeEvents(), before: nodeOf("node-a", "True"), after: heartbeat},
		"a policy comes":                {handler: r.policyEvents(), after: policy(1), soon: []string{"other/web"}},
		"a policy there was":            {handler: r.policyEvents(), after: policy(1), atStart: true},
		"a policy changes":              {handler: r.policyEvents(), before: policy(1), after: policy(2), soon: []string{"other/web"}},
		"a policy is labelled":          {handler: r.policyEvents(), before: policy(1), after: policy(1)},
		"a policy goes":                 {handler: r.policyEvents(), before: policy(1), soon: []string{"other/web"}},
		"a slice is taken away":         {handler: r.sliceEvents(), before: slice("web"), after: slice("db"), soon: []string{"shop/db", "shop/web"}},
		"a slice of nothing":            {handler: r.sliceEvents(), after: slice("")},
		"a slice there was":             {handler: r.sliceEvents(), after: slice("web"), atStart: true},
		"a slice goes":                  {handler: r.sliceEvents(), before: slice("web"), soon: []string{"shop/web"}},
		"a Service there was":           {handler: r.serviceEvents(), after: selecting("shop", "web"), atStart: true, now: []string{"shop/web"}},
		"a Service comes":               {handler: r.serviceEvents(), after: selecting("shop", "web"), soon: []string{"shop/web"}},
		"a Service changes":             {handler: r.serviceEvents(), before: selecting("shop", "web"), after: selecting("shop", "web"), soon: []string{"shop/web"}},
		"a Service goes, with its pods": {handler: r.serviceEvents(), before: selecting("gone", "web"), now: []string{"gone/web"}},
	} {
		t.Run(name, func(t *testing.T) {
			queue := &notedQueue{}
			switch ctx := context.Background(); {
			case tc.before == nil:
				tc.handler.Create(ctx, event.CreateEvent{Object: tc.after, IsInInitialList: tc.atStart}, queue)
			case tc.after == nil:
				tc.handler.Delete(ctx, event.DeleteEvent{Object: tc.before}, queue)
			default:
				tc.handler.Update(ctx, event.UpdateEvent{ObjectOld: tc.before, ObjectNew: tc.after}, queue)
			}
			slices.Sort(queue.soon)
			if diff := cmp.Diff([][]string{tc.now, tc.soon}, [][]string{queue.now, slices.Compact(queue.soon)}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Which nodes are looked at is few, but never none where there are some: that
// would stand for nodes that could not be seen.
func TestNodesOfAnExamination(t *testing.T) {
	local := func(spec *corev1.ServiceSpec) {
		spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyLocal)
	}
	r := diagnosisOf(t, nodeOf("node-a", ""), nodeOf("node-b", ""))
	on := func(nodes ...string) (pods []*corev1.Pod) {
		for i, node := range nodes {
			pods = append(pods, diagnosedPod("shop", fmt.Sprint("web-", i), "web", node))
		}
		return pods
	}
	for name, tc := range map[string]struct {
		service *corev1.Service
		pods    []*corev1.Pod
		want    []string
	}{
		"those of pods":       {selecting("shop", "web"), on("node-a", "node-a", "node-lost", ""), []string{"node-a"}},
		"all, if none is":     {selecting("shop", "web"), on("node-lost"), []string{"node-a", "node-b"}},
		"all, as it is Local": {selecting("shop", "web", local), on("node-a"), []string{"node-a", "node-b"}},
		"none for no pods":    {selecting("shop", "web"), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, node := range r.caches.nodesFor(tc.service, tc.pods) {
				got = append(got, node.Name)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// An ExternalName is judged by whether the Service that it stands for exists, and
// not by a name that is none of this cluster.
func TestTargetsOfExternalNames(t *testing.T) {
	r := diagnosisOf(t, selecting("other", "db"), selecting("other", "dbs"))
	r.Options.ClusterDomain = "example.org"
	for target, want := range map[string]string{
		"db.other.svc.example.org":      "True Allocated",
		"DB.other.svc.Example.org.":     "True Allocated",
		"db-0.db.other.svc.example.org": "True Allocated",
		"dp.other.svc.example.org":      "False ExternalNameNotFound",
		"dp.other.svc.cluster.local":    "True Allocated",
		"www.example.com":               "True Allocated",
	} {
		service := selecting("shop", "web", func(spec *corev1.ServiceSpec) { spec.Type, spec.ExternalName = corev1.ServiceTypeExternalName, target })
		facts, err := r.facts(context.Background(), service, &diagnosisMemory{})
		if err != nil {
			t.Fatal(err)
		}
		report := diagnosis.Examine(facts)
		found := conditionOf(diagnosis.Conditions(report), diagnosis.AddressAllocated)
		if got := string(found.Status) + " " + found.Reason; got != want || strings.Contains(found.Message, "dbs") {
			t.Errorf("%s is %s (%s), want %s", target, got, found.Message, want)
		}
		if again := nextLook(facts, report); (again > 0) != strings.Contains(strings.ToLower(target), ".svc.example.org") {
			t.Errorf("%s is looked at again after %s", target, again)
		}
	}
}

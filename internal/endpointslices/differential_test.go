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

package endpointslices

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/fake"
	corelisters "k8s.io/client-go/listers/core/v1"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/endpointslice"
	endpointsliceutil "k8s.io/endpointslice/util"
)

// library is k8s.io/endpointslice with a client that keeps what it writes.
type library struct {
	*endpointslice.Reconciler
	create, update []*discoveryv1.EndpointSlice
	// names are those that it deletes.
	names []string
	// steps are all of these in order.
	steps []step
}

func newLibrary(nodes map[string]*corev1.Node, maxEndpoints int32) *library {
	l := &library{}
	client := fake.NewClientset()
	client.PrependReactor("*", "endpointslices", func(action clienttesting.Action) (bool, runtime.Object, error) {
		switch action := action.(type) {
		case clienttesting.UpdateActionImpl:
			slice := action.Object.(*discoveryv1.EndpointSlice)
			l.update, l.steps = append(l.update, slice), append(l.steps, step{write: slice})
			return true, action.Object, nil
		case clienttesting.CreateActionImpl:
			slice := action.Object.(*discoveryv1.EndpointSlice)
			l.create, l.steps = append(l.create, slice), append(l.steps, step{write: slice})
			return true, action.Object, nil
		case clienttesting.DeleteActionImpl:
			l.names, l.steps = append(l.names, action.Name), append(l.steps, step{remove: action.Name})
		}
		return true, nil, nil
	})
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	for _, node := range nodes {
		_ = indexer.Add(node)
	}
	l.Reconciler = endpointslice.NewReconciler(client, corelisters.NewNodeLister(indexer), maxEndpoints,
		endpointsliceutil.NewEndpointSliceTracker(), nil, record.NewFakeRecorder(1000), managedBy)
	return l
}

// writes are what the library does, in the form of ours.
func (l *library) writes(in Input) Plan {
	l.create, l.update, l.names, l.steps = nil, nil, nil, nil
	existing := make([]*discoveryv1.EndpointSlice, len(in.Existing))
	for i, slice := range in.Existing {
		existing[i] = slice.DeepCopy()
	}
	// Pods without a node are an error, after all the others were written.
	_ = l.Reconcile(logr.Discard(), in.Service, in.Pods, existing, time.Time{})
	plan := Plan{Create: l.create, Update: l.update}
	for _, slice := range in.Existing {
		if slices.Contains(l.names, slice.Name) {
			plan.Delete = append(plan.Delete, slice)
		}
	}
	return plan
}

func joined(plans []Plan) Plan {
	var all Plan
	for _, p := range plans {
		all.Create, all.Update, all.Delete = append(all.Create, p.Create...), append(all.Update, p.Update...), append(all.Delete, p.Delete...)
	}
	return all
}

// after is what there is when a plan has been written.
func after(existing []*discoveryv1.EndpointSlice, p Plan, name func() string) []*discoveryv1.EndpointSlice {
	now := map[string]*discoveryv1.EndpointSlice{}
	for _, slice := range existing {
		now[slice.Name] = slice
	}
	for _, slice := range p.Delete {
		delete(now, slice.Name)
	}
	for _, slice := range p.Update {
		now[slice.Name] = slice
	}
	for _, slice := range p.Create {
		created := slice.DeepCopy()
		created.Name = name()
		created.UID = types.UID(created.Name)
		now[created.Name] = created
	}
	var all []*discoveryv1.EndpointSlice
	for _, key := range slices.Sorted(maps.Keys(now)) {
		all = append(all, now[key])
	}
	return all
}

// content is what clients of the slices see: for each family and list of ports
// the endpoints, and how many slices there are with which labels and owners.
func content(all []*discoveryv1.EndpointSlice) map[string][]string {
	seen := map[string][]string{}
	for _, slice := range all {
		key := fmt.Sprintf("%s %q", slice.AddressType, keyOf(slice.Ports))
		seen[key] = append(seen[key], fmt.Sprintf("slice of %s with labels %v", slice.OwnerReferences[0].UID, slice.Labels))
		for i := range slice.Endpoints {
			e := &slice.Endpoints[i]
			of := *e.TargetRef
			of.ResourceVersion = "" // It says nothing.
			seen[key] = append(seen[key], fmt.Sprintf("%v ready %v serving %v terminating %v node %s zone %s of %v", identityOf(e),
				*e.Conditions.Ready, *e.Conditions.Serving, *e.Conditions.Terminating, text(e.NodeName), text(e.Zone), of))
		}
	}
	for _, lines := range seen {
		slices.Sort(lines)
	}
	return seen
}

func text(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

func counts(p Plan) string {
	return fmt.Sprintf("%d created, %d updated, %d deleted", len(p.Create), len(p.Update), len(p.Delete))
}

// TestPlansAreTheLibrarys lets Services live for a while: at each step some pods
// change, and ours and the library plan from the same slices. What clients see
// afterwards is the same, with as many writes; and where Increment plans for
// the changed pods alone, again the same with no more writes.
func TestPlansAreTheLibrarys(t *testing.T) {
	steps, increments := 0, 0
	for seed := range uint64(60) {
		w := newWorld(seed)
		var existing []*discoveryv1.EndpointSlice
		sliceNumber := 0
		name := func() string { sliceNumber++; return fmt.Sprintf("web-%03d", sliceNumber) }
		upstream := newLibrary(w.nodes, int32(w.max))
		for range 40 {
			whole := w.change()
			// An empty slice of an earlier Service is kept by the library, until the garbage
			// collector takes it: TestAPlaceholderOfAnEarlierServiceIsMadeAgain.
			existing = slices.DeleteFunc(existing, func(slice *discoveryv1.EndpointSlice) bool {
				return len(slice.Endpoints) == 0 && !owned(slice, w.service)
			})
			in := w.input(existing)
			before := copies(in)
			ours, theirs := joined(Plans(in)), upstream.writes(in)
			if diff := cmp.Diff(before, copies(in)); diff != "" {
				t.Fatalf("seed %d: planning has changed what it was given: %s", seed, diff)
			}
			now := after(existing, ours, name)
			if diff := cmp.Diff(content(after(existing, theirs, name)), content(now)); diff != "" {
				t.Fatalf("seed %d, service %+v: (-library +ours):\n%s", seed, w.service.Spec, diff)
			}
			if counts(ours) != counts(theirs) {
				t.Fatalf("seed %d: ours: %s; the library: %s", seed, counts(ours), counts(theirs))
			}
			if again := joined(Plans(w.input(now))); counts(again) != counts(Plan{}) {
				t.Fatalf("seed %d: planned again, with nothing changed: %s", seed, counts(again))
			}
			if !whole {
				if plans, ok := Increment(in, w.changes()); ok {
					increments++
					few := joined(plans)
					if diff := cmp.Diff(content(now), content(after(existing, few, name))); diff != "" {
						t.Fatalf("seed %d: incrementally (-whole +increment):\n%s", seed, diff)
					}
					if len(few.Update) > len(ours.Update) || len(few.Create)+len(few.Delete) > 0 {
						t.Fatalf("seed %d: incrementally %s; as a whole %s", seed, counts(few), counts(ours))
					}
				}
			}
			existing = w.touch(now)
			steps++
		}
	}
	t.Logf("%d steps, %d of them also incrementally", steps, increments)
	if increments < steps/4 {
		t.Errorf("only %d of %d steps could be made incrementally", increments, steps)
	}
}

func copies(in Input) (all []runtime.Object) {
	for _, slice := range in.Existing {
		all = append(all, slice.DeepCopy())
	}
	for _, pod := range in.Pods {
		all = append(all, pod.DeepCopy())
	}
	return append(all, in.Service.DeepCopy())
}

// world is a Service, its pods and nodes, which change at random.
type world struct {
	*rand.Rand
	service *corev1.Service
	pods    map[string]*corev1.Pod
	nodes   map[string]*corev1.Node
	max     int
	next    int
	touched map[string]bool
}

const managedBy = "endpointslice-controller.k8s.io"

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 7)), pods: map[string]*corev1.Pod{}, nodes: map[string]*corev1.Node{}}
	w.max = []int{1, 2, 3, 5, 100}[w.IntN(5)]
	for i := range 4 {
		node := &corev1.Node{}
		node.Name = fmt.Sprintf("node-%d", i)
		if i > 0 {
			node.Labels = map[string]string{corev1.LabelTopologyZone: fmt.Sprintf("zone-%d", i%2)}
		}
		w.nodes[node.Name] = node
	}
	w.service = &corev1.Service{}
	w.service.Namespace, w.service.Name, w.service.UID = "shop", "web", "1"
	w.changeService()
	return w
}

func (w *world) one(choices ...string) string { return choices[w.IntN(len(choices))] }

func (w *world) changeService() {
	s := w.service
	headless := s.Spec.ClusterIP == corev1.ClusterIPNone
	s.Spec.ClusterIP = w.one("10.0.0.9", "10.0.0.9", corev1.ClusterIPNone)
	s.Spec.IPFamilies = [][]corev1.IPFamily{
		{corev1.IPv4Protocol}, {corev1.IPv4Protocol, corev1.IPv6Protocol}, {corev1.IPv6Protocol}, {corev1.IPv6Protocol, corev1.IPv4Protocol}, nil,
	}[w.IntN(5)]
	s.Spec.PublishNotReadyAddresses = w.IntN(6) == 0
	s.Labels = map[string]string{"app": w.one("a", "b"), corev1.IsHeadlessService: "mine"}
	s.Spec.Ports = nil
	for range w.IntN(4) {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{
			Name: w.one("", "http", "dns"), Protocol: corev1.Protocol(w.one("TCP", "UDP")), Port: 80, TargetPort: w.targetPort(),
		})
	}
	if len(s.Spec.Ports) == 0 && s.Spec.ClusterIP != corev1.ClusterIPNone {
		s.Spec.Ports = []corev1.ServicePort{{Protocol: corev1.ProtocolTCP, Port: 80, TargetPort: w.targetPort()}}
	}
	// Made again under the same name. What turns headless otherwise, by way of
	// ExternalName, keeps slices without the label where the library plans.
	if w.IntN(10) == 0 || headless != (s.Spec.ClusterIP == corev1.ClusterIPNone) {
		s.UID = types.UID(fmt.Sprint(w.IntN(1000)))
	}
}

// change touches a few pods, or, returning true, more than pods.
func (w *world) change() (whole bool) {
	w.touched = map[string]bool{}
	if w.IntN(12) == 0 {
		w.changeService()
		whole = true
	}
	for range 1 + w.IntN(3) {
		switch names := slices.Sorted(maps.Keys(w.pods)); {
		case len(names) == 0 || w.IntN(3) == 0:
			pod := w.newPod()
			w.pods[pod.Name], w.touched[pod.Name] = pod, true
		case w.IntN(4) == 0:
			name := names[w.IntN(len(names))]
			delete(w.pods, name)
			w.touched[name] = true
		default:
			name := names[w.IntN(len(names))]
			pod := w.pods[name].DeepCopy()
			w.changePod(pod)
			w.pods[name], w.touched[name] = pod, true
		}
	}
	return whole
}

func (w *world) changes() (changes []Change) {
	for _, name := range slices.Sorted(maps.Keys(w.touched)) {
		changes = append(changes, Change{Name: name, Pod: w.pods[name]})
	}
	return changes
}

func (w *world) input(existing []*discoveryv1.EndpointSlice) Input {
	in := Input{
		Service: w.service, Existing: existing, ManagedBy: managedBy, MaxEndpoints: w.max,
		Node: func(name string) *corev1.Node { return w.nodes[name] },
	}
	for _, name := range slices.Sorted(maps.Keys(w.pods)) {
		in.Pods = append(in.Pods, w.pods[name])
	}
	return in
}

func TestARecycledSliceIsTheOneThatWasRead(t *testing.T) {
	w := newWorld(1)
	w.service.Spec.ClusterIP, w.service.Spec.IPFamilies, w.service.Spec.Ports = "10.0.0.9", []corev1.IPFamily{corev1.IPv4Protocol}, nil
	slice := newSlice(w.service, labelsFor(w.service, managedBy), discoveryv1.AddressTypeIPv4, nil)
	slice.Name, slice.UID, slice.ResourceVersion = "web-x", "u", "7"
	slice.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}}}
	plans := Plans(w.input([]*discoveryv1.EndpointSlice{slice}))
	if got := joined(plans); len(got.Update) != 1 || got.Update[0].ResourceVersion != "7" || len(got.Create)+len(got.Delete) > 0 {
		t.Errorf("%s: %+v", counts(got), got.Update)
	}
}

// TestAChangedPortLeavesEverySliceItsEndpoints: while the slices are written one
// by one, no endpoint is in none of them.
func TestAChangedPortLeavesEverySliceItsEndpoints(t *testing.T) {
	w := newWorld(1)
	w.max = 3
	w.service.Spec.IPFamilies, w.service.Spec.PublishNotReadyAddresses = []corev1.IPFamily{corev1.IPv4Protocol}, true
	w.service.Spec.Ports = []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(8080)}}
	for i := range 11 {
		pod := &corev1.Pod{}
		pod.Namespace, pod.Name, pod.Status.PodIPs = "shop", fmt.Sprintf("web-%02d", i), []corev1.PodIP{{IP: fmt.Sprintf("10.1.0.%d", i+1)}}
		w.pods[pod.Name] = pod
	}
	number := 0
	existing := after(nil, joined(Plans(w.input(nil))), func() string { number++; return fmt.Sprint("web-", number) })
	w.service.Spec.Ports[0].TargetPort = intstr.FromInt32(9090)
	plan := joined(Plans(w.input(existing)))
	if len(plan.Update) != 4 || len(plan.Create)+len(plan.Delete) > 0 {
		t.Fatalf("%s, want 4 updated", counts(plan))
	}
	for _, next := range plan.Update {
		for _, old := range existing {
			if old.Name == next.Name && !slices.EqualFunc(old.Endpoints, next.Endpoints, func(a, b discoveryv1.Endpoint) bool { return identityOf(&a) == identityOf(&b) }) {
				t.Errorf("slice %s has other endpoints than before: %v, was %v", next.Name, next.Endpoints, old.Endpoints)
			}
		}
	}
}

func TestAPlaceholderOfAnEarlierServiceIsMadeAgain(t *testing.T) {
	w := newWorld(1)
	w.service.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	earlier := w.service.DeepCopy()
	earlier.UID = "0"
	slice := newSlice(earlier, labelsFor(earlier, managedBy), discoveryv1.AddressTypeIPv4, nil)
	slice.Name = "web-x"
	got := joined(Plans(w.input([]*discoveryv1.EndpointSlice{slice})))
	if len(got.Create) != 1 || len(got.Delete) != 1 || !apiequality.Semantic.DeepEqual(got.Create[0].Labels, slice.Labels) {
		t.Errorf("%s, want it deleted and another created: the garbage collector deletes it anyway", counts(got))
	}
	if strings.HasPrefix(got.Create[0].Name, "web-x") {
		t.Error("the slice of the earlier Service is used again")
	}
}

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
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"switchyard.dev/switchyard/allocator"
)

// eventLog is an event recorder that keeps "name: reason: note".
type eventLog struct{ lines []string }

func (l *eventLog) Eventf(regarding, _ runtime.Object, _, reason, _, note string, args ...any) {
	l.lines = append(l.lines, regarding.(client.Object).GetName()+": "+reason+": "+fmt.Sprintf(note, args...))
}

// taken returns the sorted lines since it was last asked.
func (l *eventLog) taken() []string {
	lines := slices.Sorted(slices.Values(l.lines))
	l.lines = nil
	return lines
}

func allocated(name string, created int64, ip string, nodePort int32) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(time.Unix(created, 0)),
		},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, ClusterIP: ip, ClusterIPs: []string{ip},
			Ports: []corev1.ServicePort{{Port: 80, NodePort: nodePort, Protocol: corev1.ProtocolTCP}},
		},
	}
}

func newAllocation(t *testing.T, objects ...client.Object) (*AllocationReconciler, *eventLog) {
	t.Helper()
	index := allocator.NewServices(allocator.PortSpan{First: 30000, Last: 30003})
	cidr := allocator.ServiceCIDR{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Ready: true}
	if err := index.SetServiceCIDRs([]corev1.IPFamily{corev1.IPv4Protocol}, []allocator.ServiceCIDR{cidr}); err != nil {
		t.Fatal(err)
	}
	index.SetReady()
	log := &eventLog{}
	server := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objects...).Build()
	return &AllocationReconciler{
		Client:   server,
		Live:     client.Reader(server),
		Index:    index,
		Recorder: log,
		Now:      time.Now,
	}, log
}

func reconcileAll(t *testing.T, r *AllocationReconciler, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := r.Reconcile(context.Background(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "team", Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADoubleIsReportedOnBothOnceWhicheverIsSeenFirst(t *testing.T) {
	want := []string{
		"old: PortAlreadyAllocated: Port 30000 is also held by Service team/young, which is younger and should choose another",
		"young: PortAlreadyAllocated: Port 30000 is also held by Service team/old, which is older and keeps it: choose another, free: 30001-30003",
	}
	for _, order := range [][]string{{"old", "young"}, {"young", "old"}} {
		r, log := newAllocation(t, allocated("old", 100, "10.0.0.1", 30000), allocated("young", 200, "10.0.0.2", 30000))
		reconcileAll(t, r, order...)
		if diff := cmp.Diff(want, log.taken()); diff != "" {
			t.Errorf("in the order %v (-want +got):\n%s", order, diff)
		}
		reconcileAll(t, r, "old", "young", "old")
		if got := log.taken(); got != nil {
			t.Errorf("a resync reported again: %v", got)
		}
	}
}

// Events are read by the users of a namespace.
func TestADoubleNamesNeitherServicesNorNumbersOfOtherNamespaces(t *testing.T) {
	young := allocated("young", 200, "10.0.0.2", 30000)
	young.Namespace = "elsewhere"
	old := allocated("old", 100, "10.0.0.1", 30000)
	r, log := newAllocation(t, old, young, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "elsewhere", Labels: map[string]string{"team": "red"}}})
	red, err := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{MatchLabels: map[string]string{"team": "red"}})
	if err != nil {
		t.Fatal(err)
	}
	r.Index.SetPools([]allocator.PortPool{{Name: "red", Ranges: []allocator.PortSpan{{First: 30002, Last: 30002}}, Namespaces: red}}, nil)
	r.Index.Observe(old)
	r.Index.Observe(young)
	reconcileAll(t, r, "old")
	want := []string{
		"old: PortAlreadyAllocated: Port 30000 is also held by a Service of another namespace, which is younger and should choose another",
		"young: PortAlreadyAllocated: Port 30000 is also held by a Service of another namespace, which is older and keeps it: choose another, free: 30002",
	}
	if diff := cmp.Diff(want, log.taken()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	for _, s := range situationsOf(r.Index.Problems(client.ObjectKeyFromObject(old))) {
		if s.related("team") != nil || s.related("elsewhere") == nil {
			t.Errorf("the other party is named to the wrong ones: %v", s)
		}
	}
}

func TestASituationThatEndedAndComesBackIsReportedAgain(t *testing.T) {
	r, log := newAllocation(t, allocated("old", 100, "10.0.0.1", 30000), allocated("young", 200, "10.0.0.2", 30000))
	reconcileAll(t, r, "old", "young")
	log.taken()
	move := func(nodePort int32) {
		var young corev1.Service
		if err := r.Client.Get(context.Background(), types.NamespacedName{Namespace: "team", Name: "young"}, &young); err != nil {
			t.Fatal(err)
		}
		young.Spec.Ports[0].NodePort = nodePort
		if err := r.Client.Update(context.Background(), &young); err != nil {
			t.Fatal(err)
		}
		reconcileAll(t, r, "young")
	}
	move(30001)
	if got := log.taken(); got != nil {
		t.Errorf("the end was reported: %v", got)
	}
	move(30000)
	if got := log.taken(); len(got) != 2 {
		t.Errorf("events when it came back: %v, want one on each", got)
	}
}

func TestAServiceThatWentWhileItWasReadIsForgotten(t *testing.T) {
	gone := allocated("gone", 100, "10.0.0.1", 30000)
	r, log := newAllocation(t, allocated("web", 200, "10.0.0.2", 30000))
	r.Index.Observe(gone) // by a reconciliation that read it just before the feed heard of its end
	reconcileAll(t, r, "gone", "web")
	if got := log.taken(); got != nil {
		t.Errorf("a number of nobody else was reported: %v", got)
	}
	if got := r.Index.Holders(allocator.PortNumber(30000)); len(got) != 1 || got[0].Service.Name != "web" {
		t.Errorf("holders are %v, want web alone", got)
	}
}

// The webhook has read that a Service was deleted and made again, of which the
// cache knows neither, or only the first.
func TestAServiceThatTheCacheDoesNotKnowYetIsNotForgotten(t *testing.T) {
	again := allocated("web", 100, "10.0.0.1", 30000)
	r, _ := newAllocation(t)
	truth, _ := newAllocation(t, again)
	r.Live = truth.Live
	r.Index.Observe(again)
	reconcileAll(t, r, "web")
	if got := r.Index.Holders(allocator.PortNumber(30000)); len(got) != 1 {
		t.Errorf("holders are %v, want web", got)
	}
	r.Live = r.Client
	reconcileAll(t, r, "web")
	if got := r.Index.Holders(allocator.PortNumber(30000)); len(got) != 0 {
		t.Errorf("it is gone, and holders are %v", got)
	}
}

func TestNumbersOutOfRangeAreReported(t *testing.T) {
	r, log := newAllocation(t, allocated("far", 100, "10.9.0.1", 8080))
	reconcileAll(t, r, "far", "far")
	want := []string{
		"far: ClusterIPOutOfRange: ClusterIP 10.9.0.1 is not in 10.0.0.0/24: recreate the Service or the range to get one that is",
		"far: PortOutOfRange: Port 8080 is not in 30000-30003: recreate the Service or the range to get one that is",
	}
	if diff := cmp.Diff(want, log.taken()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestNothingIsReportedBeforeTheIndexIsReady(t *testing.T) {
	r, log := newAllocation(t, allocated("far", 100, "10.9.0.1", 8080))
	r.Index = allocator.NewServices(allocator.DefaultNodePorts)
	reconcileAll(t, r, "far")
	if got := log.taken(); got != nil {
		t.Errorf("events: %v", got)
	}
	if err := r.ReadyCheck(nil); err == nil {
		t.Error("ready before the index is")
	}
}

func TestClaimsAreCollectedWhenTheyHaveDoneTheirWork(t *testing.T) {
	port := allocator.PortNumber(30000)
	for name, tc := range map[string]struct {
		age     time.Duration
		held    bool
		gone    bool // the Service that held it
		taken   bool // the server says that it is
		collect bool
	}{
		"held, but other replicas may not know":   {age: 5 * time.Second, held: true},
		"held for long enough":                    {age: 11 * time.Second, held: true, taken: true, collect: true},
		"not held, the request may still succeed": {age: 50 * time.Second},
		"not held, the request has failed":        {age: 61 * time.Second, collect: true},
		"held once":                               {age: 5 * time.Second, held: true, gone: true, collect: true},
		"held by nobody, and not to be had":       {age: 61 * time.Second, taken: true},
	} {
		t.Run(name, func(t *testing.T) {
			made := time.Unix(1000, 0)
			lease := allocator.ClaimLease("system", allocator.Claim{Number: port, Service: client.ObjectKeyFromObject(allocated("web", 1, "10.0.0.1", 30000)), Created: made}, "request")
			lease.CreationTimestamp = metav1.NewTime(made)
			r, _ := newAllocation(t, lease)
			claim, err := allocator.ClaimOfLease(lease)
			if err != nil {
				t.Fatal(err)
			}
			r.Index.Claim(claim)
			web := allocated("web", 1, "10.0.0.1", 30000)
			if tc.held {
				r.Index.Observe(web)
			}
			if tc.gone {
				r.Index.Forget(client.ObjectKeyFromObject(web), web.UID)
			}
			writer := interceptor.NewClient(r.Client.(client.WithWatch), interceptor.Funcs{
				Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
					if !tc.taken {
						return nil
					}
					return apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), "probe", field.ErrorList{
						field.Invalid(field.NewPath("spec", "ports").Index(0).Child("nodePort"), 30000, "provided port is already allocated"),
					})
				},
			})
			c := &claimCollector{index: r.Index, reader: r.Client, writer: writer, namespace: "system", now: func() time.Time { return made.Add(tc.age) }}
			result, err := c.Reconcile(context.Background(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(lease)})
			if err != nil {
				t.Fatal(err)
			}
			gone := client.IgnoreNotFound(r.Client.Get(context.Background(), client.ObjectKeyFromObject(lease), lease)) == nil &&
				r.Client.Get(context.Background(), client.ObjectKeyFromObject(lease), lease) != nil
			if gone != tc.collect || (result.RequeueAfter == 0) != tc.collect {
				t.Errorf("collected %v, comes back after %v", gone, result.RequeueAfter)
			}
		})
	}
}

func TestGaugesCountEachRangeOnce(t *testing.T) {
	r, _ := newAllocation(t)
	r.Index.Observe(allocated("web", 1, "10.0.0.1", 30000))
	collector := &allocationCollector{}
	collector.watch(r.Index)
	want := `# HELP switchyard_allocator_allocated Numbers in use, by range.
# TYPE switchyard_allocator_allocated gauge
switchyard_allocator_allocated{family="",kind="NodePort",range="30000-30003"} 1
switchyard_allocator_allocated{family="ipv4",kind="ClusterIP",range="10.0.0.0/24"} 1
# HELP switchyard_allocator_available Numbers that are free, by range.
# TYPE switchyard_allocator_available gauge
switchyard_allocator_available{family="",kind="NodePort",range="30000-30003"} 3
switchyard_allocator_available{family="ipv4",kind="ClusterIP",range="10.0.0.0/24"} 253
`
	if err := testutil.CollectAndCompare(collector, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

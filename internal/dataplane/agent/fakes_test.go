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

package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// fakeTable holds Decisions as a kernel would and refuses on request.
type fakeTable struct {
	mu      sync.Mutex
	node    policy.Node
	held    map[model.ServicePortName]policy.Decision
	calls   []string
	refuse  int // that many of the next calls
	unknown bool
}

var errRefused = errors.New("no buffer space available")

func (f *fakeTable) FullSync(_ context.Context, node policy.Node, desired []policy.Decision) (nft.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf("full %d", len(desired)))
	if f.refused() {
		return nft.Result{}, errRefused
	}
	f.unknown, f.node, f.held = false, node, map[model.ServicePortName]policy.Decision{}
	for _, decision := range desired {
		f.held[decision.Name] = decision
	}
	return nft.Result{}, nil
}

func (f *fakeTable) Apply(_ context.Context, changed []policy.Decision, removed []model.ServicePortName) (nft.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf("apply +%d -%d", len(changed), len(removed)))
	if f.unknown {
		return nft.Result{}, nft.ErrNotSynced
	}
	if f.refused() {
		f.held = nil // whatever the kernel holds now
		return nft.Result{}, errRefused
	}
	for _, decision := range changed {
		f.held[decision.Name] = decision
	}
	for _, name := range removed {
		delete(f.held, name)
	}
	return nft.Result{}, nil
}

func (f *fakeTable) refused() bool {
	if f.refuse == 0 {
		return false
	}
	f.refuse--
	f.unknown = true
	return true
}

// lines prints what the table holds.
func (f *fakeTable) lines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lines []string
	for _, name := range slices.SortedFunc(maps.Keys(f.held), model.ServicePortName.Compare) {
		d := f.held[name]
		lines = append(lines, fmt.Sprintf("%s %s:%d -> %v", name, d.ClusterIP, d.Port, d.Cluster))
	}
	return lines
}

func (f *fakeTable) takeCalls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

// fakeSweeper remembers what it was asked for.
type fakeSweeper struct {
	mu    sync.Mutex
	stale []conntrack.Stale
}

func (f *fakeSweeper) Add(what conntrack.Sweep) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stale = append(f.stale, what.Stale...)
}

func (f *fakeSweeper) take() []conntrack.Stale {
	f.mu.Lock()
	defer f.mu.Unlock()
	stale := f.stale
	f.stale = nil
	return stale
}

// world is an Agent on fakes, inside a synctest bubble.
type world struct {
	*Agent
	v4, v6  *fakeTable
	sweeper *fakeSweeper
	checks  *fakeChecks
	events  *record.FakeRecorder
}

// announcer makes ordinary Events.
type announcer struct{ record.EventRecorder }

func (a announcer) Announce(object *corev1.ObjectReference, reason, message string) {
	a.Event(object, corev1.EventTypeWarning, reason, message)
}

// fakeChecks remembers what it was to serve; one port may be taken.
type fakeChecks struct {
	mu    sync.Mutex
	lines []string
	calls int
	taken uint16
}

func (f *fakeChecks) Sync(family model.Family, wanted []health.ServiceCheck, addresses []netip.Addr) (errs []*health.CheckError) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if family != model.IPv4 {
		return nil
	}
	f.lines = nil
	for _, c := range wanted {
		if c.Port == f.taken {
			errs = append(errs, &health.CheckError{Service: c.Service, Address: netip.AddrPortFrom(addresses[0], c.Port), Err: errRefused})
			continue
		}
		f.lines = append(f.lines, fmt.Sprintf("%s :%d %v %d", c.Service, c.Port, addresses, c.LocalEndpoints))
	}
	slices.Sort(f.lines)
	return errs
}

func (f *fakeChecks) serving() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.lines)
}

func newWorld() world {
	w := world{v4: &fakeTable{}, v6: &fakeTable{}, sweeper: &fakeSweeper{}, checks: &fakeChecks{}, events: record.NewFakeRecorder(100)}
	w.Agent = New(Config{
		NodeName: "n1", Recorder: w.events, Announcer: announcer{w.events}, Sweepers: map[model.Family]Sweeper{model.IPv4: w.sweeper, model.IPv6: w.sweeper}, Checks: w.checks,
		Tables:  map[model.Family]Table{model.IPv4: w.v4, model.IPv6: w.v6},
		State:   health.NewState(health.Patience, model.IPv4, model.IPv6),
		Metrics: health.NewMetrics("test"),
	})
	w.localAddresses = func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("172.18.0.2")}, nil }
	return w
}

// inWorld runs test on a world whose lanes run, with time that passes only
// when all wait.
func inWorld(t *testing.T, test func(context.Context, world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := newWorld()
		if err := w.readAddresses(); err != nil {
			t.Fatal(err)
		}
		for _, lane := range w.lanes {
			go lane.run(ctx)
		}
		test(ctx, w)
		cancel()
		synctest.Wait()
	})
}

func makeService(name, clusterIP string, port int32, protocol corev1.Protocol) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.ServiceSpec{
			ClusterIP: clusterIP, ClusterIPs: []string{clusterIP},
			Ports: []corev1.ServicePort{{Port: port, Protocol: protocol, NodePort: 30000 + port}},
		},
	}
}

func makeSlice(service string, number int32, protocol corev1.Protocol, addresses ...string) *discoveryv1.EndpointSlice {
	eps := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: service + "-1",
			Labels: map[string]string{discoveryv1.LabelServiceName: service},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Port: &number, Protocol: &protocol}},
	}
	for _, address := range addresses {
		eps.Endpoints = append(eps.Endpoints, discoveryv1.Endpoint{Addresses: []string{address}})
	}
	return eps
}

// wantsTraffic asks as a load balancer does.
func wantsTraffic(w world) bool {
	answer := httptest.NewRecorder()
	health.Mux(w.State, w.Metrics).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	return answer.Code == http.StatusOK
}

func mustTime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

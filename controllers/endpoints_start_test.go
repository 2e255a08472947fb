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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

func TestParseEndpointsMode(t *testing.T) {
	for _, mode := range endpointsModes {
		if got, err := ParseEndpointsMode(mode.String()); got != mode || err != nil {
			t.Errorf("ParseEndpointsMode(%q) = %q, %v", mode, got, err)
		}
	}
	for _, value := range []string{"", "ALL", "some"} {
		if _, err := ParseEndpointsMode(value); err == nil || !strings.Contains(err.Error(), "off, selectorless, all") {
			t.Errorf("ParseEndpointsMode(%q): error %v does not name the modes", value, err)
		}
	}
}

func TestEndpointsOptionsSayWhatIsOutOfRange(t *testing.T) {
	var options EndpointsOptions
	options.Default()
	if err := options.Validate(); err != nil {
		t.Errorf("the defaults are invalid: %v", err)
	}
	bad := EndpointsOptions{Workers: 51, MaxEndpointsPerSlice: 1001, MaxEndpointsPerSubset: -1, BatchPeriod: -time.Second}
	err := bad.Validate()
	for _, name := range []string{"workers: 51", "max endpoints per slice: 1001", "max endpoints per subset: -1", "batch period"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v does not mention %q", err, name)
		}
	}
}

// managed is a managed fields entry, age seconds old at noon.
func managed(manager string, age int, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{
		Manager: manager, Time: &metav1.Time{Time: noon.Add(-time.Duration(age) * time.Second)}, FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)},
	}
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestLatestForeignWrite(t *testing.T) {
	const (
		kcm       = "kube-controller-manager"
		endpoints = `{"f:addressType":{},"f:endpoints":{},"f:ports":{}}`
		labels    = `{"f:metadata":{"f:labels":{"f:endpointslice.kubernetes.io/managed-by":{}}},"f:ports":{}}`
	)
	slice := (&WriterGuard{mode: EndpointsSelectorless}).targets()[0]
	cases := map[string]struct {
		fields []metav1.ManagedFieldsEntry
		want   string
	}{
		"whoever owns the endpoints is a writer":          {[]metav1.ManagedFieldsEntry{managed(kcm, 5, endpoints)}, kcm},
		"the latest of several counts":                    {[]metav1.ManagedFieldsEntry{managed("a", 9, endpoints), managed("b", 5, endpoints), managed("c", 7, endpoints)}, "b"},
		"what does not count is passed over":              {[]metav1.ManagedFieldsEntry{managed("history", 5, endpoints), managed(kcm, 9, endpoints)}, kcm},
		"we are no foreign writer":                        {[]metav1.ManagedFieldsEntry{managed(mirroringFieldManager, 5, endpoints)}, ""},
		"an author we have written over is history":       {[]metav1.ManagedFieldsEntry{managed(mirroringFieldManager, 5, endpoints), managed(kcm, 9, labels)}, ""},
		"a person is no controller":                       {[]metav1.ManagedFieldsEntry{managed("kubectl-edit", 5, endpoints)}, ""},
		"a slice without endpoints belongs to its author": {[]metav1.ManagedFieldsEntry{managed(kcm, 5, labels)}, kcm},
		"who only sets another label writes nothing":      {[]metav1.ManagedFieldsEntry{managed("gitops", 5, `{"f:metadata":{"f:labels":{"f:team":{}}}}`)}, ""},
	}
	for title, tc := range cases {
		t.Run(title, func(t *testing.T) {
			object := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-x", ManagedFields: tc.fields}}
			found := latestForeignWrite(slice, object, func(w foreignWrite) bool { return w.manager != "history" })
			got := ""
			if found != nil {
				got = found.manager
			}
			if got != tc.want {
				t.Errorf("writer %q, want %q", got, tc.want)
			}
		})
	}
}

func TestStillAtWork(t *testing.T) {
	write := foreignWrite{time: noon.Add(-time.Hour), manager: "k3s"}
	named := func(manager string, lease *coordinationv1.Lease) *coordinationv1.Lease {
		lease.ManagedFields = []metav1.ManagedFieldsEntry{managed("kubectl", 1, `{"f:metadata":{}}`), managed(manager, 1, `{"f:spec":{"f:renewTime":{}}}`)}
		return lease
	}
	lease := func(acquired, renewed time.Duration) *coordinationv1.Lease {
		return &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{
			LeaseDurationSeconds: new(int32(15)),
			AcquireTime:          &metav1.MicroTime{Time: noon.Add(-acquired)},
			RenewTime:            &metav1.MicroTime{Time: noon.Add(-renewed)},
		}}
	}
	cases := map[string]struct {
		write foreignWrite
		lease *coordinationv1.Lease
		want  bool
	}{
		"written an hour ago by the process that still leads":      {write, lease(2*time.Hour, time.Second), true},
		"and who that is, is known":                                {write, named("k3s", lease(2*time.Hour, time.Second)), true},
		"written by somebody who does not lead":                    {write, named("kube-controller-manager", lease(2*time.Hour, time.Second)), false},
		"by somebody who does not lead, just now":                  {foreignWrite{time: noon, manager: "k3s"}, named("kube-controller-manager", lease(2*time.Hour, time.Second)), true},
		"written by an earlier process":                            {write, lease(time.Minute, time.Second), false},
		"written by a process that is gone":                        {write, lease(2*time.Hour, time.Minute), false},
		"written in the second of the acquisition, which is whole": {foreignWrite{time: noon}, lease(-900*time.Millisecond, 0), true},
		"without a lease an old write is no evidence":              {write, nil, false},
		"without a lease a fresh write is":                         {foreignWrite{time: noon.Add(-10 * time.Second)}, nil, true},
		"a lease that nobody has ever held is like none, old":      {write, &coordinationv1.Lease{}, false},
		"a lease that nobody has ever held is like none, present":  {foreignWrite{time: noon}, &coordinationv1.Lease{}, true},
	}
	for title, tc := range cases {
		t.Run(title, func(t *testing.T) {
			if got := stillAtWork(tc.write, tc.lease, noon); got != tc.want {
				t.Errorf("at work: %t, want %t", got, tc.want)
			}
		})
	}
}

func TestRefusalNamesWriterAndRemedy(t *testing.T) {
	err := &ForeignWriterError{Mode: EndpointsSelectorless, Object: "EndpointSlice default/db-x", Manager: "kube-controller-manager", Time: noon, Leads: true}
	for _, part := range []string{"--endpoints=selectorless", "default/db-x", `"kube-controller-manager"`, "2026-01-01T12:00:00Z",
		"--controllers=*,-endpointslice-mirroring-controller, or", "--endpoints=off"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

// apiServer is what a guard reads: metadata of slices, and a lease or none.
type apiServer struct {
	client.Reader
	mu     sync.Mutex
	slices []metav1.PartialObjectMetadata
	lists  int
}

func (s *apiServer) set(slices ...metav1.PartialObjectMetadata) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slices = slices
}

func (s *apiServer) listed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lists
}

func (s *apiServer) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: "leases"}, "kube-controller-manager")
}

// List hands out one object a page, and fails the first time.
func (s *apiServer) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists++
	if s.lists == 1 {
		return apierrors.NewServiceUnavailable("starting")
	}
	var asked client.ListOptions
	asked.ApplyOptions(options)
	page, _ := strconv.Atoi(asked.Continue)
	partial := list.(*metav1.PartialObjectMetadataList)
	partial.Items, partial.Continue = s.slices[page:page+1], ""
	if page+1 < len(s.slices) {
		partial.Continue = strconv.Itoa(page + 1)
	}
	return nil
}

func written(name string, age int) metav1.PartialObjectMetadata {
	return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name,
		ManagedFields: []metav1.ManagedFieldsEntry{managed("kube-controller-manager", age, `{"f:endpoints":{}}`)}}}
}

func TestGuardWaitsForTheServerAndReadsEveryPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &apiServer{slices: []metav1.PartialObjectMetadata{written("old", 300), written("new", 5)}}
		guard := NewWriterGuard(server, EndpointsSelectorless)
		guard.now = func() time.Time { return noon }
		var refusal *ForeignWriterError
		if err := guard.Check(t.Context()); !errors.As(err, &refusal) || refusal.Object != "EndpointSlice default/new" {
			t.Errorf("refusal %v, want one because of default/new", err)
		}
	})
}

func TestNothingStartsAndNobodyIsReadyBesideARival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &apiServer{slices: []metav1.PartialObjectMetadata{written("web", 5)}}
		guard := NewWriterGuard(server, EndpointsSelectorless)
		guard.now = func() time.Time { return noon }
		ready := func() error { return guard.ReadyCheck(nil) }
		if ready() == nil {
			t.Error("ready before it has looked")
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var started atomic.Int32
		controller := manager.RunnableFunc(func(context.Context) error { started.Add(1); return nil })
		run(ctx, t, guard)
		time.Sleep(time.Minute)
		if err := ready(); err == nil || !strings.Contains(err.Error(), "--controllers=*,-endpointslice-mirroring-controller") {
			t.Errorf("the readiness is %v, without the remedy", err)
		}

		server.set(metav1.PartialObjectMetadata{})
		time.Sleep(guardRetry)
		synctest.Wait()
		if err := ready(); err != nil {
			t.Errorf("the rival is gone, and yet: %v", err)
		}

		// It becomes the leader when the rival has come back.
		server.set(written("web", 5))
		run(ctx, t, leaderLook{guard})
		run(ctx, t, guarded{controller, guard})
		run(ctx, t, guarded{controller, guard})
		time.Sleep(time.Minute)
		if err := ready(); err != nil || started.Load() != 0 {
			t.Errorf("beside a rival that came back %d controllers have started, and the readiness is %v", started.Load(), err)
		}
		server.set(metav1.PartialObjectMetadata{})
		time.Sleep(guardRetry)
		synctest.Wait()
		if started.Load() != 2 {
			t.Errorf("%d controllers have started, want both", started.Load())
		}
		cancel()
		synctest.Wait()
	})
}

// run starts something that must not end with an error.
func run(ctx context.Context, t *testing.T, runnable manager.Runnable) {
	t.Helper()
	go func() {
		if err := runnable.Start(ctx); err != nil {
			t.Errorf("it ended: %v", err)
		}
	}()
}

func TestGuardReportsARivalThatComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &apiServer{slices: []metav1.PartialObjectMetadata{{}}}
		guard := NewWriterGuard(server, EndpointsSelectorless)
		guard.now = func() time.Time { return noon }
		if err := guard.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		reported := make(chan string, 10)
		logger := funcr.New(func(_, args string) { reported <- args }, funcr.Options{})
		ctx, cancel := context.WithCancel(ctrl.LoggerInto(t.Context(), logger))
		run(ctx, t, guard)
		synctest.Wait()
		looked := server.listed()
		time.Sleep(guardPeriod + time.Second)
		if again := server.listed() - looked; again != 0 {
			t.Errorf("a replica that does not lead has looked %d times more", again)
		}
		run(ctx, t, leaderLook{guard})
		time.Sleep(guardPeriod + time.Second)
		if len(reported) != 0 {
			t.Errorf("reported without a rival: %s", <-reported)
		}
		server.set(written("new", 5))
		time.Sleep(guardPeriod)
		cancel()
		synctest.Wait()
		if len(reported) != 1 {
			t.Fatalf("%d reports, want 1", len(reported))
		}
		if report := <-reported; !strings.Contains(report, "-endpointslice-mirroring-controller") {
			t.Errorf("reported %s, without the remedy", report)
		}
	})
}

func TestCacheLagGivesUpWaiting(t *testing.T) {
	now := noon
	lag := newCacheLag(func() time.Time { return now })
	key := types.NamespacedName{Namespace: "default", Name: "web"}
	if lag.wait(key) != firstLagRetry {
		t.Error("the first look does not wait")
	}
	now = now.Add(lagLimit - time.Second)
	if lag.wait(key) != lagRetry {
		t.Error("gave up before the limit")
	}
	now = now.Add(time.Second)
	if lag.wait(key) != 0 {
		t.Error("still waiting at the limit")
	}
	lag.caughtUp(key)
	if lag.wait(key) != firstLagRetry {
		t.Error("the next lag does not start afresh")
	}
}

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
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
)

const tcp, udp = corev1.ProtocolTCP, corev1.ProtocolUDP

func expect(t *testing.T, what string, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestNothingIsProgrammedBeforeEverythingIsRead(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.setService(ctx, makeService("web", "10.96.0.1", 80, tcp))
		w.setSlice(ctx, makeSlice("web", 8080, tcp, "10.0.0.1"))
		time.Sleep(time.Hour)
		expect(t, "calls while the caches fill", w.v4.takeCalls(), nil)
		if w.State.Ready() {
			t.Error("ready before the first sync")
		}
		w.begin(ctx)
		synctest.Wait()
		expect(t, "calls at the start", w.v4.takeCalls(), []string{"full 1"})
		expect(t, "table", w.v4.lines(), []string{"default/web/TCP 10.96.0.1:80 -> [10.0.0.1:8080]"})
		expect(t, "calls of the other family", w.v6.takeCalls(), []string{"full 0"})
		if !w.State.Ready() {
			t.Error("not ready after the first sync")
		}
	})
}

func TestAChangeIsOneTransactionOfItsFamilyAtOnce(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.begin(ctx)
		synctest.Wait()
		w.v4.takeCalls()
		w.v6.takeCalls()
		begin := time.Now()
		for i := range 100 {
			w.setService(ctx, makeService(fmt.Sprintf("s%02d", i), fmt.Sprintf("10.96.0.%d", i+1), int32(80+i), tcp))
		}
		synctest.Wait()
		if took := time.Since(begin); took != 0 {
			t.Errorf("waited %s before programming", took)
		}
		if held := len(w.v4.lines()); held != 100 {
			t.Errorf("%d ServicePorts are programmed, want 100", held)
		}
		w.v4.takeCalls()
		w.setSlice(ctx, makeSlice("s07", 8080, tcp, "10.0.0.1"))
		synctest.Wait()
		expect(t, "calls for one slice", w.v4.takeCalls(), []string{"apply +1 -0"})
		w.setSlice(ctx, makeSlice("s07", 8080, tcp, "10.0.0.1"))
		w.setSlice(ctx, makeSlice("nobody", 8080, tcp, "10.0.0.1"))
		synctest.Wait()
		expect(t, "calls for what makes no difference", w.v4.takeCalls(), nil)
		w.deleteService(ctx, "default", "s07")
		synctest.Wait()
		expect(t, "calls for a deletion", w.v4.takeCalls(), []string{"apply +0 -1"})
		expect(t, "calls of the other family", w.v6.takeCalls(), nil)
	})
}

func TestARefusedChangeIsNotLost(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.setService(ctx, makeService("web", "10.96.0.1", 80, tcp))
		w.begin(ctx)
		synctest.Wait()
		w.v4.takeCalls()
		w.v4.refuse = 3
		w.setSlice(ctx, makeSlice("web", 8080, tcp, "10.0.0.1"))
		synctest.Wait()
		expect(t, "calls", w.v4.takeCalls(), []string{"apply +1 -0"})
		// What happens meanwhile neither hurries the retry nor is forgotten.
		w.setService(ctx, makeService("api", "10.96.0.2", 81, tcp))
		w.setService(ctx, makeService("v6", "fd00::1", 80, tcp))
		synctest.Wait()
		expect(t, "calls during the pause", w.v4.takeCalls(), nil)
		expect(t, "the other family", w.v6.lines(), []string{"default/v6/TCP fd00::1:80 -> []"})
		time.Sleep(2 * time.Second)
		expect(t, "calls after it", w.v4.takeCalls(), []string{"full 2", "full 2", "full 2"})
		expect(t, "table", w.v4.lines(), []string{
			"default/api/TCP 10.96.0.2:81 -> []",
			"default/web/TCP 10.96.0.1:80 -> [10.0.0.1:8080]",
		})
	})
}

func TestAKernelThatRefusesForLongMakesTheNodeUnhealthy(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.v4.refuse = 1 << 30
		w.begin(ctx)
		time.Sleep(time.Hour)
		if calls := len(w.v4.takeCalls()); calls > 3600/5 {
			t.Errorf("%d attempts in an hour", calls)
		}
		if w.State.Ready() {
			t.Error("ready though IPv4 was never programmed")
		}
		for _, path := range []string{"/healthz", "/livez"} {
			answer := httptest.NewRecorder()
			health.Mux(w.State, w.Metrics).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
			if answer.Code != http.StatusServiceUnavailable {
				t.Errorf("%s answers %d after an hour", path, answer.Code)
			}
		}
	})
}

func TestWhatWaitsForAKernelThatRefusesIsBounded(t *testing.T) {
	q := newQueue(model.IPv4, health.NewState(health.Patience, model.IPv4), health.NewMetrics("test"))
	for range 3 {
		for i := range maxTriggers {
			q.add(nil, event{family: model.IPv4, cause: trigger{at: time.Unix(int64(i), 0)}})
		}
		failed := q.take()
		q.add(nil, event{family: model.IPv4, cause: trigger{at: time.Unix(0, 0)}}) // what comes meanwhile
		q.giveBack(failed)
	}
	if n := len(q.take().triggers); n != maxTriggers {
		t.Errorf("%d times are kept, want %d", n, maxTriggers)
	}
}

func TestARepairComparesEverything(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.setService(ctx, makeService("web", "10.96.0.1", 80, tcp))
		w.begin(ctx)
		synctest.Wait()
		w.v4.takeCalls()
		w.v6.takeCalls()
		w.v4.held = nil // flushed by someone else
		w.repair(model.IPv4)
		synctest.Wait()
		expect(t, "calls", w.v4.takeCalls(), []string{"full 1"})
		expect(t, "table", w.v4.lines(), []string{"default/web/TCP 10.96.0.1:80 -> []"})
		expect(t, "calls of the other family", w.v6.takeCalls(), nil)
	})
}

func TestStaleFlowsAreDeletedAfterTheRulesAreWritten(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.setService(ctx, makeService("dns", "10.96.0.1", 53, udp))
		w.setSlice(ctx, makeSlice("dns", 5353, udp, "10.0.0.1", "10.0.0.2"))
		w.begin(ctx)
		synctest.Wait()
		w.sweeper.take()
		w.setSlice(ctx, makeSlice("dns", 5353, udp, "10.0.0.2"))
		synctest.Wait()
		keep := []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:5353")}
		want := []conntrack.Stale{
			{Protocol: 17, Addrs: []netip.Addr{netip.MustParseAddr("10.96.0.1")}, Port: 53, Allowed: keep},
			{Protocol: 17, Addrs: []netip.Addr{netip.MustParseAddr("172.18.0.2")}, Port: 30053, Allowed: keep},
		}
		if diff := cmp.Diff(want, w.sweeper.take(), cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); diff != "" {
			t.Errorf("stale (-want +got):\n%s", diff)
		}
		expect(t, "calls", w.v4.takeCalls(), []string{"full 1", "apply +1 -0"})
	})
}

func TestAChangedNodeIsProgrammed(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.Node = NodeOptions{NodePorts: NodePortAddresses{Primary: true}, DetectLocal: DetectLocal{FromNode: true}}
		w.begin(ctx)
		synctest.Wait()
		w.v4.takeCalls()
		node := &corev1.Node{Spec: corev1.NodeSpec{PodCIDRs: []string{"10.244.1.0/24"}}}
		w.setNode(ctx, node)
		synctest.Wait()
		expect(t, "calls", w.v4.takeCalls(), []string{"full 0"})
		expect(t, "local pods", []string{fmt.Sprint(w.v4.node.LocalPods, w.v4.node.NodePortAddrs)}, []string{"[10.244.1.0/24] [172.18.0.2]"})
		w.setNode(ctx, node.DeepCopy())
		w.deleteNode()
		synctest.Wait()
		expect(t, "calls for the same again, and for a deleted Node object", w.v4.takeCalls(), nil)
		w.localAddresses = func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("172.18.0.9")}, nil }
		w.refreshAddresses(ctx)
		synctest.Wait()
		expect(t, "calls for a new address", w.v4.takeCalls(), []string{"full 0"})
	})
}

func TestProblemsBecomeEventsOnceTheWholePictureIsKnown(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		bad := makeService("web", "10.96.0.1", 80, tcp)
		bad.Spec.ExternalIPs = []string{"nonsense"}
		w.setService(ctx, bad)
		if n := len(w.events.Events); n != 0 {
			t.Errorf("%d events before the caches are full", n)
		}
		w.begin(ctx)
		want := `Warning NotProgrammed spec.externalIPs[0]: "nonsense" is not an IP address; remove it or correct it`
		if got := <-w.events.Events; got != want {
			t.Errorf("event %q, want %q", got, want)
		}
	})
}

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

package health

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// clock is moved by hand.
type clock struct{ now time.Time }

func (c *clock) pass(d time.Duration) { c.now = c.now.Add(d) }

func newState() (*State, *clock) {
	c := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	s := NewState(Patience, model.IPv4, model.IPv6)
	s.now = func() time.Time { return c.now }
	return s, c
}

// allDone says that everything queued so far is programmed.
func allDone(s *State, family model.Family) { s.Done(family, s.families[family].newest) }

func get(handler http.Handler, path string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder
}

func TestHealthFollowsWhatIsProgrammed(t *testing.T) {
	state, clock := newState()
	mux := Mux(state, NewMetrics("test"))
	check := func(what string, healthz, livez, readyz int) {
		t.Helper()
		for path, want := range map[string]int{"/healthz": healthz, "/livez": livez, "/readyz": readyz} {
			if got := get(mux, path).Code; got != want {
				t.Errorf("%s: %s answers %d, want %d", what, path, got, want)
			}
		}
	}
	const ok, bad = http.StatusOK, http.StatusServiceUnavailable
	check("starting up, with the rules of an earlier run", ok, ok, bad)
	state.Queued(model.IPv4)
	state.Queued(model.IPv6)
	clock.pass(Patience - time.Second)
	check("the first sync takes its time", ok, ok, bad)
	clock.pass(time.Second)
	check("the first sync does not succeed", bad, bad, bad)
	allDone(state, model.IPv4)
	check("only one family is done", bad, bad, bad)
	allDone(state, model.IPv6)
	check("both are done", ok, ok, ok)
	clock.pass(24 * time.Hour)
	check("nothing happens for a day", ok, ok, ok)
	state.Queued(model.IPv6)
	clock.pass(Patience / 2)
	state.Queued(model.IPv6)
	clock.pass(Patience / 2)
	check("a change waits too long, though another came later", bad, bad, ok)
	allDone(state, model.IPv6)
	state.SetEligible(false)
	check("the node is about to go", bad, ok, ok)
}

func TestACommitThatHangsIsSeenThoughAnEarlierOneSucceeded(t *testing.T) {
	state, clock := newState()
	check := func(what string, want bool) {
		t.Helper()
		if got := state.Healthy(); got != want {
			t.Errorf("%s: healthy is %v", what, got)
		}
	}
	first := state.Queued(model.IPv4)
	clock.pass(10 * time.Second)
	second := state.Queued(model.IPv4) // while the first is being written
	clock.pass(40 * time.Second)
	state.Done(model.IPv4, first)
	clock.pass(Patience - 40*time.Second - time.Second)
	check("the second has waited for 59 seconds", true)
	clock.pass(time.Second)
	check("the second has waited for 60 seconds", false)
	state.Done(model.IPv4, first)
	check("the first is done once more", false)
	state.Done(model.IPv4, second)
	check("the second is done", true)
	for range 24 * 60 { // the kernel hangs for a day, a change every minute
		state.Queued(model.IPv4)
		clock.pass(time.Minute)
	}
	if got := len(state.families[model.IPv4].pending); got != maxSpans {
		t.Errorf("%d spans are remembered, want %d", got, maxSpans)
	}
	check("a day without success", false)
	state.Done(model.IPv4, state.Queued(model.IPv4))
	check("all of it is done at once", true)
}

func TestChangesOfOneMomentAreOneSpan(t *testing.T) {
	state, clock := newState()
	half := state.Queued(model.IPv4)
	clock.pass(spanLength / 2)
	state.Queued(model.IPv4)
	if got := len(state.families[model.IPv4].pending); got != 1 {
		t.Errorf("%d spans", got)
	}
	state.Done(model.IPv4, half)
	clock.pass(Patience)
	if state.Healthy() {
		t.Error("a change was forgotten because its span began with one that is done")
	}
}

func TestTheBodyIsKubeProxys(t *testing.T) {
	state, clock := newState()
	const starting = `{"lastUpdated":"2026-01-02T03:04:05Z","currentTime":"2026-01-02T03:04:05Z","nodeEligible":true,"healthy":true}`
	if got := strings.TrimSpace(get(Mux(state, NewMetrics("test")), "/healthz").Body.String()); got != starting {
		t.Errorf("body at the start\n%s\nwant\n%s", got, starting)
	}
	allDone(state, model.IPv4)
	clock.pass(time.Minute)
	allDone(state, model.IPv6)
	state.Queued(model.IPv4)
	clock.pass(2 * time.Minute)
	response := get(Mux(state, NewMetrics("test")), "/healthz")
	const want = `{"lastUpdated":"2026-01-02T03:05:05Z","currentTime":"2026-01-02T03:07:05Z","nodeEligible":true,"healthy":false,` +
		`"status":{"IPv4":{"lastUpdated":"2026-01-02T03:04:05Z","healthy":false},"IPv6":{"lastUpdated":"2026-01-02T03:05:05Z","healthy":true}}}`
	if got := strings.TrimSpace(response.Body.String()); got != want {
		t.Errorf("body\n%s\nwant\n%s", got, want)
	}
	if got := response.Header().Get("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("X-Content-Type-Options is %q", got)
	}
	allDone(state, model.IPv4)
	var body map[string]any
	if err := json.Unmarshal(get(Mux(state, NewMetrics("test")), "/livez").Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if _, there := body["nodeEligible"]; there || body["lastUpdated"] != body["currentTime"] {
		t.Errorf("/livez while healthy: %v", body)
	}
}

func TestMetricsAreServed(t *testing.T) {
	metrics := NewMetrics("v1")
	metrics.Synced(Sync{Family: model.IPv4, Duration: time.Millisecond, ServicePorts: 3, Endpoints: 7, Triggers: []time.Time{time.Now()}})
	metrics.Synced(Sync{Family: model.IPv6, Cause: "start", Err: errors.New("refused")})
	metrics.Cleaned(model.IPv4, time.Millisecond, 5)
	metrics.Problem(model.Problem{Object: model.Object{Kind: "Service"}, Field: "spec.ports[11].port"})
	mux := MetricsMux(metrics)
	text := get(mux, "/metrics").Body.String()
	for _, want := range []string{
		`kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1`,
		`kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1`,
		`kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="IPv6"} 1`,
		`kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv6"} 1`,
		`kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"} 1`,
		`kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family="IPv4"} 5`,
		`switchyard_node_service_ports{ip_family="IPv4"} 3`,
		`switchyard_node_endpoints{ip_family="IPv4"} 7`,
		`switchyard_node_full_syncs_total{cause="start",ip_family="IPv6"} 1`,
		`switchyard_node_problems_total{field="spec.ports[].port",kind="Service"} 1`,
		`switchyard_node_build_info{version="v1"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("missing %s", want)
		}
	}
	if strings.Contains(text, `kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv6"}`) {
		t.Error("a failed sync has a timestamp")
	}
	if mode := get(mux, "/proxyMode").Body.String(); mode != "nftables" {
		t.Errorf("/proxyMode is %q", mode)
	}
}

func TestAServerEndsWithItsContext(t *testing.T) {
	listener, err := Listen("metrics-bind-address", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Listen("metrics-bind-address", listener.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "--metrics-bind-address="+listener.Addr().String()+": the address is in use") {
		t.Errorf("listening twice: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Serve(ctx, listener, MetricsMux(NewMetrics("test"))) }()
	response, err := http.Get("http://" + listener.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

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

package status

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const agentPage = `# HELP go_goroutines Number of goroutines that currently exist.
go_goroutines 12
process_start_time_seconds 1.7952e+09
switchyard_node_build_info{version="v0.7.0"} 1
switchyard_node_service_ports{ip_family="IPv4"} 8
switchyard_node_service_ports{ip_family="IPv6"} 4
switchyard_node_endpoints{ip_family="IPv4"} 20
switchyard_node_repairs_total{cause="elements",ip_family="IPv4"} 2
switchyard_node_repairs_total{cause="table",ip_family="IPv6"} 1
switchyard_node_last_repair_timestamp_seconds{ip_family="IPv4"} 1.795201e+09
switchyard_node_problems_total{field="spec.ports[].port",kind="Service"} 5
kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} 1.7952001e+09
kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv6"} 1.7952009e+09
kubeproxy_sync_proxy_rules_endpoint_changes_pending 2
kubeproxy_sync_proxy_rules_service_changes_pending 1
kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv4"} 6
`

// agents are tunnels to agents, by node.
type agents struct {
	pages   func(node string) http.Handler
	refuse  func(node string) error
	at, top atomic.Int32
	asked   atomic.Int32
}

func (a *agents) Open(ctx context.Context, to Instance) (Tunnel, error) {
	a.asked.Add(1)
	if a.refuse != nil {
		if err := a.refuse(to.Node); err != nil {
			return nil, err
		}
	}
	at := a.at.Add(1)
	for top := a.top.Load(); at > top && !a.top.CompareAndSwap(top, at); top = a.top.Load() {
	}
	return &agentTunnel{a, a.pages(to.Node)}, nil
}

type agentTunnel struct {
	agents *agents
	pages  http.Handler
}

func (t *agentTunnel) Close() error { t.agents.at.Add(-1); return nil }

func (t *agentTunnel) Dial(ctx context.Context, _ int) (net.Conn, error) {
	if t.pages == nil { // it accepts, and that is all
		here, there := net.Pipe()
		go func() { _, _ = there.Read(make([]byte, 4096)) }()
		context.AfterFunc(ctx, func() { _ = here.Close(); _ = there.Close() })
		return here, nil
	}
	here, there := net.Pipe()
	server := &http.Server{Handler: t.pages}
	server.SetKeepAlivesEnabled(false)
	go func() { _ = server.Serve(&once{conn: there, done: make(chan struct{})}) }()
	return here, nil
}

// once is a listener that has accepted one connection.
type once struct {
	conn net.Conn
	done chan struct{}
}

func (o *once) Accept() (net.Conn, error) {
	if o.conn == nil {
		return nil, net.ErrClosed
	}
	conn := o.conn
	o.conn = nil
	return conn, nil
}

func (o *once) Close() error   { return nil }
func (o *once) Addr() net.Addr { return noAddr{} }

func agentPages(metrics string, health int) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, metrics) })
	for _, path := range []string{"/livez", "/readyz"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(health) })
	}
	return mux
}

func crowd(count int) (all []Instance) {
	for i := range count {
		name := fmt.Sprintf("node-%d", i+1)
		all = append(all, pod("agent-"+name, name))
	}
	return all
}

func TestAnAgentsOwnAccount(t *testing.T) {
	tunnels := &agents{pages: func(string) http.Handler { return agentPages(agentPage, http.StatusServiceUnavailable) }}
	limits := Limits{}
	limits.Defaults()
	answers, err := limits.ask(t.Context(), tunnels, crowd(1))
	if err != nil {
		t.Fatal(err)
	}
	want := Answer{
		Version: "v0.7.0", Started: time.Unix(1795200000, 0), Synced: time.Unix(1795200100, 0), Pending: 3, Late: true, Unready: true,
		Repairs: 3, Repaired: time.Unix(1795201000, 0), Problems: 5, Failures: 6, ServicePorts: 12, Endpoints: 20,
	}
	if diff := cmp.Diff(want, answers["agent-node-1"], cmpopts.IgnoreFields(Answer{}, "Now")); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestOneSilentAgentKeepsNobodyFromBeingAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tunnels := &agents{pages: func(node string) http.Handler {
			if node == "node-3" {
				return nil
			}
			return agentPages(agentPage, http.StatusOK)
		}}
		limits := Limits{Each: 5 * time.Second}
		limits.Defaults()
		answers, err := limits.ask(t.Context(), tunnels, crowd(4))
		if err != nil || len(answers) != 4 {
			t.Fatalf("%d answers, %v", len(answers), err)
		}
		for name, answer := range answers {
			silent := answer.Err != nil
			if silent != (name == "agent-node-3") {
				t.Errorf("%s: %v", name, answer.Err)
			}
		}
		if err := answers["agent-node-3"].Err; err == nil || err.Error() != "no answer within 5s" {
			t.Errorf("the silent one: %v", err)
		}
	})
}

// Of five thousand agents that are all silent each has its turn, or is told apart.
func TestManySilentAgentsTakeNoLongerThanTheyMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tunnels := &agents{pages: func(string) http.Handler { return nil }}
		limits := Limits{Parallel: 32, Each: 5 * time.Second, Together: time.Minute}
		began := time.Now()
		answers, err := limits.ask(t.Context(), tunnels, crowd(5000))
		if err != nil || len(answers) != 5000 {
			t.Fatalf("%d answers, %v", len(answers), err)
		}
		if took := time.Since(began); took > limits.Together {
			t.Errorf("it took %v", took)
		}
		if top := tunnels.top.Load(); top != 32 {
			t.Errorf("%d were asked at a time", top)
		}
		late := 0
		for _, answer := range answers {
			if errors.Is(answer.Err, errNotAsked) {
				late++
			}
		}
		if late == 0 || late == 5000 {
			t.Errorf("%d were not asked", late)
		}
	})
}

func TestWhoMayAskNoAgentAsksNoMore(t *testing.T) {
	tunnels := &agents{refuse: func(string) error { return fmt.Errorf("%w: user jane can not create pods/portforward", ErrForbidden) }}
	limits := Limits{Parallel: 2}
	limits.Defaults()
	answers, err := limits.ask(t.Context(), tunnels, crowd(100))
	if !errors.Is(err, ErrForbidden) || !strings.Contains(err.Error(), "jane") || len(answers) != 0 {
		t.Errorf("%d answers, %v", len(answers), err)
	}
	if asked := tunnels.asked.Load(); asked > 4 {
		t.Errorf("%d were asked after the first refusal", asked)
	}
}

func TestThoseInTroubleAreAskedFirst(t *testing.T) {
	all := crowd(10)
	all[7].Ready = false
	all[8].Restarts = 2
	limits := Limits{Most: 3}
	var names []string
	for _, a := range limits.chosen(all) {
		names = append(names, a.Node)
	}
	if diff := cmp.Diff([]string{"node-8", "node-9", "node-1"}, names); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	limits = Limits{Nodes: []string{"node-4"}}
	if chosen := limits.chosen(all); len(chosen) != 1 || chosen[0].Node != "node-4" {
		t.Errorf("asked: %v", chosen)
	}
}

func TestTheAPIServersCountsOfAWebhook(t *testing.T) {
	counts, err := webhookCounts(strings.NewReader(`apiserver_admission_webhook_request_total{code="200",name="v.switchyard.dev",operation="CREATE",rejected="false",type="validating"} 10
apiserver_admission_webhook_request_total{code="403",name="v.switchyard.dev",operation="CREATE",rejected="true",type="validating"} 2
apiserver_admission_webhook_fail_open_count{name="v.switchyard.dev",type="validating"} 3
apiserver_admission_webhook_rejection_count{error_type="no_error",name="v.switchyard.dev",operation="CREATE",rejection_code="403",type="validating"} 2
apiserver_admission_webhook_rejection_count{error_type="calling_webhook_error",name="v.switchyard.dev",operation="CREATE",rejection_code="0",type="validating"} 1
apiserver_admission_webhook_request_total{code="200",name="v.switchyard.dev",operation="CREATE",rejected="false",type="admit"} 99
apiserver_request_total{code="200"} 1
`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(WebhookCounts{Requests: 12, Passed: 3, Denied: 2, Failed: 1}, counts["validating/v.switchyard.dev"]); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestAVersionIsTheTagOfAnImage(t *testing.T) {
	for image, want := range map[string]string{
		"switchyard:v0.7.0": "v0.7.0", "registry:5000/a/switchyard:v1": "v1", "registry:5000/a/switchyard": "",
		"a/switchyard@sha256:0123456789abcdef0123": "sha256:0123456789ab", "a/switchyard:v1@sha256:0123456789abcdef": "v1",
	} {
		if got := versionOf(image); got != want {
			t.Errorf("%s: %q, want %q", image, got, want)
		}
	}
}

func TestHalfAPageIsNone(t *testing.T) {
	tunnels := &agents{pages: func(string) http.Handler {
		return agentPages(agentPage+strings.Repeat("# much\n", longestPage/7), http.StatusOK)
	}}
	limits := Limits{Each: time.Minute}
	limits.Defaults()
	answers, err := limits.ask(t.Context(), tunnels, crowd(1))
	if err = errors.Join(err, answers["agent-node-1"].Err); err == nil || !strings.Contains(err.Error(), "/metrics has more than 32 MiB") {
		t.Errorf("of a page that is too long: %v", err)
	}
}

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
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// scrape is what Prometheus would see.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	response := get(MetricsMux(m), "/metrics")
	if response.Code != http.StatusOK {
		t.Fatalf("/metrics answers %d: %s", response.Code, response.Body)
	}
	return response.Body.String()
}

// values are the samples of the named metrics, sorted.
func values(t *testing.T, m *Metrics, names string) []string {
	t.Helper()
	wanted := regexp.MustCompile("^(" + names + ")[{ ]")
	var found []string
	for line := range strings.Lines(scrape(t, m)) {
		if wanted.MatchString(line) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	slices.Sort(found)
	return found
}

func TestCountersExistBeforeTheyCount(t *testing.T) {
	text := scrape(t, NewMetrics("test", model.IPv4, model.IPv6))
	for _, want := range []string{
		`kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"} 0`,
		`kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="IPv6"} 0`,
		`kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv6"} 0`,
		`kubeproxy_network_programming_duration_seconds_bucket{ip_family="IPv6",le="0.25"} 0`,
		`kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv6"} 0`,
		`kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total{ip_family="IPv4"} 0`,
		`kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family="IPv4"} 0`,
		`kubeproxy_conntrack_reconciler_sync_duration_seconds_count{ip_family="IPv4"} 0`,
		`kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv4",traffic_policy="internal"} 0`,
		`kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv6",traffic_policy="external"} 0`,
		`kubeproxy_sync_proxy_rules_service_changes_pending 0`,
		`kubeproxy_sync_proxy_rules_endpoint_changes_pending 0`,
		`kubeproxy_sync_proxy_rules_service_changes_total 0`,
		`kubeproxy_sync_proxy_rules_endpoint_changes_total 0`,
		`kubeproxy_proxy_healthz_total{code="200"} 0`,
		`kubeproxy_proxy_livez_total{code="503"} 0`,
		`switchyard_node_repairs_total{cause="table",ip_family="IPv6"} 0`,
		`switchyard_node_elements_written_total{ip_family="IPv4",operation="replace"} 0`,
		`switchyard_node_full_syncs_total{cause="failure",ip_family="IPv6"} 0`,
		`switchyard_node_service_check_failures_total{ip_family="IPv4"} 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("missing %s", want)
		}
	}
	if strings.Contains(text, "timestamp_seconds{") {
		t.Error("a sync that never was has a time")
	}
}

func TestProgrammingHasKubeProxysBuckets(t *testing.T) {
	var got []string
	for _, line := range values(t, NewMetrics("test", model.IPv4), "kubeproxy_network_programming_duration_seconds_bucket") {
		_, bound, _ := strings.Cut(line, `le="`)
		got = append(got, strings.TrimSuffix(bound, `"} 0`))
	}
	if len(got) != 2+59+12+7+1 {
		t.Errorf("%d buckets", len(got))
	}
	for _, bound := range []string{"0.25", "0.5", "1", "59", "60", "65", "115", "120", "150", "300", "+Inf"} {
		if !slices.Contains(got, bound) {
			t.Errorf("no bucket ends at %s s", bound)
		}
	}
}

func TestTheTriggerOfAChangeIsTimed(t *testing.T) {
	metrics := NewMetrics("test", model.IPv4)
	const pod, rule = `kubeproxy_network_programming_duration_seconds_bucket{ip_family="IPv4",le="120"} `, `kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"} `
	ago := time.Now().Add(-100 * time.Second)
	metrics.Synced(Sync{Family: model.IPv4, Triggers: []time.Time{ago, time.Now()}, Err: errors.New("refused")})
	metrics.Synced(Sync{Family: model.IPv4, Triggers: []time.Time{ago, ago.Add(-time.Hour)}})
	got := values(t, metrics, "kubeproxy_network_programming_duration_seconds_(bucket|count)")
	for _, want := range []string{pod + "1", rule + "2"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in %q", want, got)
		}
	}
}

func TestRepairsAreCountedByWhatWasLost(t *testing.T) {
	metrics := NewMetrics("test", model.IPv4)
	for _, sync := range []Sync{
		{Cause: "start", Recreated: true, Added: 10}, // not a repair
		{Cause: "repair"}, // nothing was lost
		{Cause: "repair", Recreated: true, Added: 10},
		{Cause: "repair", Added: 1},
		{Cause: "repair", Deleted: 2},
		{Cause: "repair", Replaced: 3, Err: errors.New("refused")},
		{Queued: time.Now()},
		{NoLocalInternal: 1, NoLocalExternal: 2},
	} {
		sync.Family = model.IPv4
		metrics.Synced(sync)
	}
	want := []string{
		`kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv4",traffic_policy="external"} 2`,
		`kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv4",traffic_policy="internal"} 1`,
		`switchyard_node_elements_written_total{ip_family="IPv4",operation="add"} 21`,
		`switchyard_node_elements_written_total{ip_family="IPv4",operation="delete"} 2`,
		`switchyard_node_elements_written_total{ip_family="IPv4",operation="replace"} 0`,
		`switchyard_node_programming_duration_seconds_count{ip_family="IPv4"} 1`,
		`switchyard_node_repairs_total{cause="elements",ip_family="IPv4"} 2`,
		`switchyard_node_repairs_total{cause="table",ip_family="IPv4"} 1`,
	}
	got := values(t, metrics, "switchyard_node_(elements_written_total|repairs_total|programming_duration_seconds_count)|[a-z_]*no_local_endpoints_total")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

func TestPendingIsThatOfTheFamilyBehind(t *testing.T) {
	metrics := NewMetrics("test", model.IPv4, model.IPv6)
	const names = "kubeproxy_sync_proxy_rules_(service|endpoint)_changes_pending"
	check := func(what string, endpoints, services string) {
		t.Helper()
		want := []string{"kubeproxy_sync_proxy_rules_endpoint_changes_pending " + endpoints, "kubeproxy_sync_proxy_rules_service_changes_pending " + services}
		if diff := cmp.Diff(want, values(t, metrics, names)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	metrics.SetPending(model.IPv4, Pending{Services: 1, EndpointSlices: 5})
	metrics.SetPending(model.IPv6, Pending{Services: 2, EndpointSlices: 3})
	check("both wait", "5", "2")
	metrics.SetPending(model.IPv4, Pending{})
	check("IPv4 is done", "3", "2")
	metrics.SetPending(model.IPv6, Pending{})
	check("both are done", "0", "0")
}

func TestOtherFailuresAreCounted(t *testing.T) {
	metrics := NewMetrics("test", model.IPv4)
	metrics.CleanupFailed(model.IPv4)
	metrics.ChecksFailed(model.IPv4, make([]*CheckError, 3))
	want := []string{
		`kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total{ip_family="IPv4"} 1`,
		`switchyard_node_service_check_failures_total{ip_family="IPv4"} 3`,
	}
	if diff := cmp.Diff(want, values(t, metrics, "[a-z_]*cleanup_failures_total|[a-z_]*check_failures_total")); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

// readerFunc is a TrafficReader for one test.
type readerFunc func() ([]ServiceTraffic, error)

func (f readerFunc) ReadTraffic(context.Context) ([]ServiceTraffic, error) { return f() }

// TestThePageListsEveryMetric compares docs/metrics.md with what is registered:
// names, types and labels.
func TestThePageListsEveryMetric(t *testing.T) {
	metrics := NewMetrics("test", model.IPv4)
	metrics.ServeTraffic(readerFunc(func() ([]ServiceTraffic, error) {
		return []ServiceTraffic{{Service: web, Family: model.IPv4, Counted: true}}, nil
	}), 1)
	metrics.ServeRoutes()
	metrics.ServeAnnouncements()
	metrics.CountRequests()
	askAPIServer(t)

	registered := map[string]listing{}
	for _, l := range *metrics.registry.listed {
		registered[l.name] = l
	}
	if diff := cmp.Diff(documented(t), registered, cmp.AllowUnexported(listing{})); diff != "" {
		t.Errorf("docs/metrics.md and the registry (-page +registry):\n%s", diff)
	}
	gathered, err := metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]string{}
	for _, family := range gathered {
		name := family.GetName()
		if _, ok := registered[name]; !ok && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s is served and not listed", name)
		}
		of[name] = strings.ToLower(family.GetType().String())
	}
	for _, name := range []string{"rest_client_requests_total", "rest_client_request_duration_seconds", "switchyard_node_service_tracked_bytes"} {
		if of[name] != registered[name].kind {
			t.Errorf("%s is served as %q and listed as %q", name, of[name], registered[name].kind)
		}
	}
}

// askAPIServer makes one request with client-go.
func askAPIServer(t *testing.T) {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	client, err := discovery.NewDiscoveryClientForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.ServerVersion(); !apierrors.IsNotFound(err) {
		t.Fatalf("a server without anything answers %v", err)
	}
}

// documented are the tables' rows that begin with a metric, without those of the
// manager, which package webhooks compares.
func documented(t *testing.T) map[string]listing {
	t.Helper()
	page, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	ours, _, _ := strings.Cut(string(page), "\n## Metrics of the manager's admission\n")
	rows := map[string]listing{}
	row := regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| (counter|gauge|histogram) \\|([a-z_, ]*)\\| .+ \\|$")
	for _, match := range row.FindAllStringSubmatch(ours, -1) {
		l := listing{name: match[1], kind: match[2]}
		if labels := strings.TrimSpace(match[3]); labels != "" {
			l.labels = strings.Split(labels, ", ")
		}
		if _, twice := rows[l.name]; twice {
			t.Errorf("the page lists %s twice", l.name)
		}
		rows[l.name] = l
	}
	return rows
}

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
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

func TestTheTimeOfARepairIsThatOfTheLastThing(t *testing.T) {
	metrics := NewMetrics("test", model.IPv4, model.IPv6)
	const name = "switchyard_node_last_repair_timestamp_seconds"
	metrics.Synced(Sync{Family: model.IPv4, Cause: "repair"})           // nothing was lost
	metrics.Synced(Sync{Family: model.IPv4, Cause: "start", Added: 10}) // nobody's fault
	if got := values(t, metrics, name); len(got) > 0 {
		t.Errorf("a time of no repair: %v", got)
	}
	before := time.Now().Unix()
	metrics.Synced(Sync{Family: model.IPv6, Cause: "repair", Deleted: 1})
	got := values(t, metrics, name)
	if len(got) != 1 || !strings.HasPrefix(got[0], name+`{ip_family="IPv6"} `) {
		t.Fatalf("metrics: %v", got)
	}
	at, err := strconv.ParseFloat(strings.Fields(got[0])[1], 64)
	if err != nil || int64(at) < before {
		t.Errorf("%s (%v), want at least %d", got[0], err, before)
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

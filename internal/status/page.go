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
	"bytes"
	"io"
	"time"

	"switchyard.dev/switchyard/internal/series"
)

// The metrics of docs/metrics.md that are read of an agent.
const (
	metricBuild        = "switchyard_node_build_info"
	metricServicePorts = "switchyard_node_service_ports"
	metricEndpoints    = "switchyard_node_endpoints"
	metricRepairs      = "switchyard_node_repairs_total"
	metricRepaired     = "switchyard_node_last_repair_timestamp_seconds"
	metricProblems     = "switchyard_node_problems_total"
	metricSynced       = "kubeproxy_sync_proxy_rules_last_timestamp_seconds"
	metricFailures     = "kubeproxy_sync_proxy_rules_nftables_sync_failures_total"
	metricSlices       = "kubeproxy_sync_proxy_rules_endpoint_changes_pending"
	metricServices     = "kubeproxy_sync_proxy_rules_service_changes_pending"
	metricStarted      = "process_start_time_seconds"
)

var agentMetrics = []string{
	metricBuild, metricServicePorts, metricEndpoints, metricRepairs, metricRepaired, metricProblems,
	metricSynced, metricFailures, metricSlices, metricServices, metricStarted,
}

// add reads an agent's page of metrics.
func (a *Answer) add(page []byte) error {
	return series.Read(bytes.NewReader(page), agentMetrics, func(name string, labels map[string]string, value float64) {
		switch name {
		case metricBuild:
			a.Version = labels["version"]
		case metricServicePorts:
			a.ServicePorts += int(value)
		case metricEndpoints:
			a.Endpoints += int(value)
		case metricRepairs:
			a.Repairs += int(value)
		case metricProblems:
			a.Problems += int(value)
		case metricFailures:
			a.Failures += int(value)
		case metricSlices, metricServices:
			a.Pending += int(value)
		case metricStarted:
			a.Started = moment(value)
		case metricSynced:
			if at := moment(value); a.Synced.IsZero() || at.Before(a.Synced) {
				a.Synced = at
			}
		case metricRepaired:
			if at := moment(value); value > 0 && at.After(a.Repaired) {
				a.Repaired = at
			}
		}
	})
}

// moment is a Unix time as metrics have it.
func moment(seconds float64) time.Time {
	return time.UnixMilli(int64(seconds * 1000))
}

// judgedMetric counts what managers have judged.
const judgedMetric = "switchyard_admission_requests_total"

// addJudged reads a manager's page of metrics into counts by result.
func addJudged(counts map[string]int, page []byte) error {
	return series.Read(bytes.NewReader(page), []string{judgedMetric}, func(_ string, labels map[string]string, value float64) {
		counts[labels["result"]] += int(value)
	})
}

// The API server's own metrics of webhooks.
const (
	webhookRequests = "apiserver_admission_webhook_request_total"
	webhookPassed   = "apiserver_admission_webhook_fail_open_count"
	webhookRejected = "apiserver_admission_webhook_rejection_count"
)

// webhookCounts reads the API server's page of metrics into counts by the name of
// the webhook, and "admit" or "validating" before it.
func webhookCounts(page io.Reader) (map[string]WebhookCounts, error) {
	counts := map[string]WebhookCounts{}
	err := series.Read(page, []string{webhookRequests, webhookPassed, webhookRejected},
		func(name string, labels map[string]string, value float64) {
			key := labels["type"] + "/" + labels["name"]
			of := counts[key]
			switch {
			case name == webhookRequests:
				of.Requests += int(value)
			case name == webhookPassed:
				of.Passed += int(value)
			case name == webhookRejected && labels["error_type"] == "no_error":
				of.Denied += int(value)
			case name == webhookRejected:
				of.Failed += int(value)
			}
			counts[key] = of
		})
	return counts, err
}

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
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Metrics are the agent's: those named kubeproxy_ mean what they mean there,
// those named switchyard_node_ are our own. docs/metrics.md lists them.
type Metrics struct {
	registry   registrar
	kubeproxy  kubeproxyMetrics
	switchyard switchyardMetrics

	// ServiceChanges and EndpointChanges count events of the API.
	ServiceChanges, EndpointChanges prometheus.Counter

	mu      sync.Mutex
	pending map[model.Family]Pending
}

// kubeproxyMetrics are kube-proxy's in nftables mode, as of 1.37.
type kubeproxyMetrics struct {
	syncAll, syncFull, syncPartial    *prometheus.HistogramVec
	lastSync, lastQueued              *prometheus.GaugeVec
	syncFailures, cleanupFailures     *prometheus.CounterVec
	programming                       *prometheus.HistogramVec
	noLocalEndpoints                  *prometheus.GaugeVec
	conntrackDuration                 *prometheus.HistogramVec
	conntrackDeleted                  *prometheus.CounterVec
	healthz, livez                    *prometheus.CounterVec
	servicesPending, endpointsPending prometheus.Gauge
}

type switchyardMetrics struct {
	servicePorts, endpoints *prometheus.GaugeVec
	written                 *prometheus.CounterVec
	programming             *prometheus.HistogramVec
	fullSyncs, repairs      *prometheus.CounterVec
	lastRepair              *prometheus.GaugeVec
	problems                *prometheus.CounterVec
	checkFailures           *prometheus.CounterVec
}

// The labels that several metrics share, and their values.
const (
	familyLabel = "ip_family"
	policyLabel = "traffic_policy"
	internal    = "internal"
	external    = "external"
)

// NewMetrics registers all metrics; version labels switchyard_node_build_info.
// Counters of the families exist at once, with 0, so that an alert on their
// rate sees the first event.
func NewMetrics(version string, families ...model.Family) *Metrics {
	r := registrar{Registry: prometheus.NewRegistry()}
	for _, family := range families {
		r.families = append(r.families, family.String())
	}
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.gauge("switchyard_node_build_info", "Always 1; the label is the version", "version").WithLabelValues(version).Set(1)
	m := &Metrics{registry: r, pending: map[model.Family]Pending{}}
	m.registerKubeproxy(r)
	m.registerSwitchyard(r)
	return m
}

func (m *Metrics) registerKubeproxy(r registrar) {
	syncs := prometheus.ExponentialBuckets(0.001, 2, 15)
	const noLocal = "ServicePorts with policy Local and endpoints on other nodes only"
	m.kubeproxy = kubeproxyMetrics{
		syncAll:     r.perFamily("kubeproxy_sync_proxy_rules_duration_seconds", "Latency of writing changes to the kernel", syncs),
		syncFull:    r.perFamily("kubeproxy_sync_full_proxy_rules_duration_seconds", "Latency of comparing everything with the kernel", syncs),
		syncPartial: r.perFamily("kubeproxy_sync_partial_proxy_rules_duration_seconds", "Latency of writing only what changed", syncs),
		// A time of 0 would look like a sync long ago: these two appear with
		// their first value.
		lastSync:   r.gauge("kubeproxy_sync_proxy_rules_last_timestamp_seconds", "When the kernel was last brought up to date", familyLabel),
		lastQueued: r.gauge("kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", "When a change was last queued", familyLabel),

		syncFailures:      r.familyCounter("kubeproxy_sync_proxy_rules_nftables_sync_failures_total", "Syncs that the kernel refused"),
		cleanupFailures:   r.familyCounter("kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total", "Removals of unused rules that the kernel refused"),
		programming:       r.perFamily("kubeproxy_network_programming_duration_seconds", "From a change to the rules of this node", programmingBuckets()),
		noLocalEndpoints:  r.gauge("kubeproxy_sync_proxy_rules_no_local_endpoints_total", noLocal, policyLabel, familyLabel),
		conntrackDuration: r.perFamily("kubeproxy_conntrack_reconciler_sync_duration_seconds", "Latency of deleting stale conntrack entries", syncs),
		conntrackDeleted:  r.familyCounter("kubeproxy_conntrack_reconciler_deleted_entries_total", "Stale conntrack entries deleted"),
		healthz:           r.counter("kubeproxy_proxy_healthz_total", "Answers of /healthz by status code", "code"),
		livez:             r.counter("kubeproxy_proxy_livez_total", "Answers of /livez by status code", "code"),

		servicesPending:  r.gauge("kubeproxy_sync_proxy_rules_service_changes_pending", "Service events that are not programmed yet").WithLabelValues(),
		endpointsPending: r.gauge("kubeproxy_sync_proxy_rules_endpoint_changes_pending", "EndpointSlice events that are not programmed yet").WithLabelValues(),
	}
	m.ServiceChanges = r.counter("kubeproxy_sync_proxy_rules_service_changes_total", "Service events").WithLabelValues()
	m.EndpointChanges = r.counter("kubeproxy_sync_proxy_rules_endpoint_changes_total", "EndpointSlice events").WithLabelValues()
	for _, code := range []string{"200", "503"} {
		m.kubeproxy.healthz.WithLabelValues(code)
		m.kubeproxy.livez.WithLabelValues(code)
	}
	for _, family := range r.families {
		m.kubeproxy.noLocalEndpoints.WithLabelValues(internal, family)
		m.kubeproxy.noLocalEndpoints.WithLabelValues(external, family)
	}
}

func (m *Metrics) registerSwitchyard(r registrar) {
	arrivals := prometheus.ExponentialBuckets(0.0005, 2, 18)
	m.switchyard = switchyardMetrics{
		servicePorts:  r.familyGauge("switchyard_node_service_ports", "ServicePorts programmed"),
		endpoints:     r.familyGauge("switchyard_node_endpoints", "Endpoints that take new connections, over all ServicePorts"),
		written:       r.counter("switchyard_node_elements_written_total", "Elements of maps and sets written to the kernel", familyLabel, "operation"),
		programming:   r.perFamily("switchyard_node_programming_duration_seconds", "From the arrival of a change here to its rules", arrivals),
		fullSyncs:     r.counter("switchyard_node_full_syncs_total", "Full syncs by what caused them", familyLabel, "cause"),
		repairs:       r.counter("switchyard_node_repairs_total", "Foreign changes to our tables undone, by what they had changed", familyLabel, "cause"),
		lastRepair:    r.gauge("switchyard_node_last_repair_timestamp_seconds", "When a foreign change was last undone", familyLabel),
		problems:      r.counter("switchyard_node_problems_total", "Parts of objects that could not be used", "kind", "field"),
		checkFailures: r.familyCounter("switchyard_node_service_check_failures_total", "Attempts to open a healthCheckNodePort that failed"),
	}
	for _, family := range r.families {
		for _, operation := range []string{opAdd, opDelete, opReplace} {
			m.switchyard.written.WithLabelValues(family, operation)
		}
		for _, cause := range []string{causeStart, causeRepair, causeNode, causeFailure} {
			m.switchyard.fullSyncs.WithLabelValues(family, cause)
		}
		for _, cause := range []string{lostTable, lostElements} {
			m.switchyard.repairs.WithLabelValues(family, cause)
		}
	}
}

// programmingBuckets are kube-proxy's: fine where it should be, up to five
// minutes where it must not be.
func programmingBuckets() []float64 {
	return slices.Concat([]float64{0.25, 0.5}, prometheus.LinearBuckets(1, 1, 59),
		prometheus.LinearBuckets(60, 5, 12), prometheus.LinearBuckets(120, 30, 7))
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Registry lets others add their metrics.
func (m *Metrics) Registry() prometheus.Registerer { return m.registry }

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
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Metrics are the agent's: those named kubeproxy_ mean what they mean there,
// those named switchyard_node_ are our own.
type Metrics struct {
	registry *prometheus.Registry

	syncAll, syncFull, syncPartial *prometheus.HistogramVec
	lastSync, lastQueued           *prometheus.GaugeVec
	syncFailures                   *prometheus.CounterVec
	programming                    *prometheus.HistogramVec
	conntrackDuration              *prometheus.HistogramVec
	conntrackDeleted               *prometheus.CounterVec
	healthz, livez                 *prometheus.CounterVec

	// ServiceChanges and EndpointChanges count events of the API.
	ServiceChanges, EndpointChanges prometheus.Counter

	decisions, endpoints *prometheus.GaugeVec
	problems             *prometheus.CounterVec
	fullSyncs            *prometheus.CounterVec
}

const family = "ip_family"

// NewMetrics registers all metrics; version labels switchyard_node_build_info.
func NewMetrics(version string) *Metrics {
	r := registrar{prometheus.NewRegistry()}
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.gauge("switchyard_node_build_info", "Always 1; the label is the version", "version").WithLabelValues(version).Set(1)
	syncs := prometheus.ExponentialBuckets(0.001, 2, 15)
	return &Metrics{
		registry:          r.Registry,
		syncAll:           r.histogram("kubeproxy_sync_proxy_rules_duration_seconds", "Latency of writing changes to the kernel", syncs),
		syncFull:          r.histogram("kubeproxy_sync_full_proxy_rules_duration_seconds", "Latency of comparing everything with the kernel", syncs),
		syncPartial:       r.histogram("kubeproxy_sync_partial_proxy_rules_duration_seconds", "Latency of writing only what changed", syncs),
		lastSync:          r.gauge("kubeproxy_sync_proxy_rules_last_timestamp_seconds", "When the kernel was last brought up to date", family),
		lastQueued:        r.gauge("kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", "When a change was last queued", family),
		syncFailures:      r.counter("kubeproxy_sync_proxy_rules_nftables_sync_failures_total", "Syncs that the kernel refused", family),
		programming:       r.histogram("kubeproxy_network_programming_duration_seconds", "From a change to the rules of this node", programmingBuckets()),
		conntrackDuration: r.histogram("kubeproxy_conntrack_reconciler_sync_duration_seconds", "Latency of deleting stale conntrack entries", syncs),
		conntrackDeleted:  r.counter("kubeproxy_conntrack_reconciler_deleted_entries_total", "Stale conntrack entries deleted", family),
		healthz:           r.counter("kubeproxy_proxy_healthz_total", "Answers of /healthz by status code", "code"),
		livez:             r.counter("kubeproxy_proxy_livez_total", "Answers of /livez by status code", "code"),
		ServiceChanges:    r.counter("kubeproxy_sync_proxy_rules_service_changes_total", "Service events").WithLabelValues(),
		EndpointChanges:   r.counter("kubeproxy_sync_proxy_rules_endpoint_changes_total", "EndpointSlice events").WithLabelValues(),
		decisions:         r.gauge("switchyard_node_service_ports", "ServicePorts programmed", family),
		endpoints:         r.gauge("switchyard_node_endpoints", "Endpoints that take new connections, over all ServicePorts", family),
		problems:          r.counter("switchyard_node_problems_total", "Parts of objects that could not be used", "kind"),
		fullSyncs:         r.counter("switchyard_node_full_syncs_total", "Full syncs by what caused them", family, "cause"),
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

// Queued counts a change that waits.
func (m *Metrics) Queued(f model.Family) { m.lastQueued.WithLabelValues(f.String()).SetToCurrentTime() }

// Problem counts a Problem of an object of the kind.
func (m *Metrics) Problem(kind string) { m.problems.WithLabelValues(kind).Inc() }

// Sync is one attempt to bring a family's table up to date.
type Sync struct {
	Family   model.Family
	Duration time.Duration
	// Cause is why everything was compared with the kernel, empty when only
	// changes were written.
	Cause string
	Err   error
	// ServicePorts and Endpoints are how many are programmed now.
	ServicePorts, Endpoints int
	// Triggers are when the causes of the change happened in the cluster.
	Triggers []time.Time
}

// Synced records one sync.
func (m *Metrics) Synced(s Sync) {
	label := s.Family.String()
	kind := m.syncPartial
	if s.Cause != "" {
		kind = m.syncFull
		m.fullSyncs.WithLabelValues(label, s.Cause).Inc()
	}
	for _, histogram := range []*prometheus.HistogramVec{m.syncAll, kind} {
		histogram.WithLabelValues(label).Observe(s.Duration.Seconds())
	}
	if s.Err != nil {
		m.syncFailures.WithLabelValues(label).Inc()
		return
	}
	m.lastSync.WithLabelValues(label).SetToCurrentTime()
	m.decisions.WithLabelValues(label).Set(float64(s.ServicePorts))
	m.endpoints.WithLabelValues(label).Set(float64(s.Endpoints))
	for _, trigger := range s.Triggers {
		m.programming.WithLabelValues(label).Observe(time.Since(trigger).Seconds())
	}
}

// Cleaned records one deletion of stale conntrack entries.
func (m *Metrics) Cleaned(f model.Family, took time.Duration, deleted int) {
	m.conntrackDuration.WithLabelValues(f.String()).Observe(took.Seconds())
	m.conntrackDeleted.WithLabelValues(f.String()).Add(float64(deleted))
}

// registrar makes and registers collectors in one step.
type registrar struct{ *prometheus.Registry }

func (r registrar) histogram(name, help string, buckets []float64) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{family})
	r.MustRegister(h)
	return h
}

func (r registrar) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	r.MustRegister(g)
	return g
}

func (r registrar) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.MustRegister(c)
	return c
}

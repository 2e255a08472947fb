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
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"switchyard.dev/switchyard/allocator"
)

var (
	allocationProblems = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "switchyard_allocator_problems_total",
		Help: "Numbers found to be held twice, out of range, or otherwise recorded by the API server, by the reason of the Event.",
	}, []string{"reason"})
	allocationRepairs = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "switchyard_allocator_repair_errors_total",
		Help: "Numbers the index had wrong when it was compared with the Services (leak or missing).",
	}, []string{"type"})
	allocationLeaks = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "switchyard_allocator_leaks_collected_total",
		Help: "Claims whose request has failed, and placeholders without a reservation, that were removed (claim or placeholder), " +
			"and ports that the API server was found not to give though nobody has them (server).",
	}, []string{"type"})
	allocationGauges = &allocationCollector{}
)

func init() {
	metrics.Registry.MustRegister(allocationProblems, allocationRepairs, allocationLeaks, allocationGauges)
}

// allocationCollector reads the counts the ranges keep anyway.
type allocationCollector struct {
	index atomic.Pointer[allocator.Services]
}

var (
	allocatedDesc = prometheus.NewDesc("switchyard_allocator_allocated",
		"Numbers in use, by range.", []string{"kind", "range", "family"}, nil)
	availableDesc = prometheus.NewDesc("switchyard_allocator_available",
		"Numbers that are free, by range.", []string{"kind", "range", "family"}, nil)
)

func (c *allocationCollector) watch(index *allocator.Services) { c.index.Store(index) }

// Describe implements prometheus.Collector.
func (c *allocationCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- allocatedDesc
	descs <- availableDesc
}

// Collect implements prometheus.Collector.
func (c *allocationCollector) Collect(values chan<- prometheus.Metric) {
	index := c.index.Load()
	if index == nil {
		return
	}
	seen := map[string]bool{} // two ServiceCIDR objects may name one prefix
	for _, s := range index.Stats() {
		if seen[s.Range] {
			continue
		}
		seen[s.Range] = true
		labels := []string{string(s.Kind), s.Range, strings.ToLower(string(s.Family))}
		values <- prometheus.MustNewConstMetric(allocatedDesc, prometheus.GaugeValue, float64(s.Allocated), labels...)
		values <- prometheus.MustNewConstMetric(availableDesc, prometheus.GaugeValue, float64(s.Free), labels...)
	}
}

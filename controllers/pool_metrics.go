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
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// mostPools bounds the pools of a kind that have series: the first by name.
const mostPools = 500

// What becomes of the numbers of a pool. Together they are its capacity.
const (
	stateAllocated = "allocated"
	stateReserved  = "reserved"
	stateFree      = "free"
	// stateDisabled is in the place of free where the pool gives nothing away: it is
	// being drained, so that nobody waits for more of them.
	stateDisabled = "disabled"
)

var poolNumbersDesc = prometheus.NewDesc("switchyard_pool_numbers",
	"Numbers of a pool, by what they are for and by state (allocated, reserved, and free or disabled); the states add up to its capacity.",
	[]string{"pool", "use", "family", "state"}, nil)

var poolsUncountedDesc = prometheus.NewDesc("switchyard_pools_uncounted",
	"Pools that have no switchyard_pool_numbers, as there are 500 of the kind before them by name.",
	[]string{"kind"}, nil)

// poolNumbers are the counts of the leader's last look at pools.
var poolNumbers = &poolCollector{}

func init() { metrics.Registry.MustRegister(poolNumbers) }

// poolSample counts a pool, or one family of it; family is empty for ports.
type poolSample struct {
	pool, use string
	family    corev1.IPFamily
	count     allocator.PoolCount
	disabled  bool
}

// poolSamples are those of a kind of pool.
type poolSamples struct {
	samples []poolSample
	// uncounted is how many pools have none.
	uncounted int
}

// poolCollector keeps what was counted for the status of pools anyway.
type poolCollector struct {
	mu               sync.Mutex
	ports, addresses poolSamples
}

// takePorts replaces what is known of port pools.
func (c *poolCollector) takePorts(views []allocator.PortPoolView) {
	counted := views[:min(len(views), mostPools)]
	samples := make([]poolSample, 0, len(counted))
	for _, v := range counted {
		samples = append(samples, poolSample{v.Name, string(allocator.NodePort), "", v.Count, false})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ports = poolSamples{samples, len(views) - len(counted)}
}

// takeAddresses replaces what is known of address pools. A family that a pool has
// nothing of has no series.
func (c *poolCollector) takeAddresses(views []allocator.AddrPoolView) {
	var samples []poolSample
	counted := views[:min(len(views), mostPools)]
	for _, v := range counted {
		for _, of := range []poolSample{
			{v.Name, string(v.Use), corev1.IPv4Protocol, v.IPv4, v.Disabled},
			{v.Name, string(v.Use), corev1.IPv6Protocol, v.IPv6, v.Disabled},
		} {
			if of.count.Capacity > 0 {
				samples = append(samples, of)
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addresses = poolSamples{samples, len(views) - len(counted)}
}

// forget leaves nothing of a kind of which there are no pools any more.
func (c *poolCollector) forget(list client.ObjectList) {
	switch list.(type) {
	case *v1alpha1.PortPoolList:
		c.takePorts(nil)
	case *v1alpha1.AddressPoolList:
		c.takeAddresses(nil)
	}
}

// Describe implements prometheus.Collector.
func (c *poolCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- poolNumbersDesc
	descs <- poolsUncountedDesc
}

// Collect implements prometheus.Collector.
func (c *poolCollector) Collect(values chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for kind, pools := range map[string]poolSamples{"PortPool": c.ports, "AddressPool": c.addresses} {
		for _, s := range pools.samples {
			s.collect(values)
		}
		values <- prometheus.MustNewConstMetric(poolsUncountedDesc, prometheus.GaugeValue, float64(pools.uncounted), kind)
	}
}

func (s poolSample) collect(values chan<- prometheus.Metric) {
	rest := stateFree
	if s.disabled {
		rest = stateDisabled
	}
	for state, n := range map[string]uint64{stateAllocated: s.count.Allocated, stateReserved: s.count.Reserved, rest: s.count.Free} {
		values <- prometheus.MustNewConstMetric(poolNumbersDesc, prometheus.GaugeValue, float64(n),
			s.pool, s.use, strings.ToLower(string(s.family)), state)
	}
}

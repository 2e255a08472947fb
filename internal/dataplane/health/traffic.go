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
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Volume is what a Service has carried in one direction.
type Volume struct{ Packets, Bytes uint64 }

// ServiceTraffic is what a Service has carried on this node in one family. The
// numbers may begin anew at any time, as those of elements do when the kernel is
// given them again.
type ServiceTraffic struct {
	Service types.NamespacedName
	Family  model.Family
	// Connections were begun through the Service.
	Connections uint64
	// Counted says that the volumes are known: conntrack accounting is on.
	Counted bool
	// Original are packets of clients, Reply those of endpoints.
	Original, Reply Volume
}

// TrafficReader reads the kernel's counters, a Service and family at most once.
type TrafficReader interface {
	ReadTraffic(context.Context) ([]ServiceTraffic, error)
}

// trafficPatience bounds a read: Prometheus waits for ten seconds by default.
const trafficPatience = 5 * time.Second

// otherServices is in the place of Services beyond the limit; no Service is
// without a namespace.
var otherServices = types.NamespacedName{Name: "other"}

// ServeTraffic adds traffic per Service, read on each scrape. The first
// maxServices that are seen have series of their own for as long as they exist;
// the others share one with namespace "" and service "other".
func (m *Metrics) ServeTraffic(reader TrafficReader, maxServices int) {
	r := m.registry
	byService := []string{"namespace", "service", familyLabel}
	byDirection := append(slices.Clone(byService), "direction")
	t := &traffic{
		reader: reader, room: maxServices,
		own: map[types.NamespacedName]bool{}, last: map[trafficKey]ServiceTraffic{}, totals: map[trafficKey]ServiceTraffic{},
		connections: prometheus.NewDesc("switchyard_node_service_connections_total", "Connections begun through the Service", byService, nil),
		packets:     prometheus.NewDesc("switchyard_node_service_packets_total", "Packets of the Service's connections", byDirection, nil),
		bytes:       prometheus.NewDesc("switchyard_node_service_bytes_total", "Bytes of the Service's connections", byDirection, nil),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "switchyard_node_service_traffic_failures_total", Help: "Scrapes that could not read the kernel's counters",
		}),
	}
	r.list("counter", "switchyard_node_service_traffic_failures_total", nil, t)
	*r.listed = append(*r.listed, listing{"switchyard_node_service_connections_total", "counter", byService},
		listing{"switchyard_node_service_packets_total", "counter", byDirection},
		listing{"switchyard_node_service_bytes_total", "counter", byDirection})
}

type trafficKey struct {
	service types.NamespacedName
	family  model.Family
}

// traffic makes counters that only grow of numbers that may begin anew.
type traffic struct {
	reader                      TrafficReader
	connections, packets, bytes *prometheus.Desc
	failures                    prometheus.Counter

	mu sync.Mutex
	// own have series of their own, room is for how many more.
	own  map[types.NamespacedName]bool
	room int
	// last is what was read last, totals what is served.
	last, totals map[trafficKey]ServiceTraffic
}

// Describe is part of prometheus.Collector.
func (t *traffic) Describe(to chan<- *prometheus.Desc) {
	to <- t.connections
	to <- t.packets
	to <- t.bytes
	t.failures.Describe(to)
}

// Collect is part of prometheus.Collector. When the kernel can not be read, the
// numbers are those of the last time.
func (t *traffic) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), trafficPatience)
	defer cancel()
	t.mu.Lock()
	defer t.mu.Unlock()
	if read, err := t.reader.ReadTraffic(ctx); err != nil {
		t.failures.Inc()
	} else {
		t.take(read)
	}
	t.failures.Collect(to)
	for key, total := range t.totals {
		t.send(to, key, total)
	}
}

func (t *traffic) send(to chan<- prometheus.Metric, key trafficKey, total ServiceTraffic) {
	send := func(desc *prometheus.Desc, value uint64, more ...string) {
		labels := append([]string{key.service.Namespace, key.service.Name, key.family.String()}, more...)
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
	}
	send(t.connections, total.Connections)
	if !total.Counted {
		return
	}
	for direction, volume := range map[string]Volume{"original": total.Original, "reply": total.Reply} {
		send(t.packets, volume.Packets, direction)
		send(t.bytes, volume.Bytes, direction)
	}
}

// take adds what has come since the last time. Those who are gone make room for
// others first.
func (t *traffic) take(read []ServiceTraffic) {
	read = slices.SortedFunc(slices.Values(read), func(a, b ServiceTraffic) int {
		return cmp.Or(strings.Compare(a.Service.Namespace, b.Service.Namespace), strings.Compare(a.Service.Name, b.Service.Name),
			cmp.Compare(a.Family, b.Family))
	})
	t.forget(read)
	for _, now := range read {
		key := trafficKey{now.Service, now.Family}
		served := key
		if !t.hasOwn(now.Service) {
			served.service = otherServices
		}
		t.totals[served] = t.totals[served].plus(now, t.last[key])
		t.last[key] = now
	}
}

func (t *traffic) hasOwn(service types.NamespacedName) bool {
	if !t.own[service] && t.room > 0 {
		t.own[service] = true
		t.room--
	}
	return t.own[service]
}

func (t *traffic) forget(read []ServiceTraffic) {
	keys, services := map[trafficKey]bool{}, map[types.NamespacedName]bool{}
	for _, now := range read {
		keys[trafficKey{now.Service, now.Family}], services[now.Service] = true, true
	}
	for key := range t.last {
		if !keys[key] {
			delete(t.last, key)
			delete(t.totals, key)
		}
	}
	for service := range t.own {
		if !services[service] {
			delete(t.own, service)
			t.room++
		}
	}
}

// plus adds the growth between two readings.
func (s ServiceTraffic) plus(now, before ServiceTraffic) ServiceTraffic {
	s.Counted = s.Counted || now.Counted
	s.Connections += grown(now.Connections, before.Connections)
	s.Original = s.Original.plus(now.Original, before.Original)
	s.Reply = s.Reply.plus(now.Reply, before.Reply)
	return s
}

func (v Volume) plus(now, before Volume) Volume {
	return Volume{v.Packets + grown(now.Packets, before.Packets), v.Bytes + grown(now.Bytes, before.Bytes)}
}

// grown takes a number that is smaller than before for one that began at 0.
func grown(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

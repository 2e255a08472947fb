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

// Tracked is what the connections that are tracked at a moment have carried so
// far, in both directions.
type Tracked struct{ Connections, Packets, Bytes uint64 }

// ServiceTraffic is what a Service carries on this node in one family.
type ServiceTraffic struct {
	Service types.NamespacedName
	Family  model.Family
	// Begun are the connections begun through the Service since some moment;
	// they may begin anew at 0 at any time, as the counters of elements do when
	// the kernel is given them again.
	Begun   uint64
	Tracked Tracked
	// Counted says that the kernel counts packets and bytes.
	Counted bool
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
	labels := []string{"namespace", "service", familyLabel}
	describe := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, labels, nil) }
	t := &traffic{
		reader: reader, room: maxServices,
		own: map[types.NamespacedName]bool{}, begun: map[trafficKey]uint64{}, served: map[trafficKey]ServiceTraffic{},
		connections: describe("switchyard_node_service_connections_total", "Connections begun through the Service"),
		tracked:     describe("switchyard_node_service_tracked_connections", "Connections of the Service that are tracked now"),
		packets:     describe("switchyard_node_service_tracked_packets", "Packets that those have carried so far"),
		bytes:       describe("switchyard_node_service_tracked_bytes", "Bytes that those have carried so far"),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "switchyard_node_service_traffic_failures_total", Help: "Scrapes that could not read the kernel's counters",
		}),
	}
	m.registry.MustRegister(t)
}

type trafficKey struct {
	service types.NamespacedName
	family  model.Family
}

// traffic makes counters that only grow of numbers that may begin anew.
type traffic struct {
	reader                               TrafficReader
	connections, tracked, packets, bytes *prometheus.Desc
	failures                             prometheus.Counter

	mu sync.Mutex
	// own have series of their own, room is for how many more.
	own  map[types.NamespacedName]bool
	room int
	// begun is what was read last, served what is shown.
	begun  map[trafficKey]uint64
	served map[trafficKey]ServiceTraffic
}

// Describe is part of prometheus.Collector.
func (t *traffic) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{t.connections, t.tracked, t.packets, t.bytes, t.failures.Desc()} {
		to <- desc
	}
}

// Collect is part of prometheus.Collector. When the kernel can not be read,
// counters stay as they are and gauges are left out.
func (t *traffic) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), trafficPatience)
	defer cancel()
	t.mu.Lock()
	defer t.mu.Unlock()
	read, err := t.reader.ReadTraffic(ctx)
	if err == nil {
		t.take(read)
	} else {
		t.failures.Inc()
	}
	to <- t.failures
	for key, served := range t.served {
		send := func(desc *prometheus.Desc, kind prometheus.ValueType, value uint64) {
			to <- prometheus.MustNewConstMetric(desc, kind, float64(value), key.service.Namespace, key.service.Name, key.family.String())
		}
		send(t.connections, prometheus.CounterValue, served.Begun)
		if err == nil {
			send(t.tracked, prometheus.GaugeValue, served.Tracked.Connections)
		}
		if err == nil && served.Counted {
			send(t.packets, prometheus.GaugeValue, served.Tracked.Packets)
			send(t.bytes, prometheus.GaugeValue, served.Tracked.Bytes)
		}
	}
}

// take adds what has begun since the last time and replaces the rest. Those who
// are gone make room for others first.
func (t *traffic) take(read []ServiceTraffic) {
	read = slices.SortedFunc(slices.Values(read), func(a, b ServiceTraffic) int {
		return cmp.Or(strings.Compare(a.Service.Namespace, b.Service.Namespace), strings.Compare(a.Service.Name, b.Service.Name),
			cmp.Compare(a.Family, b.Family))
	})
	t.forget(read)
	for key, served := range t.served {
		t.served[key] = ServiceTraffic{Begun: served.Begun}
	}
	for _, now := range read {
		key := trafficKey{now.Service, now.Family}
		shown := key
		if !t.hasOwn(now.Service) {
			shown.service = otherServices
		}
		t.served[shown] = t.served[shown].plus(now, t.begun[key])
		t.begun[key] = now.Begun
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
	for key := range t.begun {
		if !keys[key] {
			delete(t.begun, key)
			delete(t.served, key)
		}
	}
	for service := range t.own {
		if !services[service] {
			delete(t.own, service)
			t.room++
		}
	}
}

// plus adds what now carries, of which begunBefore is known already. A number
// that is smaller than before has begun at 0 again.
func (s ServiceTraffic) plus(now ServiceTraffic, begunBefore uint64) ServiceTraffic {
	if now.Begun < begunBefore {
		begunBefore = 0
	}
	s.Begun += now.Begun - begunBefore
	s.Tracked.Connections += now.Tracked.Connections
	s.Tracked.Packets += now.Tracked.Packets
	s.Tracked.Bytes += now.Tracked.Bytes
	s.Counted = s.Counted || now.Counted
	return s
}

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
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Routes are the metrics of routed announcement.
type Routes struct {
	prefixes *prometheus.GaugeVec
	told     *prometheus.CounterVec
	pending  prometheus.Gauge
	last     *prometheus.GaugeVec
}

// The values of the label result.
const (
	resultTaken  = "taken"
	resultFailed = "failed"
)

// ServeRoutes adds the metrics of routed announcement.
func (m *Metrics) ServeRoutes() *Routes {
	r := m.registry
	routes := &Routes{
		prefixes: r.gauge("switchyard_node_routes_announced", "Prefixes that the routing daemon has taken", familyLabel),
		told:     r.counter("switchyard_node_routes_told_total", "Times that the routing daemon was told, by result", "result"),
		pending:  r.gauge("switchyard_node_routes_pending", "1 while the routing daemon has not taken what is wanted").WithLabelValues(),
		last:     r.gauge("switchyard_node_routes_last_timestamp_seconds", "When the routing daemon was last found to announce what is wanted"),
	}
	for _, result := range []string{resultTaken, resultFailed} {
		routes.told.WithLabelValues(result)
	}
	routes.Announced(0, 0)
	return routes
}

// Announced says how many prefixes of each family the daemon has taken.
func (r *Routes) Announced(ipv4, ipv6 int) {
	r.prefixes.WithLabelValues(model.IPv4.String()).Set(float64(ipv4))
	r.prefixes.WithLabelValues(model.IPv6.String()).Set(float64(ipv6))
}

// Told counts a time that the daemon was told, or could not be.
func (r *Routes) Told(err error) {
	result := resultTaken
	if err != nil {
		result = resultFailed
	}
	r.told.WithLabelValues(result).Inc()
}

// Pending says whether the daemon has not taken what is wanted.
func (r *Routes) Pending(pending bool) {
	if pending {
		r.pending.Set(1)
		return
	}
	r.pending.Set(0)
	r.last.WithLabelValues().Set(float64(time.Now().Unix()))
}

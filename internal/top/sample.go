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

package top

import (
	"fmt"
	"io"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/series"
)

// Counts are of one Service on one node, both IP families together.
type Counts struct {
	// Connections are those begun since the node first programmed the Service,
	// Tracked those that are tracked now.
	Connections, Tracked uint64
	// Packets and Bytes are what the tracked ones have carried so far; they
	// say something if Counted.
	Packets, Bytes uint64
	Counted        bool
}

// Sample is what one agent said at a time.
type Sample struct {
	Node string
	Time time.Time
	// Counting is false if the agent does not count (--count-connections).
	Counting bool
	Services map[types.NamespacedName]Counts
}

// Newest are the samples of now, and of nodes that have none there, those of
// before: the rate of an agent that was away spans the whole time.
func Newest(now, before []Sample) []Sample {
	newest := slices.Clone(now)
	for _, old := range before {
		if !slices.ContainsFunc(now, func(s Sample) bool { return s.Node == old.Node }) {
			newest = append(newest, old)
		}
	}
	return newest
}

// The metrics of docs/metrics.md that are read here.
const (
	prefix   = "switchyard_node_service_"
	begun    = prefix + "connections_total"
	tracked  = prefix + "tracked_connections"
	packets  = prefix + "tracked_packets"
	octets   = prefix + "tracked_bytes"
	failures = prefix + "traffic_failures_total"
)

// Read reads an agent's page /metrics.
func Read(node string, at time.Time, page io.Reader) (Sample, error) {
	s := Sample{Node: node, Time: at, Services: map[types.NamespacedName]Counts{}}
	if err := series.Read(page, []string{begun, tracked, packets, octets, failures}, s.add); err != nil {
		return s, fmt.Errorf("reading the metrics of %s: %w", node, err)
	}
	return s, nil
}

// add adds one series.
func (s *Sample) add(metric string, labels map[string]string, value float64) {
	if metric == failures {
		s.Counting = true // served even before there is a Service
		return
	}
	name := types.NamespacedName{Namespace: labels["namespace"], Name: labels["service"]}
	counts := s.Services[name]
	counts.add(metric, uint64(value))
	s.Services[name] = counts
}

func (c *Counts) add(metric string, number uint64) {
	switch metric {
	case begun:
		c.Connections += number
	case tracked:
		c.Tracked += number
	case packets:
		c.Packets += number
		c.Counted = true
	case octets:
		c.Bytes += number
		c.Counted = true
	}
}

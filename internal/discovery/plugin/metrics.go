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

package plugin

import (
	"errors"
	"time"

	coreplugin "github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"switchyard.dev/switchyard/internal/discovery"
)

// latency measures how long changes take to be answered, from what caused them.
// What was caused before since is not counted: a list tells of it long after.
type latency struct {
	durations *prometheus.HistogramVec
	since     time.Time
}

// newLatency registers the metric under the name that dashboards know, the
// indicator of
// https://github.com/kubernetes/community/blob/master/sig-scalability/slos/dns_programming_latency.md
func newLatency(since time.Time) *latency {
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace:                   coreplugin.Namespace,
		Subsystem:                   "kubernetes",
		Name:                        "dns_programming_duration_seconds",
		Help:                        "Histogram of the time (in seconds) it took to program a dns instance.",
		Buckets:                     prometheus.ExponentialBuckets(0.001, 2, 20),
		NativeHistogramBucketFactor: coreplugin.NativeHistogramBucketFactor,
	}, []string{"service_kind"})
	// A reloaded configuration, and CoreDNS's kubernetes plugin beside us in a
	// test, have registered it already.
	if there, is := errors.AsType[prometheus.AlreadyRegisteredError](prometheus.Register(durations)); is {
		if before, ok := there.ExistingCollector.(*prometheus.HistogramVec); ok {
			durations = before
		}
	}
	return &latency{durations: durations, since: since}
}

// observe takes a slice that is answered as of now.
func (l *latency) observe(eps *discoveryv1.EndpointSlice, index *discovery.Index) {
	text, given := eps.Annotations[corev1.EndpointsLastChangeTriggerTime]
	if !given {
		return
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || at.Before(l.since) {
		return
	}
	headless, exists := index.Headless(eps.Namespace, eps.Labels[discoveryv1.LabelServiceName])
	if !exists {
		return
	}
	kind := "cluster_ip"
	if headless {
		kind = "headless_with_selector"
	}
	l.durations.WithLabelValues(kind).Observe(time.Since(at).Seconds())
}

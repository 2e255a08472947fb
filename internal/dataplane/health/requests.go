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
	"context"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientmetrics "k8s.io/client-go/tools/metrics"
)

// CountRequests counts and times the requests that client-go makes, as all
// parts of Kubernetes do. Call it before the first client is made.
func (m *Metrics) CountRequests() {
	r := m.registry
	clientmetrics.RequestResult = requestResult{
		r.counter("rest_client_requests_total", "Requests to the API server by status code", "code", "method", "host"),
	}
	clientmetrics.RequestLatency = requestLatency{
		r.histogram("rest_client_request_duration_seconds", "Latency of requests to the API server",
			[]float64{0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60}, "verb", "host"),
	}
}

type requestResult struct{ *prometheus.CounterVec }

// Increment counts one request.
func (r requestResult) Increment(_ context.Context, code, method, host string) {
	r.WithLabelValues(code, method, host).Inc()
}

type requestLatency struct{ *prometheus.HistogramVec }

// Observe takes the duration of one request.
func (r requestLatency) Observe(_ context.Context, verb string, u url.URL, took time.Duration) {
	r.WithLabelValues(verb, u.Host).Observe(took.Seconds())
}

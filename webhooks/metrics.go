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

package webhooks

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// How a validating request ended.
const (
	resultAllowed  = "allowed"
	resultWarned   = "warned"
	resultDenied   = "denied"
	resultAudited  = "audited"  // allowed, and would be denied without the audit mode
	resultUnjudged = "unjudged" // a rule that may deny could not be judged
)

// All labels are bounded: by the kinds that are served, by CREATE and UPDATE, by
// the results above, and by the rule table.
var (
	requestsCounter = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "switchyard_admission_requests_total",
		Help: "Validating requests, by kind, operation and result (allowed, warned, denied, audited, unjudged).",
	}, []string{"kind", "operation", "result"})
	durationHistogram = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "switchyard_admission_duration_seconds",
		Help:    "Time to judge one validating request, by kind.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2},
	}, []string{"kind"})
	findingsCounter = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "switchyard_admission_findings_total",
		Help: "Objections of the admission rules, by rule and by what they led to (deny, warn or audit).",
	}, []string{"rule", "action"})
)

func init() { metrics.Registry.MustRegister(requestsCounter, durationHistogram, findingsCounter) }

func countRequest(kind string, operation admissionv1.Operation, result string, took time.Duration) {
	requestsCounter.WithLabelValues(kind, strings.ToLower(string(operation)), result).Inc()
	durationHistogram.WithLabelValues(kind).Observe(took.Seconds())
}

func countFinding(rule Rule, action string) { findingsCounter.WithLabelValues(rule.ID, action).Inc() }

// actionAudit is what a finding that would deny leads to in the audit mode.
const actionAudit = "audit"

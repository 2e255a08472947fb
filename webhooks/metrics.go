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
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// findingsCounter counts what the rules objected to. Both labels are bounded by the
// rule table and by the two outcomes.
var findingsCounter = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "switchyard_admission_findings_total",
	Help: "Objections of the admission rules, by rule and by what they led to (deny or warn).",
}, []string{"rule", "action"})

// unjudgedCounter counts rules that could not be judged, mostly because a read failed.
var unjudgedCounter = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "switchyard_admission_unjudged_total",
	Help: "Changes that passed or failed without being judged because a read failed, by kind.",
}, []string{"kind"})

func init() {
	metrics.Registry.MustRegister(findingsCounter, unjudgedCounter)
}

func countFindings(rule Rule, severity Severity, found []Finding) {
	for _, f := range found {
		action := severity
		if f.WarnOnly {
			action = Warn
		}
		findingsCounter.WithLabelValues(rule.ID, string(action)).Inc()
	}
}

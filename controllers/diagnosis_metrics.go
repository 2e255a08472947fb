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
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"switchyard.dev/switchyard/internal/diagnosis"
)

var (
	diagnosisWrites = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "switchyard_diagnosis_writes_total",
		Help: "Writes of Services' conditions. result is written or failed; the latter are tried again.",
	}, []string{"result"})
	diagnosisTransitions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "switchyard_diagnosis_transitions_total",
		Help: "Conditions of Services that were written with another status or reason, by type and new status.",
	}, []string{"type", "status"})
)

func init() {
	metrics.Registry.MustRegister(diagnosisWrites, diagnosisTransitions)
	for _, result := range []string{"written", "failed"} {
		diagnosisWrites.WithLabelValues(result)
	}
	for _, kind := range []string{diagnosis.EndpointsAvailable, diagnosis.Reachable, diagnosis.AddressAllocated, diagnosis.Conflicted} {
		for _, status := range []string{"True", "False", "Unknown"} {
			diagnosisTransitions.WithLabelValues(kind, status)
		}
	}
}

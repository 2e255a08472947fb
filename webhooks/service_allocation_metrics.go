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

	"switchyard.dev/switchyard/allocator"
)

// How an admission request ended.
const (
	outcomeAssigned  = "assigned"  // we set numbers
	outcomeUntouched = "untouched" // nothing to decide
	outcomeDenied    = "denied"
	outcomeUnjudged  = "unjudged" // left to the server because we could not decide
)

var (
	allocationRequests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "switchyard_allocator_requests_total",
		Help: "Admission requests for Services, by how they ended (assigned, untouched, denied, unjudged).",
	}, []string{"result"})
	allocationsMade = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "switchyard_allocator_allocations_total",
		Help: "Numbers chosen by the webhook, by the field they are for.",
	}, []string{"kind"})
	allocationErrors = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "switchyard_allocator_allocation_errors_total",
		Help: "Numbers that could not be given, by field and by whether they were asked for (static) or not (dynamic).",
	}, []string{"kind", "scope"})
	claimConflicts = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "switchyard_allocator_claim_conflicts_total",
		Help: "Numbers that another replica had claimed first.",
	})
)

func init() {
	metrics.Registry.MustRegister(allocationRequests, allocationsMade, allocationErrors, claimConflicts)
}

func countAllocation(outcome string) { allocationRequests.WithLabelValues(outcome).Inc() }

func countClaimConflict() { claimConflicts.Inc() }

func countAssignments(assignments []allocator.Assignment) {
	for _, assignment := range assignments {
		if !assignment.Explicit {
			allocationsMade.WithLabelValues(string(assignment.Field.Kind)).Inc()
		}
	}
}

func countRefusal(refusal allocator.Refusal) {
	scope := "static"
	if refusal.Full != "" || refusal.Manual != nil {
		scope = "dynamic"
	}
	allocationErrors.WithLabelValues(string(refusal.Field.Kind), scope).Inc()
}

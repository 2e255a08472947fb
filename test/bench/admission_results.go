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

package main

import (
	"slices"
	"time"
)

// admissionResult is what was measured of the webhooks in one way of asking.
type admissionResult struct {
	// Webhooks is the way of asking, by the manager's allocation mode.
	Webhooks string `json:"webhooks"`
	Services int    `json:"services"`
	// Clients ask at a time, each the next when the last is answered, or so often
	// in a second altogether.
	Clients string `json:"clients"`
	// Create, Update and Delete are what the clients see.
	Create quantiles `json:"create"`
	Update quantiles `json:"update"`
	Delete quantiles `json:"delete"`
	// Refused counts requests that somebody else's number was in the way of.
	Refused   int     `json:"refused"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"perSecond"`
	// Own is the mutating webhook's own work; Mutating and Validating are all that
	// passes between a request and its answer in the manager. The values are the
	// upper bounds of buckets that are a tenth wide.
	Own        quantiles `json:"own"`
	Mutating   quantiles `json:"mutating"`
	Validating quantiles `json:"validating"`
	// SeenMutating and SeenValidating are the calls as the API server sees them,
	// SeenBoth their sum for the same request.
	SeenMutating   quantiles `json:"seenMutating"`
	SeenValidating quantiles `json:"seenValidating"`
	SeenBoth       quantiles `json:"seenBoth"`
	// Late is how many of all Called calls the API server's own metric has above
	// 25 ms, the bound of it that is next above the target.
	Late   uint64 `json:"callsAbove25ms"`
	Called uint64 `json:"calls"`
	// ManagerCPU and ServerCPU are milliseconds of CPU time per request.
	ManagerCPU float64 `json:"managerCpuMs"`
	ServerCPU  float64 `json:"serverCpuMs"`
	asked      int
}

// add books what was read before and after a number of requests.
func (r *admissionResult) add(before, after reading, took time.Duration, asked int) {
	perRequest := func(sofar float64, more time.Duration) float64 {
		return (sofar*float64(r.asked) + milliseconds(more)) / float64(r.asked+asked)
	}
	r.ManagerCPU = perRequest(r.ManagerCPU, after.managerCPU-before.managerCPU)
	r.ServerCPU = perRequest(r.ServerCPU, after.serverCPU-before.serverCPU)
	r.asked += asked
	r.Seconds += took.Seconds()
	r.PerSecond = float64(r.asked) / r.Seconds
	spent := func(metric, label, value string) quantiles {
		of := func(m metrics) native { return nativeOf(m.histograms(metric, map[string]string{label: value})) }
		return of(after.manager).since(of(before.manager)).quantiles()
	}
	r.Own = spent(ownWork, "part", "own")
	r.Mutating, r.Validating = spent(handling, "webhook", mutatingPath), spent(handling, "webhook", validatingPath)
	for _, name := range []string{mutatingName, validatingName} {
		labels := map[string]string{"name": name}
		in0, all0 := within(before.server.histograms(seenLatency, labels), seenWithin)
		in1, all1 := within(after.server.histograms(seenLatency, labels), seenWithin)
		r.Called += all1 - all0
		r.Late += (all1 - all0) - (in1 - in0)
	}
}

// quantiles are of durations, in milliseconds.
type quantiles struct {
	Samples int     `json:"samples"`
	P50     float64 `json:"p50Ms"`
	P90     float64 `json:"p90Ms"`
	P99     float64 `json:"p99Ms"`
	Max     float64 `json:"maxMs"`
}

func quantilesOf(durations []time.Duration) quantiles {
	if len(durations) == 0 {
		return quantiles{}
	}
	slices.Sort(durations)
	at := func(q float64) float64 { return milliseconds(quantile(durations, q)) }
	return quantiles{Samples: len(durations), P50: at(0.5), P90: at(0.9), P99: at(0.99), Max: at(1)}
}

func quantilesBy[T any](all []T, of func(T) time.Duration) quantiles {
	var durations []time.Duration
	for _, one := range all {
		durations = append(durations, of(one))
	}
	return quantilesOf(durations)
}

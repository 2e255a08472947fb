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

import "time"

// dnsResult is what was measured of one DNS server, with or without its cache.
type dnsResult struct {
	Name   string `json:"name"`
	Cached bool   `json:"cached"`
	Size   size   `json:"size"`
	// Start is from the start of the process until its answers are right, StartCPU
	// its CPU time until then: medians of all starts.
	Start    float64 `json:"startMs"`
	StartCPU float64 `json:"startCpuMs"`
	Starts   int     `json:"starts"`
	// Started is the resident memory then, PeakBytes the most that it had been, and
	// SteadyBytes what it was after all that follows: the greatest of all turns.
	StartedBytes int64 `json:"startedBytes"`
	PeakBytes    int64 `json:"peakBytes"`
	SteadyBytes  int64 `json:"steadyBytes"`
	// Full is of clients that ask again as soon as they have an answer, Paced of
	// pacedRate queries a second.
	Full  dnsLoad `json:"full"`
	Paced dnsLoad `json:"paced"`
	// Change is from before an EndpointSlice is sent until a query is answered with
	// it. With a cache it is not measured: that would be the cache's time.
	Change latency `json:"change"`
}

type dnsLoad struct {
	Queries int     `json:"queries"`
	Seconds float64 `json:"seconds"`
	// Wrong are answers other than what the objects say, Lost those that did not come.
	Wrong int `json:"wrong"`
	Lost  int `json:"lost"`
	// Took is how long a client waited for an answer.
	Took quantiles `json:"took"`
	// CPU is the server's time for a query.
	CPU float64 `json:"cpuUsPerQuery"`
}

func (l dnsLoad) perSecond() float64 { return float64(l.Queries) / max(l.Seconds, 1e-9) }

// dnsTurns is what was measured in all turns of one kind.
type dnsTurns struct {
	dnsResult
	starts, startCPU []time.Duration
	full, paced      loadTurns
	// sent, acknowledged and watched are as those of a proxy (latency).
	sent, acknowledged, watched []time.Duration
}

type loadTurns struct {
	took        []time.Duration
	length, cpu time.Duration
	wrong, lost int
}

func (l loadTurns) result() dnsLoad {
	return dnsLoad{
		Queries: len(l.took), Seconds: l.length.Seconds(), Wrong: l.wrong, Lost: l.lost, Took: quantilesOf(l.took),
		CPU: milliseconds(l.cpu) * 1000 / float64(max(1, len(l.took))),
	}
}

func (t *dnsTurns) result() dnsResult {
	r := t.dnsResult
	r.Starts = len(t.starts)
	r.Start, r.StartCPU = quantilesOf(t.starts).P50, quantilesOf(t.startCPU).P50
	r.Full, r.Paced = t.full.result(), t.paced.result()
	r.Change = latency{Sent: spreadOf(t.sent), Acknowledged: spreadOf(t.acknowledged), Watch: spreadOf(t.watched)}
	return r
}

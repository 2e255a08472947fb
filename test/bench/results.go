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

// Milliseconds and bytes, as they are easy to read in JSON.

// result is what was measured of one proxy at one size.
type result struct {
	Proxy string `json:"proxy"`
	Size  size   `json:"size"`

	// Cold is a start with an empty kernel.
	Cold coldStart `json:"cold"`
	// Switch is from the moment a slice write is sent until a new connection
	// reaches the new endpoint.
	Switch latency `json:"switch"`
	// Warm is a restart with the rules in place.
	Warm warmStart `json:"warm"`
	// Steady is 50 slice updates a second, Burst 500. Busy is Steady on a node
	// that tracks many connections (-tracked).
	Steady churn `json:"steady"`
	Burst  churn `json:"burst"`
	Busy   churn `json:"busy"`
	// Traffic is by the kind of destination: direct, clusterIP, affinity.
	Traffic map[string]traffic `json:"traffic"`
	// KernelBytes is what the kernel frees when the rules are deleted: the
	// change of SUnreclaim, Percpu and VmallocUsed in /proc/meminfo.
	KernelBytes int64 `json:"kernelBytes"`
}

type coldStart struct {
	// AllAnswer is from the start of the process until the last Service
	// answered a connection.
	AllAnswer float64 `json:"allAnswerMs"`
	// Swept is how many Services were asked, Late how many of these did not
	// answer at the first attempt once the sample did.
	Swept int `json:"swept"`
	Late  int `json:"late"`
	// CPU is the process's CPU time until then, with its children's.
	CPU float64 `json:"cpuMs"`
	// PeakBytes is the peak of the resident memory (VmHWM).
	PeakBytes int64 `json:"peakBytes"`
}

type latency struct {
	// Sent is from before the write was sent, Acknowledged from when the API
	// server had answered it, and zero if the endpoint was reached before.
	Sent         spread `json:"sent"`
	Acknowledged spread `json:"acknowledged"`
	// Watch is from before the write was sent until a bare watch of the same
	// slice had the event in this program: what no proxy can be faster than.
	Watch spread `json:"watch"`
}

type warmStart struct {
	// Change is from the start of the process until a change that was made
	// while no proxy ran is in force.
	Change float64 `json:"changeMs"`
	// Attempts and Failed count connections to another Service, from before
	// the old process was stopped until Change.
	Attempts int `json:"attempts"`
	Failed   int `json:"failed"`
}

type churn struct {
	// Updates were written in Seconds, PerSecond was asked for.
	PerSecond int     `json:"perSecond"`
	Updates   int     `json:"updates"`
	Seconds   float64 `json:"seconds"`
	// Switches is how many more slices were written to measure lags, meanwhile
	// and after the last update.
	Switches int `json:"switches"`
	// CPU is the CPU time per slice written, switches included, from the first
	// until the last is in force, with that of children.
	CPU float64 `json:"cpuMsPerUpdate"`
	// PeakBytes is the peak of the resident memory in that time.
	PeakBytes int64 `json:"peakBytes"`
	// LagMiddle and LagEnd are medians of Switch in the second and in the last
	// third, LagAfter is the one that follows the last update: a backlog grows.
	LagMiddle float64 `json:"lagMiddleMs,omitempty"`
	LagEnd    float64 `json:"lagEndMs,omitempty"`
	LagAfter  float64 `json:"lagAfterMs"`
	// Tracked is how many connections the node tracked at the end.
	Tracked int `json:"trackedConnections"`
}

type traffic struct {
	// Rate is of new connections a second, from two clients at a time that
	// each take the next when the last has answered.
	Rate float64 `json:"connectionsPerSecond"`
	// Handshake is how long connect(2) took.
	Handshake spread `json:"handshake"`
	Failed    int    `json:"failed"`
}

// spread is of durations, in milliseconds.
type spread struct {
	Samples int     `json:"samples"`
	P50     float64 `json:"p50Ms"`
	// P99 is only of a hundred samples or more.
	P99 float64 `json:"p99Ms,omitempty"`
	Max float64 `json:"maxMs"`
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

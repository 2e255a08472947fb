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
	"fmt"
	"math"
)

// target is what a figure should be at a size, or at all sizes if at is 0.
type target struct {
	at   int
	text string
	// judge is not ok where something to compare with was not measured.
	judge func(*report, figure, row) (met, ok bool)
}

func atMost(at int, limit float64, text string) target {
	return target{at, text, func(_ *report, _ figure, row row) (bool, bool) {
		return row.Ours != nil && *row.Ours <= limit, row.Ours != nil
	}}
}

// ofTheirs wants a part of what kube-proxy takes, at the largest size of both.
func ofTheirs(part float64, text string) target {
	return target{10000, text, func(_ *report, _ figure, row row) (bool, bool) {
		ok := row.Ours != nil && row.Theirs != nil
		return ok && *row.Ours <= part**row.Theirs, ok
	}}
}

// flat wants at most 1.5 times the figure of 1,000 Services.
func flat(at int) target {
	return target{at, "<= 1.5x that at 1000", func(r *report, f figure, row row) (bool, bool) {
		for _, size := range r.sizes() {
			if base := r.value(f, switchyardName, size); size.Services == 1000 && base != nil && row.Ours != nil {
				return *row.Ours <= 1.5**base, true
			}
		}
		return false, false
	}}
}

// noBacklog wants the lag at the end to be as it was in the middle.
func noBacklog() target {
	return target{0, "<= 1.5x that in the middle", func(r *report, _ figure, row row) (bool, bool) {
		ours, ok := r.find(switchyardName, row.Size)
		ok = ok && ours.Burst.LagMiddle > 0 && ours.Burst.LagEnd > 0
		return ok && ours.Burst.LagEnd <= 1.5*ours.Burst.LagMiddle, ok
	}}
}

const (
	ms  = "ms"
	mib = "MiB"
	// count is of what says nothing about a proxy.
	count = "n"
)

func toMiB(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// figures are the lines of the table, in order.
var figures = []figure{
	{"cold start until the last Service answers", ms, func(r result) float64 { return r.Cold.AllAnswer },
		[]target{atMost(10000, 2000, "<= 2 s"), ofTheirs(1.0/8, "<= 1/8")}},
	{"cold start, CPU time", ms, func(r result) float64 { return r.Cold.CPU }, nil},
	{"slice write -> new endpoint, samples", count, func(r result) float64 { return float64(r.Switch.Sent.Samples) }, nil},
	{"slice write -> new endpoint, p50", ms, func(r result) float64 { return r.Switch.Sent.P50 },
		[]target{atMost(10000, 5, "<= 5 ms"), flat(10000)}},
	{"slice write -> new endpoint, p99", ms, func(r result) float64 { return measured(r.Switch.Sent.P99) },
		[]target{atMost(10000, 25, "<= 25 ms"), flat(10000)}},
	{"  of which until a bare watch has it, p50", ms, func(r result) float64 { return r.Switch.Watch.P50 }, nil},
	{"  of which until a bare watch has it, p99", ms, func(r result) float64 { return measured(r.Switch.Watch.P99) }, nil},
	{"slice write acknowledged -> new endpoint, p50", ms, func(r result) float64 { return r.Switch.Acknowledged.P50 }, nil},
	{"CPU per slice update at 50/s", ms, func(r result) float64 { return r.Steady.CPU },
		[]target{ofTheirs(1.0/10, "<= 1/10"), flat(10000), flat(50000)}},
	{"  on a node that tracks many connections", ms, func(r result) float64 { return r.Busy.CPU },
		[]target{ofTheirs(1.0/10, "<= 1/10")}},
	{"CPU per slice update at 500/s", ms, func(r result) float64 { return r.Burst.CPU }, nil},
	{"updates/s written when 500 were asked for", "/s", func(r result) float64 { return float64(r.Burst.Updates) / max(r.Burst.Seconds, 1e-9) }, nil},
	{"lag at 500/s in the middle, p50", ms, func(r result) float64 { return measured(r.Burst.LagMiddle) }, nil},
	{"lag at 500/s at the end, p50", ms, func(r result) float64 { return measured(r.Burst.LagEnd) }, []target{noBacklog()}},
	{"peak memory, cold start", mib, func(r result) float64 { return toMiB(r.Cold.PeakBytes) },
		[]target{ofTheirs(1.0/3, "<= 1/3")}},
	{"peak memory, 50 updates/s", mib, func(r result) float64 { return toMiB(r.Steady.PeakBytes) },
		[]target{ofTheirs(1.0/3, "<= 1/3")}},
	{"peak memory, 500 updates/s", mib, func(r result) float64 { return toMiB(r.Burst.PeakBytes) }, nil},
	{"kernel memory per Service", "KiB", func(r result) float64 { return float64(r.KernelBytes) / 1024 / float64(r.Size.Services) }, nil},
	{"new connections, direct to pods", "/s", rate(toPods), nil},
	{"new connections, ClusterIP of 100 endpoints", "/s", rate(toClusterIP), nil},
	{"new connections, affinity to 100 endpoints", "/s", rate(toSticky), nil},
	{"  ClusterIP, part of direct", "", relative(toClusterIP), nil},
	{"  affinity, part of direct", "", relative(toSticky), nil},
	{"handshake p99, direct to pods", ms, handshake(toPods), nil},
	{"handshake p99, ClusterIP of 100 endpoints", ms, handshake(toClusterIP), nil},
	{"handshake p99, affinity to 100 endpoints", ms, handshake(toSticky), nil},
	{"new connections that failed", "", failed, []target{atMost(0, 0, "none")}},
	{"restart until a change made meanwhile is in force", ms, func(r result) float64 { return r.Warm.Change }, nil},
	{"connections that failed during the restart", "", func(r result) float64 { return float64(r.Warm.Failed) },
		[]target{atMost(0, 0, "none")}},
}

// measured is not a number where there is none: no switch began in a third of
// the time, as one before took so long, or too few were measured for a p99.
func measured(figure float64) float64 {
	if figure == 0 {
		return math.NaN()
	}
	return figure
}

// failed counts connections of all kinds.
func failed(r result) float64 {
	sum := 0
	for _, t := range r.Traffic {
		sum += t.Failed
	}
	return float64(sum)
}

func rate(kind string) func(result) float64 {
	return func(r result) float64 { return r.Traffic[kind].Rate }
}

func relative(kind string) func(result) float64 {
	return func(r result) float64 { return r.Traffic[kind].Rate / max(r.Traffic[toPods].Rate, 1e-9) }
}

func handshake(kind string) func(result) float64 {
	return func(r result) float64 { return measured(r.Traffic[kind].Handshake.P99) }
}

func (r row) cells() []string {
	show := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return number(*v)
	}
	return []string{r.Figure, fmt.Sprint(r.Size), r.Unit, show(r.Ours), show(r.Theirs), r.ratio(), r.Target, r.verdict()}
}

var header = []string{"figure", "size", "unit", "switchyard", "kube-proxy", "ratio", "target", ""}

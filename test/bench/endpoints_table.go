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
	"bytes"
	_ "embed"
	"fmt"
	"text/template"
)

// endpointsSize is how many Services there are, and pods of the large one, where
// the targets hold.
const endpointsSize = 5000

// endpointsFigure is one line of the table.
type endpointsFigure struct {
	name, unit string
	of         func(endpointsResult) float64
	// known says that it was measured; without it, it was.
	known func(endpointsResult) bool
	// ratio is the most that ours may be of either peer's, most the most it may be.
	ratio, most float64
}

func (f endpointsFigure) value(r endpointsResult) (float64, bool) {
	if f.known != nil && !f.known(r) {
		return 0, false
	}
	return f.of(r), true
}

var endpointsFigures = []endpointsFigure{
	{name: "start without slices until all are there", unit: ms, of: func(r endpointsResult) float64 { return r.Cold.Slices },
		known: func(r endpointsResult) bool { return r.Cold.consistent() }},
	{name: "  pods in slices then, or when patience was over", unit: count, of: func(r endpointsResult) float64 { return float64(r.Cold.Right) }},
	{name: "  until all Endpoints are there, too", unit: ms, of: func(r endpointsResult) float64 { return r.Cold.All },
		known: func(r endpointsResult) bool { return r.Cold.All > 0 }},
	{name: "  CPU time", unit: ms, of: func(r endpointsResult) float64 { return r.Cold.CPU },
		known: func(r endpointsResult) bool { return r.Cold.consistent() }},
	{name: "  writes", unit: count, of: func(r endpointsResult) float64 { return total(r.Cold.Writes) },
		known: func(r endpointsResult) bool { return r.Cold.consistent() }},
	{name: "  peak memory", unit: mib, of: func(r endpointsResult) float64 { return toMiB(r.Cold.PeakBytes) },
		known: func(r endpointsResult) bool { return r.Cold.consistent() }},
	{name: "restart until changes made meanwhile are there", unit: ms, of: func(r endpointsResult) float64 { return r.Warm.Slices }, known: restarted},
	{name: "  CPU time", unit: ms, of: func(r endpointsResult) float64 { return r.Warm.CPU }, known: restarted},
	{name: "  writes", unit: count, of: func(r endpointsResult) float64 { return total(r.Warm.Writes) }, known: restarted},
}

func restarted(r endpointsResult) bool { return r.Warm.consistent() }

func init() {
	for _, phase := range []struct {
		name           string
		of             func(endpointsResult) changesResult
		ratio          float64
		slices, mostOf float64
	}{
		{"at 20/s", func(r endpointsResult) changesResult { return r.Slow }, 0, 0, 0},
		{"at 200/s", func(r endpointsResult) changesResult { return r.Fast }, 1.0 / 5, 0, 0},
		{"in the large Service, 20/s", func(r endpointsResult) changesResult { return r.InLarge }, 0, 1, 1},
	} {
		of := phase.of
		endpointsFigures = append(endpointsFigures,
			endpointsFigure{name: "pod Ready -> slice " + phase.name + ", p50", unit: ms, of: func(r endpointsResult) float64 { return of(r).Latency.P50 }},
			endpointsFigure{name: "pod Ready -> slice " + phase.name + ", p99", unit: ms, of: func(r endpointsResult) float64 { return of(r).Latency.P99 },
				known: func(r endpointsResult) bool { return of(r).Latency.Samples >= leastForP99 }, ratio: phase.ratio},
			endpointsFigure{name: "  changes", unit: count, of: func(r endpointsResult) float64 { return float64(of(r).Changes) }},
			endpointsFigure{name: "  changes not seen when patience was over", unit: count, of: func(r endpointsResult) float64 { return float64(of(r).Unseen) }},
			endpointsFigure{name: "  CPU per change", unit: ms, of: func(r endpointsResult) float64 { return of(r).CPU }, most: phase.mostOf},
			endpointsFigure{name: "  plans of all pods of a Service", unit: count, of: func(r endpointsResult) float64 { return float64(of(r).Plans["service"]) },
				known: func(r endpointsResult) bool { return of(r).Plans != nil }},
			endpointsFigure{name: "  plans of changed pods alone", unit: count, of: func(r endpointsResult) float64 { return float64(of(r).Plans["pods"]) },
				known: func(r endpointsResult) bool { return of(r).Plans != nil }},
			endpointsFigure{name: "  writes of slices per change", of: func(r endpointsResult) float64 { return of(r).perChange("endpointslices") }, most: phase.slices},
			endpointsFigure{name: "  all writes per change", of: func(r endpointsResult) float64 { return of(r).perChange(written...) }, ratio: 1,
				// Who has not made all changes has not made all writes either.
				known: func(r endpointsResult) bool { return of(r).Unseen == 0 }},
		)
	}
	endpointsFigures = append(endpointsFigures,
		endpointsFigure{name: "peak memory after all changes", unit: mib, of: func(r endpointsResult) float64 { return toMiB(r.PeakBytes) }})
}

func total(writes map[string]int) float64 {
	sum := 0
	for _, n := range writes {
		sum += n
	}
	return float64(sum)
}

// endpointsGrid has ours beside both peers.
func (r *report) endpointsGrid() grid {
	g := grid{words: 2, header: []string{"figure", "unit", managerName, unthrottledName, "ratio", throttledName, "ratio", "target", ""}}
	ours, free, throttled := r.endpoints(managerName), r.endpoints(unthrottledName), r.endpoints(throttledName)
	for _, f := range endpointsFigures {
		cells := []string{f.name, f.unit, f.cell(ours)}
		for _, peer := range []*endpointsResult{free, throttled} {
			cells = append(cells, f.cell(peer), f.ratioTo(ours, peer))
		}
		g.lines = append(g.lines, append(cells, f.judge(ours, free, throttled)...))
	}
	return g
}

func (f endpointsFigure) cell(r *endpointsResult) string {
	if r == nil {
		return "-"
	}
	value, known := f.value(*r)
	if !known {
		return "-"
	}
	return number(value)
}

// of is ours to theirs, where both were measured.
func (f endpointsFigure) part(ours, theirs *endpointsResult) (ratio float64, ok bool) {
	if ours == nil || theirs == nil {
		return 0, false
	}
	a, known := f.value(*ours)
	b, knownToo := f.value(*theirs)
	return a / max(b, 1e-9), known && knownToo && b > 0
}

func (f endpointsFigure) ratioTo(ours, theirs *endpointsResult) string {
	ratio, ok := f.part(ours, theirs)
	if !ok || f.unit == count {
		return ""
	}
	return number(ratio)
}

// judge gives the target in words and whether it is met, beside each peer that
// there is.
func (f endpointsFigure) judge(ours, free, throttled *endpointsResult) []string {
	if f.ratio == 0 && f.most == 0 {
		return []string{"", ""}
	}
	words, verdict := "", "not judged"
	met := func(yes bool) {
		if !yes {
			verdict = "NOT met"
		} else if verdict == "not judged" {
			verdict = "met"
		}
	}
	big := ours != nil && ours.Services >= endpointsSize && ours.Large >= endpointsSize
	if f.ratio > 0 {
		words = "<= " + number(f.ratio) + " of each"
		for _, peer := range []*endpointsResult{free, throttled} {
			if ratio, ok := f.part(ours, peer); ok && big {
				met(ratio <= f.ratio)
			}
		}
	}
	if f.most > 0 {
		words = fmt.Sprintf("<= %s %s", number(f.most), f.unit)
		if value, known := f.value(orNone(ours)); known && big {
			met(value <= f.most)
		}
	}
	return []string{words, verdict}
}

func orNone(r *endpointsResult) endpointsResult {
	if r == nil {
		return endpointsResult{}
	}
	return *r
}

func (r *report) endpoints(name string) *endpointsResult {
	for i := range r.Endpoints {
		if r.Endpoints[i].Name == name {
			return &r.Endpoints[i]
		}
	}
	return nil
}

//go:embed endpoints.md.tmpl
var endpointsText string

var endpointsTemplate = template.Must(template.New("endpoints").Parse(endpointsText))

// endpointsSection is empty where endpoints were not measured.
func (r *report) endpointsSection() (string, error) {
	if len(r.Endpoints) == 0 {
		return "", nil
	}
	var text bytes.Buffer
	first := r.Endpoints[0]
	err := endpointsTemplate.Execute(&text, map[string]any{
		"Machine": r.Machine, "Table": r.endpointsGrid().markdown(), "Services": first.Services, "Large": first.Large,
		"Pods": first.Services*podsEach + first.Large, "Meanwhile": min(madeMeanwhile, first.Services),
		"Patience": shortPatience, "Throttled": throttledName, "Free": unthrottledName,
	})
	return text.String(), err
}

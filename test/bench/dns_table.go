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

// dnsFigure is one line of the table.
type dnsFigure struct {
	name, unit string
	of         func(dnsResult) float64
	// least and most are what the ratio to CoreDNS's may be, limit what the figure may be.
	least, most, limit float64
}

// dnsFigures are taken without a cache, dnsLoadFigures with one, too.
var (
	dnsFigures = []dnsFigure{
		{name: "start until the first right answers", unit: ms, of: func(r dnsResult) float64 { return r.Start }},
		{name: "  CPU time", unit: ms, of: func(r dnsResult) float64 { return r.StartCPU }},
		{name: "memory, peak while starting", unit: mib, of: func(r dnsResult) float64 { return toMiB(r.PeakBytes) }, most: 0.5},
		{name: "memory, a second after the start", unit: mib, of: func(r dnsResult) float64 { return toMiB(r.StartedBytes) }, most: 0.5},
		{name: "memory, after all queries and changes", unit: mib, of: func(r dnsResult) float64 { return toMiB(r.SteadyBytes) }, most: 0.5},
		{name: "slice write -> new answer, p50", unit: ms, of: func(r dnsResult) float64 { return r.Change.Sent.P50 }},
		{name: "slice write -> new answer, p99", unit: ms, of: func(r dnsResult) float64 { return r.Change.Sent.P99 }, limit: 20},
		{name: "  of which until a bare watch has it, p50", unit: ms, of: func(r dnsResult) float64 { return r.Change.Watch.P50 }},
		{name: "  of which until a bare watch has it, p99", unit: ms, of: func(r dnsResult) float64 { return r.Change.Watch.P99 }},
		{name: "slice write acknowledged -> new answer, p50", unit: ms, of: func(r dnsResult) float64 { return r.Change.Acknowledged.P50 }},
		{name: "slice write acknowledged -> new answer, p99", unit: ms, of: func(r dnsResult) float64 { return r.Change.Acknowledged.P99 }},
		{name: "  changes", unit: count, of: func(r dnsResult) float64 { return float64(r.Change.Sent.Samples) }},
	}
	dnsLoadFigures = []dnsFigure{
		{name: "queries", unit: "/s", of: func(r dnsResult) float64 { return r.Full.perSecond() }, least: 1},
		{name: "  answered within, p50", unit: ms, of: func(r dnsResult) float64 { return r.Full.Took.P50 }},
		{name: "  answered within, p99", unit: ms, of: func(r dnsResult) float64 { return r.Full.Took.P99 }},
		{name: "  CPU per query", unit: "us", of: func(r dnsResult) float64 { return r.Full.CPU }},
		{name: fmt.Sprintf("answered within at %d/s, p50", pacedRate), unit: ms, of: func(r dnsResult) float64 { return r.Paced.Took.P50 }},
		{name: fmt.Sprintf("answered within at %d/s, p99", pacedRate), unit: ms, of: func(r dnsResult) float64 { return r.Paced.Took.P99 }},
		{name: "wrong or lost answers", unit: count, of: func(r dnsResult) float64 { return float64(r.Full.Wrong + r.Full.Lost + r.Paced.Wrong + r.Paced.Lost) }},
	}
)

func (r *report) dnsGrid() grid {
	g := grid{words: 2, header: []string{"figure", "unit", ourDNSName, theirDNSName, "ratio", "target", ""}}
	for _, f := range append(dnsFigures, dnsLoadFigures...) {
		g.lines = append(g.lines, f.line(f.name, r.dns(ourDNSName, false), r.dns(theirDNSName, false)))
	}
	for _, f := range dnsLoadFigures {
		g.lines = append(g.lines, f.line(f.name+", with cache", r.dns(ourDNSName, true), r.dns(theirDNSName, true)))
	}
	memory := dnsFigures[4]
	return grid{g.words, g.header, append(g.lines, memory.line(memory.name+", with cache", r.dns(ourDNSName, true), r.dns(theirDNSName, true)))}
}

func (f dnsFigure) line(name string, ours, theirs *dnsResult) []string {
	if ours == nil || theirs == nil {
		return []string{name, f.unit, "-", "-", "", "", ""}
	}
	a, b := f.of(*ours), f.of(*theirs)
	ratio := ""
	if b > 0 && f.unit != count {
		ratio = number(a / b)
	}
	return append([]string{name, f.unit, number(a), number(b), ratio}, f.judge(a, b, ours.Size.Services)...)
}

// judge gives the target in words, and whether it is met.
func (f dnsFigure) judge(ours, theirs float64, services int) []string {
	var words string
	var met bool
	switch {
	case f.least > 0:
		words, met = ">= "+number(f.least)+" of CoreDNS's", ours >= f.least*theirs
	case f.most > 0:
		words, met = "<= "+number(f.most)+" of CoreDNS's", ours <= f.most*theirs
	case f.limit > 0:
		words, met = "<= "+number(f.limit)+" "+f.unit, ours <= f.limit
	default:
		return []string{"", ""}
	}
	switch {
	case services < dnsSize || ours == 0:
		return []string{words, "not judged"}
	case met:
		return []string{words, "met"}
	}
	return []string{words, "NOT met"}
}

func (r *report) dns(name string, cached bool) *dnsResult {
	for i := range r.DNS {
		if r.DNS[i].Name == name && r.DNS[i].Cached == cached {
			return &r.DNS[i]
		}
	}
	return nil
}

//go:embed dns.md.tmpl
var dnsText string

var dnsTemplate = template.Must(template.New("dns").Parse(dnsText))

// dnsSection is empty where DNS was not measured.
func (r *report) dnsSection() (string, error) {
	if len(r.DNS) == 0 {
		return "", nil
	}
	var text bytes.Buffer
	size := r.DNS[0].Size
	err := dnsTemplate.Execute(&text, map[string]any{
		"Machine": r.Machine, "Table": r.dnsGrid().markdown(), "Services": size.Services, "Endpoints": size.Services * size.Endpoints,
		"Turns": r.DNS[0].Starts, "Askers": askers, "Paced": pacedRate,
	})
	return text.String(), err
}

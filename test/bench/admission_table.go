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
	"io"
	"slices"
	"strings"
	"text/template"
)

// What the project wants of the webhooks at townSize Services, in milliseconds.
const (
	townSize   = 10_000
	ownTarget  = 5
	seenTarget = 15
)

// grid is a table whose first columns are words and the others numbers.
type grid struct {
	words  int
	header []string
	lines  [][]string
}

func (g grid) markdown() string {
	var out strings.Builder
	line := func(cells []string) { fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | ")) }
	line(g.header)
	var rule []string
	for i := range g.header {
		if i < g.words {
			rule = append(rule, "---")
		} else {
			rule = append(rule, "---:")
		}
	}
	line(rule)
	for _, cells := range g.lines {
		line(cells)
	}
	return out.String()
}

func (g grid) print(out io.Writer) {
	printAligned(out, append([][]string{g.header}, g.lines...), func(column int) bool { return column < g.words })
}

// admissionGrids are what was measured of the webhooks: what they take, what
// clients wait for, and what it costs.
func (r *report) admissionGrids() []grid {
	return []grid{r.webhookGrid(), r.clientGrid(), r.costGrid()}
}

func (r *report) webhookGrid() grid {
	g := grid{words: 2, header: []string{"time", "allocation", "clients", "samples", "p50 ms", "p90 ms", "p99 ms", "max ms", "target p99", ""}}
	for _, figure := range []struct {
		name   string
		of     func(admissionResult) quantiles
		target float64
	}{
		{"mutating webhook, own work", func(r admissionResult) quantiles { return r.Own }, ownTarget},
		{"mutating webhook", func(r admissionResult) quantiles { return r.Mutating }, 0},
		{"validating webhook", func(r admissionResult) quantiles { return r.Validating }, 0},
		{"mutating, from the API server", func(r admissionResult) quantiles { return r.SeenMutating }, 0},
		{"validating, from the API server", func(r admissionResult) quantiles { return r.SeenValidating }, 0},
		{"both, from the API server", func(r admissionResult) quantiles { return r.SeenBoth }, seenTarget},
	} {
		for _, result := range r.Admission {
			if result.Webhooks == without.name {
				continue
			}
			q := figure.of(result)
			g.lines = append(g.lines, append(
				[]string{figure.name, result.Webhooks, result.Clients, fmt.Sprint(q.Samples), number(q.P50), number(q.P90), number(q.P99), number(q.Max)},
				judge(result, q, figure.target)...))
		}
	}
	return g
}

func judge(result admissionResult, q quantiles, target float64) []string {
	switch {
	case target == 0:
		return []string{"", ""}
	case result.Services < townSize || q.Samples < leastForP99:
		return []string{fmt.Sprintf("< %.0f", target), "not judged"}
	case q.P99 < target:
		return []string{fmt.Sprintf("< %.0f", target), "met"}
	}
	return []string{fmt.Sprintf("< %.0f", target), "NOT met"}
}

// clientGrid has the same requests to the same API server side by side, without
// webhooks and with.
func (r *report) clientGrid() grid {
	g := grid{words: 2, header: []string{"request", "", "clients", "no webhooks, ms"}}
	with := ways[1 : len(ways)-1]
	for _, way := range with {
		g.header = append(g.header, way.name, "ratio")
	}
	for _, request := range []struct {
		name string
		of   func(admissionResult) quantiles
	}{
		{"create", func(r admissionResult) quantiles { return r.Create }},
		{"update", func(r admissionResult) quantiles { return r.Update }},
	} {
		for _, clients := range r.admissionLoads() {
			for _, at := range []struct {
				name string
				of   func(quantiles) float64
			}{
				{"p50", func(q quantiles) float64 { return q.P50 }},
				{"p90", func(q quantiles) float64 { return q.P90 }},
				{"p99", func(q quantiles) float64 { return q.P99 }},
				{"max", func(q quantiles) float64 { return q.Max }},
			} {
				value := func(way way) float64 { return at.of(request.of(r.admission(way, clients))) }
				base := value(without)
				cells := []string{request.name, at.name, clients, number(base)}
				for _, way := range with {
					cells = append(cells, number(value(way)), number(value(way)/max(base, 1e-9)))
				}
				g.lines = append(g.lines, cells)
			}
		}
	}
	return g
}

func (r *report) costGrid() grid {
	g := grid{words: 1, header: []string{"webhooks", "clients", "requests", "refused", "requests/s", "calls", "above 25 ms",
		"CPU of the manager, ms/request", "CPU of the API server, ms/request"}}
	for _, a := range r.Admission {
		g.lines = append(g.lines, []string{
			a.Webhooks, a.Clients, fmt.Sprint(a.Create.Samples + a.Update.Samples + a.Delete.Samples), fmt.Sprint(a.Refused), number(a.PerSecond),
			fmt.Sprint(a.Called), fmt.Sprint(a.Late), number(a.ManagerCPU), number(a.ServerCPU),
		})
	}
	return g
}

func (r *report) admissionLoads() []string {
	var all []string
	for _, one := range r.Admission {
		if !slices.Contains(all, one.Clients) {
			all = append(all, one.Clients)
		}
	}
	return all
}

// admission is the result of one way of asking, empty where it was not measured.
func (r *report) admission(way way, clients string) admissionResult {
	for _, one := range r.Admission {
		if one.Webhooks == way.name && one.Clients == clients {
			return one
		}
	}
	return admissionResult{}
}

//go:embed admission.md.tmpl
var admissionText string

var admissionTemplate = template.Must(template.New("admission").Parse(admissionText))

// admissionSection is empty where webhooks were not measured.
func (r *report) admissionSection() (string, error) {
	if len(r.Admission) == 0 {
		return "", nil
	}
	var text bytes.Buffer
	grids := r.admissionGrids()
	err := admissionTemplate.Execute(&text, map[string]any{
		"Machine": r.Machine, "Webhooks": grids[0].markdown(), "Clients": grids[1].markdown(), "Costs": grids[2].markdown(),
		"Services": r.Admission[0].Services,
	})
	return text.String(), err
}

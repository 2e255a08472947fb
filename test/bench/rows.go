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
	"strings"
)

// row is one figure of the table, with the target it has, if any.
type row struct {
	Figure string `json:"figure"`
	Size   size   `json:"size"`
	Unit   string `json:"unit"`
	// Ours and Theirs are nil where they were not measured.
	Ours   *float64 `json:"switchyard"`
	Theirs *float64 `json:"kubeProxy"`
	// Target is in words, Met says whether it holds; nil where there is none or
	// it can not be judged.
	Target string `json:"target,omitempty"`
	Met    *bool  `json:"met,omitempty"`
}

// figure takes one number out of a result.
type figure struct {
	name, unit string
	// of is not a number where nothing was measured.
	of      func(result) float64
	targets []target
}

// report is all results of a run, by proxy and size.
type report struct {
	Machine machine  `json:"machine"`
	Results []result `json:"results"`
	// Admission is by the way of asking and the number of clients.
	Admission []admissionResult `json:"admission,omitempty"`
	// Endpoints is by the program that writes slices.
	Endpoints []endpointsResult `json:"endpoints,omitempty"`
	// DNS is by the server, without and with cache.
	DNS  []dnsResult `json:"dns,omitempty"`
	Rows []row       `json:"rows"`
}

func (r *report) find(proxy string, size size) (result, bool) {
	for _, one := range r.Results {
		if one.Proxy == proxy && one.Size == size {
			return one, true
		}
	}
	return result{}, false
}

func (r *report) sizes() []size {
	var all []size
	seen := map[size]bool{}
	for _, one := range r.Results {
		if !seen[one.Size] {
			seen[one.Size] = true
			all = append(all, one.Size)
		}
	}
	return all
}

// tabulate makes the rows of all results there are.
func (r *report) tabulate() {
	r.Rows = nil
	for _, figure := range figures {
		for _, size := range r.sizes() {
			r.Rows = append(r.Rows, r.row(figure, size))
		}
	}
}

func (r *report) row(f figure, size size) row {
	row := row{Figure: f.name, Size: size, Unit: f.unit, Ours: r.value(f, switchyardName, size), Theirs: r.value(f, kubeProxyName, size)}
	var words []string
	all, judged := true, true
	for _, target := range f.targets {
		if target.at != 0 && target.at != size.Services {
			continue
		}
		words = append(words, target.text)
		met, ok := target.judge(r, f, row)
		all, judged = all && (met || !ok), judged && ok
	}
	row.Target = strings.Join(words, ", ")
	// One that is missed decides, whatever can not be judged beside it.
	if len(words) > 0 && (judged || !all) {
		row.Met = &all
	}
	return row
}

func (r *report) value(f figure, proxy string, size size) *float64 {
	result, ok := r.find(proxy, size)
	if !ok {
		return nil
	}
	value := f.of(result)
	if math.IsNaN(value) {
		return nil
	}
	return &value
}

func (r row) verdict() string {
	switch {
	case r.Target == "":
		return ""
	case r.Met == nil:
		return "not judged"
	case *r.Met:
		return "met"
	}
	return "NOT met"
}

// ratio is ours to theirs.
func (r row) ratio() string {
	if r.Ours == nil || r.Theirs == nil || *r.Theirs == 0 || r.Unit == count {
		return ""
	}
	return number(*r.Ours / *r.Theirs)
}

// number has three digits that count, or no fraction.
func number(v float64) string {
	switch a := max(v, -v); {
	case a >= 100, v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

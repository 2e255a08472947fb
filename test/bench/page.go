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
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

//go:embed page.md.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// notesName is a file beside the page that somebody may have written: what
// limits a figure is not measured, so that it would not survive the next run.
const notesName = "benchmarks-notes.md"

// writePage writes the page of the documentation. What was not measured stays as
// it is there.
func (r *report) writePage(o options) error {
	old, err := os.ReadFile(o.markdown)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	sections, err := r.sectionsWith(string(old))
	if err != nil {
		return err
	}
	if len(r.Results) == 0 {
		return os.WriteFile(o.markdown, []byte(replaceSections(string(old), sections)), 0o644)
	}
	page, err := r.page(o, sections)
	if err != nil {
		return err
	}
	return os.WriteFile(o.markdown, page, 0o644)
}

func (r *report) page(o options, sections string) ([]byte, error) {
	goBench := ""
	if o.goBench != "" {
		text, err := os.ReadFile(o.goBench)
		if err != nil {
			return nil, fmt.Errorf("-go-bench: %w", err)
		}
		goBench = benchmarkLines(string(text))
	}
	notes := ""
	if _, err := os.Stat(filepath.Join(filepath.Dir(o.markdown), notesName)); err == nil {
		notes = notesName
	}
	var page bytes.Buffer
	err := pageTemplate.Execute(&page, map[string]any{
		"Machine": r.Machine, "Table": r.markdownTable(), "GoBench": goBench, "PeerInterval": peerInterval, "Tracked": o.tracked,
		"Churn": o.churn, "BusyChurn": o.busyChurn(), "Notes": notes, "LeastForP99": leastForP99, "Sections": sections,
	})
	return page.Bytes(), err
}

func (r *report) markdownTable() string {
	var out strings.Builder
	line := func(cells []string) { fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | ")) }
	line(header)
	line([]string{"---", "---", "---", "---:", "---:", "---:", "---", "---"})
	for _, row := range r.Rows {
		line(row.cells())
	}
	return out.String()
}

var benchmarkLine = regexp.MustCompile(`(?m)^(Benchmark\S+\s+\d+\s.*|pkg: .*)$`)

// benchmarkLines leaves only packages that have benchmarks, and these.
func benchmarkLines(text string) string {
	var kept []string
	pkg := ""
	for _, line := range benchmarkLine.FindAllString(text, -1) {
		if strings.HasPrefix(line, "pkg: ") {
			pkg = line
			continue
		}
		if pkg != "" {
			kept, pkg = append(kept, pkg), ""
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "\n")
}

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

package audit

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"switchyard.dev/switchyard/internal/inventory"
)

// Print writes a table: a line for each finding, and below it what is wrong and
// what to do; or all in one line when wide.
func (r Report) Print(out io.Writer, wide bool) error {
	if len(r.Findings) > 0 {
		if err := r.printTable(out, wide); err != nil {
			return err
		}
	}
	for _, note := range inventory.Notes(r.NotRead) {
		if _, err := fmt.Fprintln(out, "not checked:", note); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(out, r.Summary())
	return err
}

func (r Report) printTable(out io.Writer, wide bool) error {
	var rows strings.Builder
	table := tabwriter.NewWriter(&rows, 0, 0, 2, ' ', 0)
	heading := "SEVERITY\tFINDING\tNUMBER\tOBJECTS"
	if wide {
		heading += "\tWHAT\tREMEDY"
	}
	_, _ = fmt.Fprintln(table, heading)
	for _, f := range r.Findings {
		row := fmt.Sprintf("%s\t%s\t%s\t%s", f.Severity, f.Kind, dash(f.Number), dash(f.names()))
		if wide {
			row += "\t" + f.Message + "\t" + f.Remedy
		}
		_, _ = fmt.Fprintln(table, row)
	}
	_ = table.Flush() // a strings.Builder takes everything
	if wide {
		_, err := io.WriteString(out, rows.String())
		return err
	}
	return r.explain(out, strings.Split(rows.String(), "\n"))
}

// explain puts two lines below each row. They have no columns and would break
// those of the table, if it was made of them as well.
func (r Report) explain(out io.Writer, rows []string) error {
	indent := strings.Index(rows[0], "FINDING")
	if _, err := fmt.Fprintln(out, rows[0]); err != nil {
		return err
	}
	for i, f := range r.Findings {
		if _, err := fmt.Fprintf(out, "%s\n%*s%s\n%*s-> %s\n", rows[i+1], indent, "", f.Message, indent, "", f.Remedy); err != nil {
			return err
		}
	}
	return nil
}

func (f Finding) names() string {
	texts := make([]string, 0, len(f.Objects))
	for _, o := range f.Objects {
		texts = append(texts, o.String())
	}
	return strings.Join(texts, ", ")
}

func dash(text string) string { return cmp.Or(text, "-") }

// Summary counts the findings in words.
func (r Report) Summary() string {
	switch {
	case len(r.Findings) == 0 && len(r.NotRead) > 0:
		return "Nothing is wrong with what could be read."
	case len(r.Findings) == 0:
		return "Nothing is wrong."
	}
	errors := 0
	for _, f := range r.Findings {
		if f.Severity == Error {
			errors++
		}
	}
	return fmt.Sprintf("%s, %s.", counted(errors, "error"), counted(len(r.Findings)-errors, "warning"))
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

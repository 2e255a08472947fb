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
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Print writes a table with a line for each finding and its remedy below, or
// with both and the objects in one line when wide.
func (r Report) Print(out io.Writer, wide bool) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(r.Findings) > 0 {
		heading := "SEVERITY\tFINDING\tOBJECTS\tWHAT"
		if wide {
			heading = "SEVERITY\tFINDING\tNUMBER\tOBJECTS\tWHAT\tREMEDY"
		}
		_, _ = fmt.Fprintln(table, heading)
	}
	for _, f := range r.Findings {
		objects := make([]string, 0, len(f.Objects))
		for _, o := range f.Objects {
			objects = append(objects, o.String())
		}
		names := strings.Join(objects, ", ")
		if names == "" {
			names = "-"
		}
		if wide {
			number := f.Number
			if number == "" {
				number = "-"
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", f.Severity, f.Kind, number, names, f.Message, f.Remedy)
			continue
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n\t\t\t-> %s\n", f.Severity, f.Kind, names, f.Message, f.Remedy)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, u := range r.NotRead {
		if _, err := fmt.Fprintln(out, "not checked:", u.Message); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(out, r.Summary())
	return err
}

// Summary counts the findings in words.
func (r Report) Summary() string {
	if len(r.Findings) == 0 {
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

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
	"io"
	"strings"
	"unicode/utf8"
)

// printTable writes the rows with columns aligned, numbers to the right.
func (r *report) printTable(out io.Writer) {
	lines := [][]string{header}
	for _, row := range r.Rows {
		lines = append(lines, row.cells())
	}
	widths := make([]int, len(header))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	fmt.Fprintln(out, r.Machine)
	previous := ""
	for _, line := range lines {
		if line[0] != previous && previous != "" && len(r.sizes()) > 1 {
			fmt.Fprintln(out)
		}
		previous = line[0]
		var text strings.Builder
		for i, cell := range line {
			width := widths[i]
			if i < 3 || i > 5 {
				width = -width
			}
			fmt.Fprintf(&text, "%*s  ", width, cell)
		}
		fmt.Fprintln(out, strings.TrimRight(text.String(), " "))
	}
}

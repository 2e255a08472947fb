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
	fmt.Fprintln(out, r.Machine)
	if len(r.Results) > 0 {
		printAligned(out, r.spaced(lines), func(column int) bool { return column < 3 || column > 5 })
	}
	var grids []grid
	if len(r.Admission) > 0 {
		grids = r.admissionGrids()
	}
	if len(r.Endpoints) > 0 {
		grids = append(grids, r.endpointsGrid())
	}
	if len(r.DNS) > 0 {
		grids = append(grids, r.dnsGrid())
	}
	for i, g := range grids {
		if i > 0 || len(r.Results) > 0 {
			fmt.Fprintln(out)
		}
		g.print(out)
	}
}

// spaced has an empty line before each figure where there are several sizes.
func (r *report) spaced(lines [][]string) [][]string {
	if len(r.sizes()) < 2 {
		return lines
	}
	var all [][]string
	for i, line := range lines {
		if i > 1 && line[0] != lines[i-1][0] {
			all = append(all, nil)
		}
		all = append(all, line)
	}
	return all
}

// printAligned writes columns of words to the left and of numbers to the right.
func printAligned(out io.Writer, lines [][]string, words func(column int) bool) {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range lines {
		var text strings.Builder
		for i, cell := range line {
			width := widths[i]
			if words(i) {
				width = -width
			}
			fmt.Fprintf(&text, "%*s  ", width, cell)
		}
		fmt.Fprintln(out, strings.TrimRight(text.String(), " "))
	}
}

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

package usage

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"switchyard.dev/switchyard/internal/inventory"
)

// Print writes the counts as tables. Wide adds what pools select.
func (r Report) Print(out io.Writer, wide bool) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "RANGE\tOF\tCAPACITY\tUSED\tRESERVED\tCLAIMED\tFREE\tLARGEST GAP\tCONFLICTS")
	for _, s := range r.Ranges {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", s.Range, s.of(), s.columns(), dash(strings.Join(s.conflicts(), ", ")))
	}
	if len(r.Pools) > 0 {
		_, _ = fmt.Fprint(table, "\nPOOL\tFOR\tCAPACITY\tUSED\tRESERVED\tCLAIMED\tFREE\tLARGEST GAP\tCONFLICTS")
		if wide {
			_, _ = fmt.Fprint(table, "\tPRIORITY\tAUTO\tNAMESPACES\tSERVICES\tRANGES")
		}
		_, _ = fmt.Fprintln(table)
	}
	for _, p := range r.Pools {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s", p.Name, p.use(), p.columns(), dash(strings.Join(p.problems(), ", ")))
		if wide {
			_, _ = fmt.Fprintf(table, "\t%d\t%v\t%s\t%s\t%s", p.Priority, p.AutoAssign, p.NamespaceSelector, dash(p.ServiceSelector), dash(strings.Join(p.Ranges, ",")))
		}
		_, _ = fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, line := range r.notes() {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

// notes are what the tables can not tell.
func (r Report) notes() (lines []string) {
	if r.NodePortsFrom == inventory.Assumed {
		lines = append(lines, fmt.Sprintf("assumed: the API server's range of NodePorts is %s, as neither its flags (/flagz) nor the "+
			"manager's can be read; --service-node-port-range names another", r.NodePortRange))
	}
	for _, note := range inventory.Notes(r.NotRead) {
		lines = append(lines, "not counted: "+note)
	}
	return lines
}

func (s Range) of() string {
	switch {
	case s.Name == "":
		return "NodePorts"
	case !s.Open:
		return "ServiceCIDR " + s.Name + " (being removed)"
	}
	return "ServiceCIDR " + s.Name
}

func (n Count) columns() string {
	gap := "-"
	if g := n.LargestGap; g != nil {
		gap = g.First
		if g.First != g.Last {
			gap = fmt.Sprintf("%s at %s", text(g.Count), g.First)
		}
	}
	return strings.Join([]string{text(n.Capacity), text(n.Allocated), text(n.Reserved), text(n.Claimed), text(n.Free), gap}, "\t")
}

// namedConflicts is how many numbers a column names.
const namedConflicts = 3

func (n Count) conflicts() []string {
	all := n.HeldTwice
	if len(all) > namedConflicts {
		all = append(all[:namedConflicts:namedConflicts], fmt.Sprintf("%d more", len(n.HeldTwice)-namedConflicts))
	}
	if len(all) == 0 {
		return nil
	}
	return []string{strings.Join(all, ", ") + " held twice"}
}

func (p Pool) use() string {
	if p.Kind == "PortPool" {
		return "NodePorts"
	}
	if p.Disabled {
		return fmt.Sprintf("%s %s, disabled", p.Use, p.Family)
	}
	return fmt.Sprintf("%s %s", p.Use, p.Family)
}

func (p Pool) problems() []string {
	all := p.conflicts()
	for _, o := range p.Overlaps {
		all = append(all, fmt.Sprintf("%s is %s's", o.Range, o.With))
	}
	for _, o := range p.Outside {
		all = append(all, o+" out of range")
	}
	return all
}

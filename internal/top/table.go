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

package top

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// Row is one Service on one node.
type Row struct {
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	Node      string `json:"node"`
	// Rate is the number of new connections per second since the reading
	// before, nil for the first.
	Rate        *float64 `json:"rate,omitempty"`
	Connections uint64   `json:"connections"`
	Tracked     uint64   `json:"tracked"`
	// Packets and Bytes are nil where they are not counted.
	Packets *uint64 `json:"packets,omitempty"`
	Bytes   *uint64 `json:"bytes,omitempty"`
}

// Table makes rows of the samples of all nodes; before are those of the reading
// before, if any.
func Table(now, before []Sample) []Row {
	var rows []Row
	for _, s := range now {
		for name, counts := range s.Services {
			row := Row{Namespace: name.Namespace, Service: name.Name, Node: s.Node, Connections: counts.Connections, Tracked: counts.Tracked}
			if counts.Counted {
				row.Packets, row.Bytes = &counts.Packets, &counts.Bytes
			}
			row.Rate = rate(s, before, name)
			rows = append(rows, row)
		}
	}
	return rows
}

// rate is nil if the agent was not asked before. A Service that was not there
// had no connections; a number that is smaller has begun at 0 again, and all of
// it is new.
func rate(now Sample, before []Sample, name types.NamespacedName) *float64 {
	i := slices.IndexFunc(before, func(s Sample) bool { return s.Node == now.Node })
	if i < 0 || !before[i].Counting {
		return nil
	}
	old, current := before[i].Services[name].Connections, now.Services[name].Connections
	if current < old {
		old = 0
	}
	seconds := now.Time.Sub(before[i].Time).Seconds()
	if seconds <= 0 {
		return nil
	}
	return new(float64(current-old) / seconds)
}

// Order is what rows are sorted by, the most first.
type Order string

// The orders.
const (
	ByConnections Order = "connections"
	ByBytes       Order = "bytes"
)

// Sort puts rows in order; of equal ones the names decide.
func Sort(rows []Row, order Order) {
	slices.SortFunc(rows, func(a, b Row) int {
		most := cmp.Or(cmp.Compare(value(b.Rate), value(a.Rate)), cmp.Compare(b.Connections, a.Connections))
		if order == ByBytes {
			most = cmp.Compare(value(b.Bytes), value(a.Bytes))
		}
		return cmp.Or(most, strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Service, b.Service), strings.Compare(a.Node, b.Node))
	})
}

func value[N float64 | uint64](n *N) N {
	if n == nil {
		return 0
	}
	return *n
}

// Print writes the rows as a table, of which at most lines are filled; 0 is no
// limit. Names of Services are what nodes say.
func Print(out io.Writer, rows []Row, lines int) error {
	left := 0
	if lines > 0 && len(rows) > lines-2 {
		left = len(rows) - max(lines-2, 0)
		rows = rows[:len(rows)-left]
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAMESPACE\tSERVICE\tNODE\tNEW/S\tCONNECTIONS\tTRACKED\tPACKETS\tBYTES")
	for _, r := range rows {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n",
			diagnosis.Printable(dash(r.Namespace)), diagnosis.Printable(r.Service), diagnosis.Printable(r.Node),
			rateText(r.Rate), r.Connections, r.Tracked, count(r.Packets), bytesText(r.Bytes))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if left > 0 {
		_, err := fmt.Fprintf(out, "and %d more\n", left)
		return err
	}
	return nil
}

func dash(text string) string { return cmp.Or(text, "-") }

func rateText(rate *float64) string {
	if rate == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f", *rate)
}

func count(n *uint64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

// bytesText has three digits at most.
func bytesText(n *uint64) string {
	if n == nil {
		return "-"
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	size, unit := float64(*n), 0
	for size >= 1000 && unit < len(units)-1 {
		size, unit = size/1024, unit+1
	}
	if unit == 0 || size >= 100 {
		return fmt.Sprintf("%.0f%s", size, units[unit])
	}
	return fmt.Sprintf("%.1f%s", size, units[unit])
}

// Interval is the least time between two readings: each one walks through what
// the node tracks.
const Interval = 500 * time.Millisecond

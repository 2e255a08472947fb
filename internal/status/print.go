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

package status

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// age is a time span as kubectl shows it.
func age(d time.Duration) string { return duration.HumanDuration(d) }

// Print writes the report, but for the line with which it ends.
func (r *Report) Print(out io.Writer) error {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintf(table, "API server\t%s\t%s\n", cmp.Or(r.APIServer.Version, "unknown version"), r.APIServer.URL)
	_, _ = fmt.Fprintf(table, "Manager\t%s\t%s\n", r.orUnknown(ListProgram, readiness(r.Managers)), r.leader())
	_, _ = fmt.Fprintf(table, "Agents\t%s\t%s\n", r.orUnknown(ListProgram, r.Agents.readiness()), versions(r.Agents.Versions))
	_, _ = fmt.Fprintf(table, "DNS\t%s\t%s\n", r.orUnknown(ListDNS, readiness(r.DNS)), versions(count(r.DNS)))
	_, _ = fmt.Fprintf(table, "Admission\t%s\t%s\n", r.Admission.webhooks(), r.Admission.certificates(r.Time))
	if counts := r.Admission.counts(); counts != "" {
		_, _ = fmt.Fprintf(table, "\t%s\n", counts)
	}
	if r.Numbers != nil {
		_, _ = fmt.Fprintf(table, "Services\t%s\n", r.Numbers.services())
		_, _ = fmt.Fprintf(table, "Numbers\t%s\n", r.numbers())
	}
	if len(r.Agents.List) > 0 {
		r.printAgents(table)
	}
	_ = table.Flush() // into memory
	r.printWarnings(&text)
	for _, u := range r.NotSeen {
		_, _ = fmt.Fprintf(&text, "not seen: %s: %s\n", u.What, strings.Join(nonEmpty(u.Reason, u.Remedy), "; "))
	}
	_, err := io.WriteString(out, trimmed(text.String()))
	return err
}

// PrintEnd writes the last line.
func (r *Report) PrintEnd(out io.Writer) error {
	end := "All is well."
	switch {
	case !r.Well():
		end = plural(len(r.Warnings), "warning") + "."
	case r.Partial():
		end = "All is well, as far as it could be seen."
	}
	_, err := fmt.Fprintln(out, end)
	return err
}

// trimmed has no spaces at the ends of lines, as tables leave them, and nothing that
// a terminal would obey: versions and problems are what nodes say.
func trimmed(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, diagnosis.PrintableLines(strings.TrimRight(line, " \n")))
	}
	return strings.Join(lines, "\n") + "\n"
}

func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(t string) bool { return t == "" })
}

// none tells of programs that do not run.
const none = "none"

// orUnknown keeps from saying that there are none what could not be listed.
func (r *Report) orUnknown(list List, readiness string) string {
	if readiness == none && r.unknown[list] {
		return "unknown"
	}
	return readiness
}

func (a Agents) readiness() string {
	if len(a.List)+a.NotListed == 0 {
		return none
	}
	text := fmt.Sprintf("%d of %d ready", a.Ready, max(a.Nodes, a.Ready))
	if a.Silent > 0 {
		text += fmt.Sprintf(", %d silent", a.Silent)
	}
	return text
}

func readiness(programs []Program) string {
	if len(programs) == 0 {
		return none
	}
	ready := 0
	for _, p := range programs {
		if p.Ready {
			ready++
		}
	}
	return fmt.Sprintf("%d of %d ready", ready, len(programs))
}

func count(programs []Program) map[string]int {
	by := map[string]int{}
	for _, p := range programs {
		by[cmp.Or(p.Version, unknownVersion)]++
	}
	return by
}

func versions(by map[string]int) string {
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(by)) {
		if len(by) == 1 {
			return v
		}
		parts = append(parts, fmt.Sprintf("%s (%d)", v, by[v]))
	}
	return strings.Join(parts, ", ")
}

func (r *Report) leader() string {
	version := versions(count(r.Managers))
	if version == unknownVersion {
		version = ""
	}
	leads := ""
	if r.Leader != "" {
		leads = r.Leader + " leads"
	}
	return strings.Join(nonEmpty(version, leads), ", ")
}

func (a Admission) webhooks() string {
	switch {
	case a.Unknown:
		return "unknown"
	case a.Webhooks == 0:
		return "no webhooks"
	}
	var parts []string
	for _, policy := range slices.Sorted(maps.Keys(a.Policies)) {
		parts = append(parts, fmt.Sprintf("%s %d", policy, a.Policies[policy]))
	}
	return fmt.Sprintf("%s (%s)", plural(a.Webhooks, "webhook"), strings.Join(parts, ", "))
}

func (a Admission) certificates(now time.Time) string {
	var parts []string
	if a.CertificateEnds != nil {
		parts = append(parts, "certificate for another "+age(a.CertificateEnds.Sub(now)))
	}
	if a.CAEnds != nil {
		parts = append(parts, "authority for another "+age(a.CAEnds.Sub(now)))
	}
	return strings.Join(parts, ", ")
}

func (a Admission) counts() string {
	var parts []string
	if c := a.Counts; c != nil {
		parts = append(parts, fmt.Sprintf("%s since the API server started: %d denied, %d let pass and %d refused without an answer",
			plural(c.Requests, "call"), c.Denied, c.Passed, c.Failed))
	}
	if a.Judged != nil {
		parts = append(parts, fmt.Sprintf("%d unjudged by the manager", a.Judged["unjudged"]))
	}
	return strings.Join(parts, "; ")
}

func (n *Numbers) services() string {
	return fmt.Sprintf("%d, %d not reachable, %d load balancers without an address", n.Services, len(n.NotReachable), len(n.WithoutAddress))
}

func (r *Report) numbers() string {
	return fmt.Sprintf("%s, %d nearly full; %s, %d waiting; audit: %s", plural(r.Pools.Pools, "pool"), len(r.Pools.NearlyFull),
		plural(r.Numbers.Reservations, "reservation"), len(r.Numbers.Waiting), counts(r.Numbers.AuditErrors, r.Numbers.AuditWarnings))
}

func (r *Report) printAgents(table io.Writer) {
	_, _ = fmt.Fprintln(table, "\nNODE\tAGENT\tVERSION\tUP\tLAST SYNC\tWAITING\tREPAIRS\tPROBLEMS\tSERVICE PORTS\tENDPOINTS\tRESTARTS")
	for _, a := range r.Agents.List {
		state := "ready"
		switch {
		case !a.Ready:
			state = "not ready"
		case a.Problem != "":
			state = "silent"
		case a.Late:
			state = "late"
		}
		own := "-\t-\t-\t-\t-\t-\t-"
		if a.Asked {
			own = fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%d\t%d", since(r.Time, a.Started), since(r.Time, a.Synced), dash(a.Pending), a.repairs(r.Time),
				a.Problems, a.ServicePorts, a.Endpoints)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\n", a.Node, state, cmp.Or(a.Version, "-"), own, a.Restarts)
	}
	if r.Agents.NotListed > 0 {
		_, _ = fmt.Fprintf(table, "and %d more, which were not asked: --all, or --nodes\n", r.Agents.NotListed)
	}
}

func since(now time.Time, at *time.Time) string {
	if at == nil {
		return "never"
	}
	return age(max(now.Sub(*at), 0))
}

func dash(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func (a Agent) repairs(now time.Time) string {
	if a.Repaired == nil || a.Repairs == 0 {
		return fmt.Sprint(a.Repairs)
	}
	return fmt.Sprintf("%d, %s ago", a.Repairs, age(now.Sub(*a.Repaired)))
}

// mostWarnings is how many warnings are printed.
const mostWarnings = 40

// shown is how many objects of a warning have their names printed.
const shown = 8

func (r *Report) printWarnings(out io.Writer) {
	if len(r.Warnings) > 0 {
		_, _ = fmt.Fprintln(out)
	}
	for i, w := range r.Warnings {
		if i == mostWarnings {
			_, _ = fmt.Fprintf(out, "and %d more warnings: -o json has all\n", len(r.Warnings)-i)
			return
		}
		_, _ = fmt.Fprintf(out, "warning: %s%s\n", w.names(), w.Message)
		_, _ = fmt.Fprintf(out, "         -> %s\n", w.Remedy)
	}
}

func (w Warning) names() string {
	if len(w.Objects) == 0 {
		return ""
	}
	names := strings.Join(w.Objects[:min(shown, len(w.Objects))], ", ")
	if more := len(w.Objects) - shown; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return names + ": "
}

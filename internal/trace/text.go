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

package trace

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"switchyard.dev/switchyard/internal/dataplane/explain"
	"switchyard.dev/switchyard/internal/diagnosis"
)

// Text is the answer for people: what was asked, the steps, the endpoints with
// their chances, the verdict, and what to do. Much of it is the node's own words.
func (a Answer) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "from %s to %s, as %s sees it\n\n", a.From, a.To, a.Node)
	a.writeSteps(&b)
	a.writeEndpoints(&b)
	fmt.Fprintf(&b, "\n%s\n", a.Verdict())
	for _, advice := range a.Advice {
		fmt.Fprintf(&b, "  %s\n", advice)
	}
	if a.Doubt != "" {
		fmt.Fprintf(&b, "\nThis is a bug, please report it: %s\n", a.Doubt)
	}
	if a.Live != nil {
		b.WriteString("\n" + a.Live.Text())
	}
	return diagnosis.PrintableLines(b.String())
}

// writeSteps leaves out the last one, which the verdict says better.
func (a Answer) writeSteps(b *strings.Builder) {
	lines := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	fmt.Fprintf(lines, "settings\t%s\n", a.Settings)
	for _, assumed := range a.Assumptions {
		fmt.Fprintf(lines, "assumed\t%s\n", assumed)
	}
	for _, step := range a.Steps {
		if step.About != aboutOutcome {
			fmt.Fprintf(lines, "%s\t%s\n", step.About, step.Says)
		}
	}
	_ = lines.Flush() // a strings.Builder takes everything
}

// aboutOutcome is the last step of package explain.
const aboutOutcome = "outcome"

func (a Answer) writeEndpoints(b *strings.Builder) {
	if len(a.Endpoints) == 0 {
		return
	}
	chance := map[string]string{}
	for i, target := range a.Outcome.Targets {
		chance[target.Address.String()] = percent(a.Chances[i])
	}
	b.WriteString("\n")
	lines := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(lines, "ENDPOINT\tPOD\tNODE\tZONE\tCHANCE\tWHY")
	for _, e := range a.Endpoints {
		fmt.Fprintf(lines, "%s\t%s\t%s\t%s\t%s\t%s\n",
			e.Address, dash(e.Pod), dash(e.Node), dash(e.Zone), dash(chance[e.Address]), e.Why)
	}
	_ = lines.Flush()
}

func percent(share float64) string { return fmt.Sprintf("%.3g%%", 100*share) }

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// Verdict is the end of it in one sentence.
func (a Answer) Verdict() string {
	switch targets := a.Outcome.Targets; {
	case a.Outcome.End == explain.Refused:
		return "REFUSED: the client is told so at once."
	case a.Outcome.End == explain.Dropped:
		return "DROPPED: the client waits until it gives up."
	case a.Outcome.End == explain.PassedOn:
		return "PASSED ON: Services have no part in it, it is routed like any other packet."
	case len(targets) == 1:
		return fmt.Sprintf("SENT TO %s%s.", targets[0].Address, clientSeen(targets))
	default:
		return fmt.Sprintf("SENT TO one of %d endpoints%s.", len(targets), clientSeen(targets))
	}
}

// clientSeen says whose address the endpoints see.
func clientSeen(targets []explain.Target) string {
	masqueraded := 0
	for _, target := range targets {
		if target.Masqueraded {
			masqueraded++
		}
	}
	switch masqueraded {
	case 0:
		return ", with the client's own address"
	case len(targets):
		return ", with the node's address in place of the client's"
	}
	return ", with the client's own address except to itself"
}

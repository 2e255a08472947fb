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
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"switchyard.dev/switchyard/internal/dataplane/explain"
	"switchyard.dev/switchyard/internal/dataplane/flowtrace"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
	"switchyard.dev/switchyard/internal/probe"
)

// Report is what a real connection showed.
type Report struct {
	Seen
	// Connection is how the client fared.
	Connection probe.Answer `json:"connection"`
	// Happened is what the node did, in a clause.
	Happened string `json:"happened"`
	// Disagreement says how that is not what was explained, empty if it is.
	Disagreement string `json:"disagreement,omitempty"`
	// Notes are about what else may have gone wrong.
	Notes []string `json:"notes,omitempty"`

	node        string
	destination netip.AddrPort
}

func newReport(a Answer, connection probe.Answer, seen Seen) *Report {
	r := &Report{Seen: seen, Connection: connection, node: a.Node, destination: a.question.Destination}
	r.Happened = r.happened()
	if !r.agrees(a.Outcome) {
		r.Disagreement = fmt.Sprintf("explained was %s; %s", expected(a.Outcome), r.Happened)
	}
	r.note(a)
	return r
}

// dropper is the first step that dropped one of the packets. A refusal is one,
// too: the packet ends and its sender is told.
func (r *Report) dropper() (flowtrace.Step, bool) {
	for _, p := range r.Packets {
		if step, dropped := p.Dropped(); dropped {
			return step, true
		}
	}
	return flowtrace.Step{}, false
}

// sentTo is where the packet went on to.
func (r *Report) sentTo() netip.AddrPort {
	if r.Tracked != nil {
		return r.Tracked.Server
	}
	for _, p := range r.Packets {
		if to := p.SentTo(); to.IsValid() {
			return to
		}
	}
	return netip.AddrPort{}
}

// ours says whether a step is one of the agent's tables.
func ours(step flowtrace.Step) bool {
	_, table, _ := strings.Cut(step.Table, " ")
	return table == ruleset.TableName || table == ruleset.StandInName
}

func (r *Report) refused() bool { return r.Connection.Outcome == probe.Refused }

func (r *Report) happened() string {
	step, dropped := r.dropper()
	switch {
	case len(r.Packets) == 0:
		return fmt.Sprintf("no packet of it was seen on %s", r.node)
	case dropped && r.refused():
		return "it was refused by " + stepText(step)
	case dropped:
		return "it was dropped by " + stepText(step)
	case r.sentTo() == r.destination:
		return "it went on untouched"
	}
	text := fmt.Sprintf("it was sent to %s", r.sentTo())
	switch {
	case r.Tracked == nil:
		return text
	case r.Tracked.Masqueraded():
		return text + fmt.Sprintf(", masqueraded as %s", r.Tracked.Client.Addr())
	}
	return text + ", with the client's own address"
}

// stepText names a rule as `nft -a list chain` shows it.
func stepText(s flowtrace.Step) string {
	if s.Handle == 0 {
		return fmt.Sprintf("%s, chain %s, its policy", s.Table, s.Chain)
	}
	return fmt.Sprintf("%s, chain %s, rule %d", s.Table, s.Chain, s.Handle)
}

func expected(o explain.Outcome) string {
	switch o.End {
	case explain.ToEndpoints:
		return "that it goes to " + o.String()
	case explain.PassedOn:
		return "that it goes on untouched"
	}
	return fmt.Sprintf("that it is %s by Services", o.End)
}

// agrees compares what the node did with what was explained. What becomes of
// the packet after the node is not part of it.
func (r *Report) agrees(o explain.Outcome) bool {
	step, dropped := r.dropper()
	switch o.End {
	case explain.Refused:
		return dropped && ours(step) && r.refused()
	case explain.Dropped:
		return dropped && ours(step) && !r.refused()
	case explain.PassedOn:
		return len(r.Packets) > 0 && !dropped && r.sentTo() == r.destination
	}
	return len(r.Packets) > 0 && !dropped && slices.ContainsFunc(o.Targets, func(t explain.Target) bool {
		return t.Address == r.sentTo() && (r.Tracked == nil || r.Tracked.Masqueraded() == t.Masqueraded)
	})
}

// note tells of what is not the node's doing.
func (r *Report) note(a Answer) {
	step, dropped := r.dropper()
	switch {
	case dropped && !ours(step):
		family, table, _ := strings.Cut(step.Table, " ")
		r.Notes = append(r.Notes, fmt.Sprintf("That table is not Switchyard's: `nft -a list chain %s %s %s` on %s shows the rule.",
			family, table, step.Chain, r.node))
	case dropped:
	case len(r.Packets) == 0:
		r.Notes = append(r.Notes, "It was lost before: look at routes and rules where the client is.")
	case r.refused():
		r.Notes = append(r.Notes, fmt.Sprintf("%s itself refused: nothing listens there.", r.sentTo()))
	case r.Connection.Outcome == probe.TimedOut && a.question.Protocol == model.UDP:
		r.Notes = append(r.Notes, "No answer came, which with UDP need not mean anything.")
	case r.Connection.Outcome == probe.TimedOut:
		r.Notes = append(r.Notes, fmt.Sprintf("No answer came: the packet or its answer was lost between %s and %s.", r.node, r.sentTo()))
	}
}

// Text is the report for people.
func (r *Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "live: a connection was made, and %s\n\n", r.connected())
	if len(r.Packets) > 0 {
		lines := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
		for _, group := range groups(r.way()) {
			fmt.Fprintf(lines, "  %s\t%s\t%s\n", group.table, strings.Join(group.chains, ", "), group.verdict)
		}
		_ = lines.Flush()
		b.WriteString("\n")
	}
	if r.Disagreement == "" {
		fmt.Fprintf(&b, "AGREES: %s.\n", r.Happened)
	} else {
		fmt.Fprintf(&b, "DISAGREES: %s.\n", r.Disagreement)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "  %s\n", note)
	}
	return b.String()
}

func (r *Report) connected() string {
	took := r.Connection.Elapsed.Round(100 * time.Microsecond)
	switch r.Connection.Outcome {
	case probe.Answered:
		return fmt.Sprintf("answered after %s", took)
	case probe.Refused:
		return fmt.Sprintf("refused after %s", took)
	case probe.TimedOut:
		return fmt.Sprintf("not answered within %s", took.Round(time.Second))
	}
	return "failed: " + r.Connection.Error
}

// way is the packet to show: one that was dropped, or else the first.
func (r *Report) way() flowtrace.Packet {
	for _, p := range r.Packets {
		if _, dropped := p.Dropped(); dropped {
			return p
		}
	}
	return r.Packets[0]
}

// group is a run of steps in one base chain and the chains it led to.
type group struct {
	table   string
	chains  []string
	verdict string
}

// groups puts steps together until a verdict ends their base chain. A base
// chain that is crossed again is crossed by another packet, to which the kernel
// has given the same number.
func groups(p flowtrace.Packet) []group {
	var all []group
	open := false
	for _, step := range p.Steps {
		if !open {
			again := func(g group) bool { return g.table == step.Table && g.chains[0] == step.Chain }
			if slices.ContainsFunc(all, again) {
				break
			}
			all = append(all, group{table: step.Table})
		}
		last := &all[len(all)-1]
		if !slices.Contains(last.chains, step.Chain) {
			last.chains = append(last.chains, step.Chain)
		}
		last.verdict = step.Verdict
		if step.Verdict == "drop" && step.Handle != 0 {
			last.verdict = fmt.Sprintf("drop by rule %d", step.Handle)
		}
		open = !ends(step.Verdict)
	}
	return all
}

func ends(verdict string) bool {
	return verdict == "accept" || verdict == "drop" || strings.HasPrefix(verdict, "policy ")
}

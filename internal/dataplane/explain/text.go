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

package explain

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// String is the question in words.
func (q Question) String() string {
	from := q.Source.String()
	if q.FromNode {
		from = "this node (" + from + ")"
	}
	if q.Interface != "" {
		from += " on " + q.Interface
	}
	return fmt.Sprintf("from %s to %s %s", from, q.Protocol, q.Destination)
}

// String is one sentence.
func (o Outcome) String() string {
	if o.End != ToEndpoints {
		return string(o.End)
	}
	const most = 5
	var words []string
	for _, target := range o.Targets[:min(most, len(o.Targets))] {
		word := target.Address.String()
		if target.Masqueraded {
			word += " (masqueraded)"
		}
		words = append(words, word)
	}
	text := strings.Join(words, ", ")
	if more := len(o.Targets) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Text is the answer for people, in lines of two columns and a table of
// endpoints.
func (r Result) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, on node %s\n\n", r.Question, r.Node)
	lines := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, step := range r.Steps {
		fmt.Fprintf(lines, "%s\t%s\n", step.About, step.Says)
	}
	_ = lines.Flush() // a strings.Builder takes everything
	if len(r.Endpoints) > 0 {
		b.WriteString("\n" + r.endpointTable())
	}
	if r.Doubt != "" {
		fmt.Fprintf(&b, "\nThis is a bug, please report it: %s\n", r.Doubt)
	}
	return b.String()
}

func (r Result) endpointTable() string {
	var b strings.Builder
	lines := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(lines, "ENDPOINT\tPOD\tNODE\tZONE\tWEIGHT\tWHY")
	for _, e := range r.Endpoints {
		weight := "-"
		if e.Weight != 0 {
			weight = itoa(e.Weight)
		}
		fmt.Fprintf(lines, "%s\t%s\t%s\t%s\t%s\t%s\n", e.Address, dash(e.Pod), dash(e.Node), dash(e.Zone), weight, e.Why)
	}
	_ = lines.Flush()
	return b.String()
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

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

package ruleset

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// TableName is the name of our table, in each family.
const TableName = "switchyard"

// StandInName is the table that is there while ours is replaced.
const StandInName = TableName + "-stand-in"

// Set is the declaration of a set or, with data, of a map.
type Set struct {
	Name string
	Key  Key
	// Data is what a map's keys lead to; nil for a set and a verdict map.
	Data Key
	// Verdicts is true for a map to chains.
	Verdicts bool
	// Interval is true for a set of address ranges. In a concatenation the last
	// part is the range.
	Interval bool
	// Counters is true for a set whose elements count the packets they match.
	Counters bool
	// Size bounds a map whose elements packets make, each with a timeout. What
	// it holds is no one's to plan. It is 0 for all others.
	Size uint32
}

// IsMap is true if the elements of s carry data.
func (s Set) IsMap() bool { return s.Verdicts || s.Data != nil }

// IsConcatRange is true if ranges are the last part of a concatenation.
func (s Set) IsConcatRange() bool { return s.Interval && len(s.Key) > 1 }

// Hook is where a base chain is attached.
type Hook struct {
	// Type is "nat" or "filter".
	Type string
	// Point is "prerouting", "input", "forward", "output" or "postrouting".
	Point string
	// Priority orders chains at one point, lowest first.
	Priority int32
	// PriorityText is the priority as nft lists it.
	PriorityText string
}

// Chain is a list of rules; a base chain if it has a Hook.
type Chain struct {
	Name string
	Hook *Hook
	// OnDemand is true for a chain that is not part of every table.
	OnDemand bool
	Rules    []Rule
}

// Schema is the fixed part of the table of one family.
type Schema struct {
	Family model.Family
	// Name is TableName or StandInName.
	Name string
	// Sets are in load order: what is led to comes before what leads there.
	Sets []Set
	// Chains are in load order: the targets of a goto come before it.
	Chains []Chain
}

// Set finds a declaration by name; ok is false if there is none.
func (s *Schema) Set(name string) (set Set, ok bool) {
	for _, set := range s.Sets {
		if set.Name == name {
			return set, true
		}
	}
	return Set{}, false
}

// Chain finds a chain by name, also one that is made when it is needed, or
// nil.
func (s *Schema) Chain(name string) *Chain {
	if c := stickyChainNamed(name); c != nil {
		return c
	}
	for i := range s.Chains {
		if s.Chains[i].Name == name {
			return &s.Chains[i]
		}
	}
	return nil
}

// Comment marks a table of this schema: a table with another comment was made
// by another version and is replaced as a whole.
func (s *Schema) Comment() string {
	return fmt.Sprintf("schema %x", sha256.Sum256([]byte(s.body(nil))))[:len("schema ")+16]
}

// Title is the table's family and name, as nft writes them.
func (s *Schema) Title() string { return keyword(s.Family) + " " + s.Name }

// Text is the table without elements, exactly as `nft list table` prints it.
func (s *Schema) Text() string { return s.TextWith(nil) }

// TextWith is Text with the elements of each set and, as if they were those of
// a set StickyChains, with the chains of these names. elements may be nil and
// returns nothing for an empty set.
func (s *Schema) TextWith(elements func(Set) []string) string {
	return fmt.Sprintf("table %s {\n\tcomment %q\n%s}\n", s.Title(), s.Comment(), s.body(elements))
}

func (s *Schema) body(elements func(Set) []string) string {
	var blocks []string
	for _, set := range s.Sets {
		var lines []string
		if elements != nil {
			lines = elements(set)
		}
		blocks = append(blocks, set.text(s.Family, lines))
	}
	for _, chain := range s.Chains {
		blocks = append(blocks, chain.text(s.Family))
	}
	if elements != nil {
		for _, name := range elements(Set{Name: StickyChains}) {
			blocks = append(blocks, stickyChainNamed(name).text(s.Family))
		}
	}
	return strings.Join(blocks, "\n")
}

func (s Set) text(family model.Family, elements []string) string {
	kind, data, flags := "set", "", ""
	if s.IsMap() {
		kind, data = "map", " : "+s.dataText(family)
	}
	switch {
	case s.Interval:
		flags = "\t\tflags interval\n"
	case s.Counters:
		flags = "\t\tcounter\n"
	case s.Size > 0:
		flags = fmt.Sprintf("\t\tsize %d\n\t\tflags dynamic,timeout\n", s.Size)
	}
	list := ""
	if len(elements) > 0 {
		list = "\t\telements = { " + strings.Join(elements, ",\n\t\t\t     ") + " }\n"
	}
	return fmt.Sprintf("\t%s %s {\n\t\ttypeof %s%s\n%s%s\t}\n", kind, s.Name, s.Key.nft(family), data, flags, list)
}

func (s Set) dataText(family model.Family) string {
	if s.Verdicts {
		return "verdict"
	}
	return s.Data.nft(family)
}

func (c Chain) text(family model.Family) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\tchain %s {\n", c.Name)
	if c.Hook != nil {
		fmt.Fprintf(&b, "\t\ttype %s hook %s priority %s; policy accept;\n", c.Hook.Type, c.Hook.Point, c.Hook.PriorityText)
	}
	for _, r := range c.Rules {
		fmt.Fprintf(&b, "\t\t%s\n", r.Text(family))
	}
	b.WriteString("\t}\n")
	return b.String()
}

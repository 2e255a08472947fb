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

package docs

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// What differs from run to run. A page has an example of it, which stands for any
// other; names and addresses stand for the same one wherever the page has them.
var kinds = []struct {
	pattern string
	same    bool
}{
	{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, true},                      // a UID
	{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z`, false},                                        // a time
	{`\b[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6}::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?`, true}, // IPv6
	{`\b\d{1,3}(?:\.\d{1,3}){3}\b`, true},                                                       // IPv4
	{`-(?:[bcdfghjklmnpqrstvwxz2456789]{6,10}-)?[bcdfghjklmnpqrstvwxz2456789]{5}\b`, true},      // the end of a pod's name
	{`\bnode-\d+\b`, false}, // where the scheduler puts a pod
	{`\b\d+(?:\.\d+)?(?:ns|µs|ms|s|m|h|d)(?:\d+(?:\.\d+)?(?:ms|s|m|h))*\b`, false}, // an age, a duration
	{`\b\d+(?:\.\d+)?(?:(?:[KMGT]i)?B)?\b`, false},                                 // only with the note: any number, of bytes or of anything
}

var (
	blanks   = regexp.MustCompile(`\s+`)
	varying  = regexp.MustCompile(alternatives(len(kinds) - 1))
	numerous = regexp.MustCompile(alternatives(len(kinds)))
)

func alternatives(n int) string {
	var all []string
	for _, k := range kinds[:n] {
		all = append(all, "("+k.pattern+")")
	}
	return strings.Join(append(all, `(\.\.\.)`), "|")
}

// meanings says what the page's names and addresses are in this run.
type meanings map[string]string

// A likeness compares what a page shows with what was printed.
type likeness struct {
	numbers  bool // differ
	anyOrder bool
}

// compare returns what is known of names afterwards, or which line has no match.
func (l likeness) compare(shown, printed []string, known meanings) (meanings, error) {
	shown, printed = withoutBlank(shown), withoutBlank(printed)
	furthest := 0
	var found meanings
	if l.anyOrder {
		found = l.unordered(shown, printed, known)
	} else {
		found = l.ordered(shown, printed, known, len(shown), &furthest)
	}
	if found != nil {
		return found, nil
	}
	at := "no lines"
	if furthest < len(shown) {
		at = shown[furthest]
	}
	return nil, fmt.Errorf("from the line %q on, the page has\n%s\nand what was printed is\n%s", at, strings.Join(shown, "\n"), strings.Join(printed, "\n"))
}

func (l likeness) ordered(shown, printed []string, known meanings, all int, furthest *int) meanings {
	*furthest = max(*furthest, all-len(shown))
	if len(shown) == 0 {
		if len(printed) == 0 {
			return known
		}
		return nil
	}
	if shown[0] == "..." {
		for i := range len(printed) + 1 {
			if found := l.ordered(shown[1:], printed[i:], known, all, furthest); found != nil {
				return found
			}
		}
		return nil
	}
	if len(printed) == 0 {
		return nil
	}
	if found := l.line(shown[0], printed[0], known); found != nil {
		return l.ordered(shown[1:], printed[1:], found, all, furthest)
	}
	return nil
}

func (l likeness) unordered(shown, printed []string, known meanings) meanings {
	printed = slices.Clone(printed)
	more := false
	for _, line := range shown {
		if line == "..." {
			more = true
			continue
		}
		i := slices.IndexFunc(printed, func(p string) bool { return l.line(line, p, known) != nil })
		if i < 0 {
			return nil
		}
		known = l.line(line, printed[i], known)
		printed = slices.Delete(printed, i, i+1)
	}
	if len(printed) > 0 && !more {
		return nil
	}
	return known
}

// line compares two lines, and returns nil if they differ.
func (l likeness) line(shown, printed string, known meanings) meanings {
	of := varying
	if l.numbers {
		of = numerous
	}
	var pattern strings.Builder
	var names []string // of what has to be the same, by group
	rest := 0
	for _, at := range of.FindAllStringSubmatchIndex(shown, -1) {
		pattern.WriteString(literal(shown[rest:at[0]]))
		rest = at[1]
		kind := slices.IndexFunc(groups(at), func(begin int) bool { return begin >= 0 })
		if kind == len(groups(at))-1 {
			pattern.WriteString(".*")
			continue
		}
		names = append(names, "")
		if kinds[kind].same {
			names[len(names)-1] = shown[at[0]:at[1]]
		}
		value := kinds[kind].pattern
		if kind == len(kinds)-1 {
			value = `[0-9a-f]+(?:\.\d+)?(?:(?:[KMGT]i)?B)?` // also of a route, which nft prints with such digits
		}
		pattern.WriteString("(" + value + ")")
	}
	pattern.WriteString(literal(shown[rest:]))
	values := regexp.MustCompile("^" + pattern.String() + "$").FindStringSubmatch(printed)
	if values == nil {
		return nil
	}
	found := maps.Clone(known)
	for i, name := range names {
		if before, has := found[name]; name != "" && has && before != values[i+1] {
			return nil
		}
		if name != "" {
			found[name] = values[i+1]
		}
	}
	return found
}

// groups are where the groups of a match begin.
func groups(at []int) []int {
	var begin []int
	for i := 2; i < len(at); i += 2 {
		begin = append(begin, at[i])
	}
	return begin
}

// literal matches a text, with any blanks for its blanks.
func literal(text string) string {
	return blanks.ReplaceAllString(regexp.QuoteMeta(text), `\s+`)
}

func withoutBlank(lines []string) []string {
	var all []string
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

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

package chaos

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"switchyard.dev/switchyard/test/prereq"
)

// table is what a table holds, by set, with names in place of the numbers that
// a history gives.
type table map[string][]string

// listed is what of nft's JSON is of interest.
type listed struct {
	Nftables []struct {
		Set, Map *set
		Chain    *struct{ Name string }
		Rule     *struct {
			Chain string
			Expr  json.RawMessage
		}
	}
}

type set struct {
	Name string
	// Type is that of the keys, and Map that of the data: a name or a list.
	Type, Map any
	Elem      []any
	Flags     any
}

// tables are those of the node, whose Services are in both.
func (b *bed) tables() map[string]table {
	b.Helper()
	all, err := b.list()
	if err != nil {
		b.Fatal(err)
	}
	for family, t := range all {
		if len(t["frontends"]) == 0 || len(t["chain services"]) == 0 {
			b.Fatalf("%s: no Service is programmed: %v", family, t)
		}
	}
	return all
}

// list is tables of whatever there is. A table that is gone is an error.
func (b *bed) list() (map[string]table, error) {
	b.Helper()
	tool := prereq.Tool(b.T, "nft", "nftables")
	all := map[string]table{}
	for _, f := range families {
		var l listed
		err := b.node.Do(func() error {
			out, err := exec.Command(tool, "-j", "list", "table", f.keyword, "switchyard").Output()
			if err != nil {
				return fmt.Errorf("listing the table %s switchyard: %w", f.keyword, err)
			}
			return json.Unmarshal(out, &l)
		})
		if err != nil {
			return nil, err
		}
		all[f.name] = l.table()
	}
	return all, nil
}

func (l *listed) table() table {
	t := table{}
	names := l.names()
	for _, item := range l.Nftables {
		for _, s := range []*set{item.Set, item.Map} {
			if s == nil || s.isMemory() {
				continue
			}
			t[s.Name] = []string{}
			for _, e := range s.Elem {
				t[s.Name] = append(t[s.Name], s.named(e, names))
			}
			slices.Sort(t[s.Name])
		}
		if r := item.Rule; r != nil {
			t["chain "+r.Chain] = append(t["chain "+r.Chain], string(r.Expr))
		}
	}
	return t
}

// isMemory is true for what clients leave behind.
func (s *set) isMemory() bool {
	flags, _ := s.Flags.([]any)
	return slices.Contains(flags, any("timeout")) || slices.Contains(flags, any("dynamic"))
}

// names are the first frontends that lead to an id.
func (l *listed) names() map[uint32]string {
	names := map[uint32]string{}
	for _, item := range l.Nftables {
		if item.Map == nil || item.Map.Name != "frontends" {
			continue
		}
		for _, e := range item.Map.Elem {
			pair := e.([]any)
			id, name := number(pair[1]), fmt.Sprint(pair[0])
			if old, known := names[id]; !known || name < old {
				names[id] = name
			}
		}
	}
	return names
}

// number is the id in a priority, which nft prints as major:minor.
func number(value any) uint32 {
	var major, minor uint32
	if s, ok := value.(string); ok {
		_, _ = fmt.Sscanf(s, "%x:%x", &major, &minor)
	}
	if n, ok := value.(float64); ok {
		return uint32(n) & 0xfffff
	}
	return (major<<16 | minor) & 0xfffff
}

// named is an element whose ids are names. Slots are a matter of history, as is
// the class in the high bits.
func (s *set) named(element any, names map[uint32]string) string {
	key, data := element, any(nil)
	if pair, isMap := element.([]any); isMap {
		key, data = pair[0], pair[1]
	}
	if s.Name == "sticky" || s.Name == "spreads" {
		names = nil // what clients are pinned to is numbered apart
	}
	text := fields(s.Type, key, names)
	if s.Map != nil {
		text += " : " + fields(s.Map, data, names)
	}
	return text
}

func fields(kind, value any, names map[uint32]string) string {
	kinds, several := kind.([]any)
	if !several {
		kinds = []any{kind}
	}
	if object, ok := value.(map[string]any); ok && object["elem"] != nil {
		value = object["elem"].(map[string]any)["val"] // it has a counter or a timeout
	}
	values := []any{value}
	if object, ok := value.(map[string]any); ok && object["concat"] != nil {
		values = object["concat"].([]any)
	}
	var text []string
	for i, v := range values {
		switch {
		case i < len(kinds) && kinds[i] == "classid":
			text = append(text, fmt.Sprintf("<%s>", names[number(v)]))
		case i < len(kinds) && kinds[i] == "integer":
			text = append(text, "*")
		default:
			text = append(text, fmt.Sprint(v))
		}
	}
	return strings.Join(text, " . ")
}

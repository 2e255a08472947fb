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
	"reflect"
	"strings"
)

// A value is a setting of the chart.
type value struct {
	// path is its name in values.yaml, with dots.
	path string
	// doc is what values.yaml, the schema and the README say about it.
	doc string
	// schema is its JSON schema, without the default and the description.
	schema schema
	// initial is its default, unless the manifests have it.
	initial any
	// edits put it into the manifests.
	edits []edit
}

// An edit makes one place of the manifests depend on the value.
type edit func(*chart, *value) error

// expression is how templates write the value.
func (v *value) expression() string { return ".Values." + v.path }

// replaced puts the value in the place of what is there, which is the default.
func replaced(id, path string) edit {
	return func(c *chart, v *value) error {
		p, err := c.place(id, path)
		if err != nil {
			return err
		}
		found, err := plain(*p.value)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", id, path, err)
		}
		if v.initial != nil && !reflect.DeepEqual(v.initial, found) {
			return fmt.Errorf("%s: %s is %v, and in another place of the same value %v", id, path, found, v.initial)
		}
		v.initial = found
		switch found.(type) {
		case map[string]any, []any:
			*p.value = block("{{- toYaml " + v.expression() + " | nindent %d }}")
		case string:
			*p.value = inline("{{ " + v.expression() + " | quote }}")
		default:
			*p.value = inline("{{ " + v.expression() + " }}")
		}
		return nil
	}
}

// rewritten puts a template in the place of the text that is there.
func rewritten(id, path string, text node) edit {
	return func(c *chart, _ *value) error {
		p, err := c.place(id, path)
		if err == nil {
			*p.value = text
		}
		return err
	}
}

// optional adds a key that config/ does not have, if the value is not empty.
func optional(id, path, key string) edit {
	return func(c *chart, v *value) error {
		text := block("{{- toYaml " + v.expression() + " | nindent %d }}")
		if _, ok := v.initial.(string); ok {
			return added(id, path, key, v.expression(), inline("{{ "+v.expression()+" | quote }}"))(c, v)
		}
		return added(id, path, key, v.expression(), text)(c, v)
	}
}

// added adds a key that config/ does not have, under a condition. The mappings on
// the way there are made if they are not there.
func added(id, path, key, when string, content node) edit {
	return func(c *chart, _ *value) error {
		p, err := c.place(id, path)
		if err != nil {
			return err
		}
		m, ok := (*p.value).(*mapping)
		if !ok {
			return fmt.Errorf("%s: %s is no mapping", id, path)
		}
		if m.get(key) != nil {
			return fmt.Errorf("%s: %s has a key %s already: it is to be replaced", id, path, key)
		}
		m.set(key, content, when)
		return nil
	}
}

// merged adds the keys of the value to a mapping.
func merged(id, path string) edit {
	return func(c *chart, v *value) error {
		p, err := c.place(id, path)
		if err != nil {
			return err
		}
		m, ok := (*p.value).(*mapping)
		if !ok {
			return fmt.Errorf("%s: %s is no mapping", id, path)
		}
		m.entries = append(m.entries, &entry{when: v.expression(), value: block("{{- toYaml " + v.expression() + " | nindent %d }}")})
		return nil
	}
}

// appended adds the items of the value to a list.
func appended(id, path string) edit {
	return func(c *chart, v *value) error {
		return withItem(id, path, v.expression(), block("{{- toYaml "+v.expression()+" | nindent %d }}"))(c, v)
	}
}

// withItem adds one item to a list, under a condition. A list that is there only
// sometimes is there for the item too: its other items keep their condition.
func withItem(id, path, when string, content node) edit {
	return func(c *chart, _ *value) error {
		p, err := c.place(id, path)
		if err != nil {
			return err
		}
		s, ok := (*p.value).(*sequence)
		if !ok {
			return fmt.Errorf("%s: %s is no list", id, path)
		}
		if list := *p.when; list != "" {
			for _, i := range s.items {
				i.when = conjunction(list, i.when)
			}
			*p.when = disjunction(list, when)
		}
		s.items = append(s.items, &item{when: when, value: content})
		return nil
	}
}

// argument adds one to the arguments of a program, if the value is not empty.
func argument(id, container, flag string) edit {
	return func(c *chart, v *value) error {
		return withItem(id, container+"/args", v.expression(), inline("--"+flag+"={{ "+v.expression()+" }}"))(c, v)
	}
}

// switchedOff adds an argument where the value is false.
func switchedOff(id, container, argument string) edit {
	return func(c *chart, v *value) error {
		return withItem(id, container+"/args", "not "+v.expression(), scalar{argument})(c, v)
	}
}

// only keeps what is in a place under a condition: that of config/, which %s in
// it stands for, or another.
func only(id, path, when string) edit {
	return func(c *chart, _ *value) error {
		p, err := c.place(id, path)
		if err != nil {
			return err
		}
		*p.when = strings.ReplaceAll(when, "%s", "("+*p.when+")")
		return nil
	}
}

// whole keeps a whole manifest under a condition, on top of what it has.
func whole(id, when string) edit {
	return func(c *chart, _ *value) error {
		t, err := c.object(id)
		if err == nil {
			t.when = conjunction(t.when, when)
		}
		return err
	}
}

// kinds keeps all manifests of a directory of config/ that are of a kind under a
// condition. There has to be one.
func kinds(directory, kind, when string, more ...func(id string) edit) edit {
	return func(c *chart, v *value) error {
		found := false
		for _, t := range c.objects {
			if t.kind != kind || !strings.HasPrefix(t.origin, directory+"/") {
				continue
			}
			found = true
			if t.when == forPrometheus && when != "" {
				t.when = when
			} else {
				t.when = conjunction(t.when, when)
			}
			for _, m := range more {
				if err := m(t.id)(c, v); err != nil {
					return err
				}
			}
		}
		if !found {
			return fmt.Errorf("config/%s has no %s", directory, kind)
		}
		return nil
	}
}

// eachOf edits all manifests of a directory of config/ that are of a kind.
func eachOf(directory, kind string, one func(id string) edit) edit {
	return kinds(directory, kind, "", one)
}

func conjunction(a, b string) string {
	if a == "" {
		return b
	}
	if b == "" {
		return a
	}
	return "and (" + a + ") (" + b + ")"
}

// disjunction always holds if one of the conditions does.
func disjunction(a, b string) string {
	if a == "" || b == "" {
		return ""
	}
	return "or (" + a + ") (" + b + ")"
}

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
	"slices"
	"strings"
)

// A node is a manifest, or a part of one, with what makes it a template.
type node interface{ isNode() }

// A mapping's keys are sorted.
type mapping struct{ entries []*entry }

// An entry is there when its condition holds, which is an expression of Go
// templates, or empty for always.
type entry struct {
	key   string
	value node
	when  string
}

type sequence struct{ items []*item }

type item struct {
	value node
	when  string
}

// A scalar is a string, number, bool or null.
type scalar struct{ value any }

// An alternative is one of several scalars, each with its condition.
type alternatives struct{ items []*item }

// An inline is text of the template in place of a scalar.
type inline string

// A block is lines of the template, which begin in the column of a key of their
// own. %d in it is that column.
type block string

// A textOf is a scalar of several lines that come from a template, with %d for
// their column.
type textOf string

func (*mapping) isNode()      {}
func (*sequence) isNode()     {}
func (scalar) isNode()        {}
func (*alternatives) isNode() {}
func (inline) isNode()        {}
func (block) isNode()         {}
func (textOf) isNode()        {}

// get returns the entry of a key, or nil.
func (m *mapping) get(key string) *entry {
	for _, e := range m.entries {
		if e.key == key {
			return e
		}
	}
	return nil
}

// set adds an entry, or replaces that of the key.
func (m *mapping) set(key string, value node, when string) *entry {
	at, found := slices.BinarySearchFunc(m.entries, key, func(e *entry, key string) int { return strings.Compare(e.key, key) })
	if !found {
		m.entries = slices.Insert(m.entries, at, &entry{})
	}
	*m.entries[at] = entry{key: key, value: value, when: when}
	return m.entries[at]
}

// name is what an item of a list is called in a path: the text of a scalar, or one
// of the keys that tell items apart.
func (i *item) name() string {
	switch value := i.value.(type) {
	case scalar:
		return fmt.Sprint(value.value)
	case *mapping:
		for _, key := range []string{"name", "mountPath", "key", "topologyKey", "configMapRef"} {
			if e := value.get(key); e != nil {
				if s, ok := e.value.(scalar); ok {
					return fmt.Sprint(s.value)
				}
			}
		}
	}
	return ""
}

// A place is what a path leads to, and can be changed there.
type place struct {
	path  string
	value *node
	when  *string
	// remove takes it out of what it is in.
	remove func()
}

// find follows a path of keys and of names of items, between slashes. A name that
// has slashes is written in brackets.
func find(from *node, path string) (place, error) {
	p := place{value: from}
	for _, step := range steps(path) {
		p.path += "/" + step
		switch at := (*p.value).(type) {
		case *mapping:
			e := at.get(step)
			if e == nil {
				return p, fmt.Errorf("there is no %s", p.path)
			}
			p.value, p.when = &e.value, &e.when
			p.remove = func() { at.entries = slices.DeleteFunc(at.entries, func(x *entry) bool { return x == e }) }
		case *sequence:
			i := slices.IndexFunc(at.items, func(i *item) bool { return i.name() == step })
			if i < 0 {
				return p, fmt.Errorf("there is no %s", p.path)
			}
			found := at.items[i]
			p.value, p.when = &found.value, &found.when
			p.remove = func() { at.items = slices.DeleteFunc(at.items, func(x *item) bool { return x == found }) }
		default:
			return p, fmt.Errorf("there is nothing below %s", strings.TrimSuffix(p.path, "/"+step))
		}
	}
	return p, nil
}

func steps(path string) []string {
	var all []string
	for path != "" {
		var step string
		if strings.HasPrefix(path, "[") {
			step, path, _ = strings.Cut(path[1:], "]")
			path = strings.TrimPrefix(path, "/")
		} else {
			step, path, _ = strings.Cut(path, "/")
		}
		all = append(all, step)
	}
	return all
}

// plain is the value of a node that has no part of a template in it.
func plain(n node) (any, error) {
	switch n := n.(type) {
	case scalar:
		return n.value, nil
	case *mapping:
		m := map[string]any{}
		for _, e := range n.entries {
			value, err := plain(e.value)
			if err != nil || e.when != "" {
				return nil, fmt.Errorf("%s depends on the choice of installation: %w", e.key, err)
			}
			m[e.key] = value
		}
		return m, nil
	case *sequence:
		s := []any{}
		for _, i := range n.items {
			value, err := plain(i.value)
			if err != nil || i.when != "" {
				return nil, fmt.Errorf("%s depends on the choice of installation: %w", i.name(), err)
			}
			s = append(s, value)
		}
		return s, nil
	default:
		return nil, fmt.Errorf("a template is no default")
	}
}

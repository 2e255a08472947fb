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
	"maps"
	"reflect"
	"slices"
)

// A variant is one value of a part of the manifests, and in which of the choices
// it is so.
type variant struct {
	in    set
	value any
}

// merger puts the manifests of all choices into one tree.
type merger struct{ choices []choice }

// merge returns the tree for what has the variants. Together they are in the
// choices of within.
func (m merger) merge(within set, variants []variant) (node, error) {
	kind := kindOf(variants[0].value)
	for _, v := range variants {
		if kindOf(v.value) != kind {
			return nil, fmt.Errorf("it is a %s and a %s", kind, kindOf(v.value))
		}
	}
	switch kind {
	case reflect.Map:
		return m.mappings(within, variants)
	case reflect.Slice:
		return m.sequences(within, variants)
	default:
		return m.scalars(within, variants)
	}
}

func kindOf(value any) reflect.Kind {
	switch value.(type) {
	case map[string]any:
		return reflect.Map
	case []any:
		return reflect.Slice
	default:
		return reflect.Invalid
	}
}

func (m merger) mappings(within set, variants []variant) (node, error) {
	keys := map[string][]variant{}
	for _, v := range variants {
		for key, value := range v.value.(map[string]any) {
			keys[key] = append(keys[key], variant{v.in, value})
		}
	}
	result := &mapping{}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value, when, err := m.part(within, keys[key])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		result.entries = append(result.entries, &entry{key: key, value: value, when: when})
	}
	return result, nil
}

// part merges what only some of the choices may have, and says which.
func (m merger) part(within set, variants []variant) (node, string, error) {
	var in set
	for _, v := range variants {
		in |= v.in
	}
	when, err := m.condition(in, within)
	if err != nil {
		return nil, "", err
	}
	value, err := m.merge(in, variants)
	return value, when, err
}

// sequences keeps the order of items. Those with the same name are one.
func (m merger) sequences(within set, variants []variant) (node, error) {
	names := map[string][]variant{}
	var order []string
	// The longest has most to say about the order.
	slices.SortStableFunc(variants, func(a, b variant) int { return len(b.value.([]any)) - len(a.value.([]any)) })
	for _, v := range variants {
		at := 0
		seen := map[string]bool{}
		for n, value := range v.value.([]any) {
			name := nameOf(value, n)
			if seen[name] {
				return nil, fmt.Errorf("two items are called %s", name)
			}
			seen[name] = true
			names[name] = append(names[name], variant{v.in, value})
			switch found := slices.Index(order, name); {
			case found >= at:
				at = found + 1
			case found >= 0:
				return nil, fmt.Errorf("%s stands in different orders", name)
			default:
				order = slices.Insert(order, at, name)
				at++
			}
		}
	}
	result := &sequence{}
	for _, name := range order {
		value, when, err := m.part(within, names[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		result.items = append(result.items, &item{value: value, when: when})
	}
	return result, nil
}

// nameOf tells items of a list apart: by a key that does, or else by its number.
func nameOf(value any, number int) string {
	if object, ok := value.(map[string]any); ok {
		for _, key := range []string{"name", "mountPath"} {
			if name, ok := object[key].(string); ok {
				return fmt.Sprint(name, object["protocol"])
			}
		}
		return fmt.Sprint("item ", number)
	}
	return fmt.Sprint(value)
}

func (m merger) scalars(within set, variants []variant) (node, error) {
	var different []variant
	for _, v := range variants {
		same := slices.IndexFunc(different, func(d variant) bool { return reflect.DeepEqual(d.value, v.value) })
		if same < 0 {
			different = append(different, v)
		} else {
			different[same].in |= v.in
		}
	}
	if len(different) == 1 {
		return scalar{different[0].value}, nil
	}
	result := &alternatives{}
	for _, d := range different {
		when, err := m.condition(d.in, within)
		if err != nil {
			return nil, err
		}
		result.items = append(result.items, &item{value: scalar{d.value}, when: when})
	}
	return result, nil
}

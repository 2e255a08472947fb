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

// A set is one of choices, a bit for each.
type set uint64

// expressions say when a feature is chosen.
var expressions = map[string]string{
	"certmanager":    ".Values.certManager.enabled",
	"announce-l2":    `contains "l2" .Values.node.announce`,
	"node-metrics":   ".Values.node.metrics.onAllAddresses",
	"prometheus":     forPrometheus,
	"network-policy": ".Values.networkPolicy.enabled",
}

// forPrometheus stands for the conditions that objects of config/prometheus get by
// their kind.
const forPrometheus = "prometheus"

// condition is the expression that holds in these choices and in no other of
// those of within. It is empty if it always holds.
func (m merger) condition(in, within set) (string, error) {
	if in == within {
		return "", nil
	}
	// What is known of each choice in the set, narrowed down until leaving out one
	// more would let another choice in.
	type test struct {
		holds func(choice) bool
		text  string
	}
	var tests []test
	for _, f := range features {
		with, without := m.in(in, func(c choice) bool { return slices.Contains(c.features, f.name) })
		switch {
		case without == 0:
			tests = append(tests, test{func(c choice) bool { return slices.Contains(c.features, f.name) }, expressions[f.name]})
		case with == 0:
			tests = append(tests, test{func(c choice) bool { return !slices.Contains(c.features, f.name) }, "not (" + expressions[f.name] + ")"})
		}
	}
	var has, hasNot []string
	for _, mode := range modes {
		if with, _ := m.in(in, func(c choice) bool { return c.mode == mode }); with != 0 {
			has = append(has, mode)
		} else {
			hasNot = append(hasNot, mode)
		}
	}
	if len(hasNot) > 0 {
		text := fmt.Sprintf("has .Values.mode (list %s)", `"`+strings.Join(has, `" "`)+`"`)
		if len(has) == 1 {
			text = fmt.Sprintf("eq .Values.mode %q", has[0])
		} else if len(hasNot) == 1 {
			text = fmt.Sprintf("ne .Values.mode %q", hasNot[0])
		}
		tests = append(tests, test{func(c choice) bool { return slices.Contains(has, c.mode) }, text})
	}
	all := func(tests []test) set {
		with, _ := m.in(within, func(c choice) bool {
			return !slices.ContainsFunc(tests, func(t test) bool { return !t.holds(c) })
		})
		return with
	}
	if all(tests) != in {
		return "", fmt.Errorf("no value says when it is there: %s", m.describe(in))
	}
	for n := range slices.Backward(tests) {
		if fewer := slices.Delete(slices.Clone(tests), n, n+1); all(fewer) == in {
			tests = fewer
		}
	}
	if len(tests) == 1 {
		return tests[0].text, nil
	}
	text := tests[0].text
	for _, t := range tests[1:] {
		text = conjunction(text, t.text)
	}
	return text, nil
}

// in divides a set.
func (m merger) in(s set, holds func(choice) bool) (with, without set) {
	for n, c := range m.choices {
		if s&(1<<n) == 0 {
			continue
		}
		if holds(c) {
			with |= 1 << n
		} else {
			without |= 1 << n
		}
	}
	return with, without
}

func (m merger) describe(s set) string {
	var all []string
	for n, c := range m.choices {
		if s&(1<<n) != 0 {
			all = append(all, strings.Join(append([]string{c.mode}, c.features...), "+"))
		}
	}
	return strings.Join(all, ", ")
}

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
	"strings"

	"go.yaml.in/yaml/v3"
)

// namespace is the one of config/, in whose place comes that of the release.
const namespace = "switchyard-system"

// rendered is the text of a node: what follows the key or the dash in its line,
// and the lines after that, which are indented by whoever puts them there.
type rendered struct {
	inline string
	lines  []string
}

// render writes a node whose lines will begin in a column.
func render(n node, column int) (rendered, error) {
	switch n := n.(type) {
	case *mapping:
		return renderMapping(n, column)
	case *sequence:
		return renderSequence(n, column)
	case scalar:
		return encode(n.value)
	case *alternatives:
		return renderAlternatives(n)
	case inline:
		return rendered{inline: string(n)}, nil
	case textOf:
		return rendered{inline: "|", lines: []string{strings.ReplaceAll(string(n), "%d", fmt.Sprint(column))}}, nil
	case block:
		return rendered{lines: strings.Split(strings.ReplaceAll(string(n), "%d", fmt.Sprint(column)), "\n")}, nil
	}
	return rendered{}, fmt.Errorf("a %T is nothing to write", n)
}

func renderMapping(m *mapping, column int) (rendered, error) {
	if len(m.entries) == 0 {
		return rendered{inline: "{}"}, nil
	}
	var r rendered
	for _, e := range m.entries {
		indent := 2
		if _, list := e.value.(*sequence); list || e.key == "" {
			indent = 0
		}
		value, err := render(e.value, column+indent)
		if err != nil {
			return r, fmt.Errorf("%s: %w", e.key, err)
		}
		var lines []string
		if e.key != "" {
			key, err := encode(e.key)
			if err != nil {
				return r, err
			}
			lines = append(lines, strings.TrimRight(key.inline+": "+value.inline, " "))
		}
		lines = append(lines, shift(value.lines, indent)...)
		r.lines = append(r.lines, guarded(e.when, lines)...)
	}
	return r, nil
}

func renderSequence(s *sequence, column int) (rendered, error) {
	if len(s.items) == 0 {
		return rendered{inline: "[]"}, nil
	}
	var r rendered
	for _, i := range s.items {
		if b, ok := i.value.(block); ok {
			value, err := render(b, column)
			if err != nil {
				return r, err
			}
			r.lines = append(r.lines, guarded(i.when, value.lines)...)
			continue
		}
		value, err := render(i.value, column+2)
		if err != nil {
			return r, fmt.Errorf("%s: %w", i.name(), err)
		}
		lines := shift(value.lines, 2)
		if value.inline != "" {
			lines = append([]string{"- " + value.inline}, lines...)
		} else {
			if strings.HasPrefix(value.lines[0], "{{") {
				return r, fmt.Errorf("%s: its first key is not always there", i.name())
			}
			lines[0] = "- " + value.lines[0]
		}
		r.lines = append(r.lines, guarded(i.when, lines)...)
	}
	return r, nil
}

func renderAlternatives(a *alternatives) (rendered, error) {
	var text strings.Builder
	for n, i := range a.items {
		value, err := render(i.value, 0)
		if err != nil {
			return rendered{}, err
		}
		if len(value.lines) > 0 {
			return rendered{}, fmt.Errorf("texts of several lines differ")
		}
		switch n {
		case 0:
			fmt.Fprintf(&text, "{{ if %s }}%s", i.when, value.inline)
		case len(a.items) - 1:
			fmt.Fprintf(&text, "{{ else }}%s{{ end }}", value.inline)
		default:
			fmt.Fprintf(&text, "{{ else if %s }}%s", i.when, value.inline)
		}
	}
	return rendered{inline: text.String()}, nil
}

// guarded puts lines under a condition.
func guarded(when string, lines []string) []string {
	if when == "" {
		return lines
	}
	return append(append([]string{"{{- if " + when + " }}"}, lines...), "{{- end }}")
}

// shift indents lines.
func shift(lines []string, by int) []string {
	shifted := make([]string, len(lines))
	for n, line := range lines {
		if line != "" {
			shifted[n] = strings.Repeat(" ", by) + line
		}
	}
	return shifted
}

// encode writes a value for YAML in a template: braces stand for themselves, and
// the namespace is the release's.
func encode(value any) (rendered, error) {
	text, ok := value.(string)
	if !ok {
		encoded, err := yaml.Marshal(value)
		return rendered{inline: strings.TrimSpace(string(encoded))}, err
	}
	if text == namespace {
		return rendered{inline: "{{ .Release.Namespace | quote }}"}, nil
	}
	if strings.Contains(strings.TrimRight(text, "\n"), "\n") {
		return encodeLines(text)
	}
	encoded, err := yaml.Marshal(text)
	lines := strings.Split(strings.TrimSuffix(string(encoded), "\n"), "\n")
	for n, line := range lines {
		lines[n] = escape(strings.TrimPrefix(line, "    "))
	}
	return rendered{inline: lines[0], lines: lines[1:]}, err
}

// encodeLines keeps each line as it is.
func encodeLines(text string) (rendered, error) {
	head := "|-"
	body, ends := strings.CutSuffix(text, "\n")
	if ends {
		head = "|"
	}
	if strings.HasSuffix(body, "\n") || strings.HasPrefix(body, " ") || strings.HasPrefix(body, "\n") {
		return rendered{}, fmt.Errorf("a text that begins with a blank or ends in empty lines: %.20q", text)
	}
	return rendered{inline: head, lines: strings.Split(escape(body), "\n")}, nil
}

func escape(text string) string {
	text = strings.ReplaceAll(text, "{{", `{{ "{{" }}`)
	return strings.ReplaceAll(text, namespace, "{{ .Release.Namespace }}")
}

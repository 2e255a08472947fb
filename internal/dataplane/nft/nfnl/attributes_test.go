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

package nfnl

import "testing"

func message(fill func(m *Messages)) Attributes {
	var m Messages
	m.Begin(1, 0, 0, "")
	fill(&m)
	return m.LastAttributes()
}

func TestAListContainsWhatItShould(t *testing.T) {
	const name, number, list, entry = 1, 2, 3, 4
	entries := func(values ...uint32) func(m *Messages) {
		return func(m *Messages) {
			m.Nest(list, func() {
				for _, v := range values {
					m.Nest(entry, func() { m.Uint32(number, v) })
				}
			})
		}
	}
	wanted := message(func(m *Messages) {
		m.String(name, "x")
		entries(1, 2)(m)
	})
	for what, tc := range map[string]struct {
		listed Attributes
		want   bool
	}{
		"the same": {wanted, true},
		"more around it, in another order": {message(func(m *Messages) {
			m.Uint32(number, 9)
			entries(1, 2)(m)
			m.String(name, "x")
		}), true},
		"another value":   {message(func(m *Messages) { m.String(name, "y"); entries(1, 2)(m) }), false},
		"a value missing": {message(entries(1, 2)), false},
		"entries swapped": {message(func(m *Messages) { m.String(name, "x"); entries(2, 1)(m) }), false},
		"one entry less":  {message(func(m *Messages) { m.String(name, "x"); entries(1)(m) }), false},
		"one entry more":  {message(func(m *Messages) { m.String(name, "x"); entries(1, 2, 3)(m) }), false},
		"nothing":         {nil, false},
	} {
		t.Run(what, func(t *testing.T) {
			if got := tc.listed.Contain(wanted, entry); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAttributesAreReadAsTheyWereWritten(t *testing.T) {
	a := message(func(m *Messages) {
		m.String(1, "three")
		m.Uint8(2, 200)
		m.Uint16(3, 65000)
		m.Uint32(4, 1<<31)
		m.Nest(5, func() { m.Raw(1, "raw") })
	})
	if a.String(1) != "three" || a.Uint8(2) != 200 || a.Uint16(3) != 65000 || a.Uint32(4) != 1<<31 || a.Nested(5).String(1) != "raw" {
		t.Errorf("got % x", []byte(a))
	}
	if a.Get(6) != nil || a.Uint32(1) != 0 {
		t.Errorf("what is not there or has another size must be nothing")
	}
}

func TestCutAttributesAreIgnored(t *testing.T) {
	whole := message(func(m *Messages) { m.Uint32(1, 7); m.Uint32(2, 8) })
	for n := range whole {
		for kind, value := range whole[:n].All() {
			if len(value) != 4 || kind > 2 {
				t.Errorf("of %d bytes: attribute %d has % x", n, kind, value)
			}
		}
	}
}

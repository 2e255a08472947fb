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

package bugreport

import "strings"

// members goes over valid JSON once, whatever its depth: each string and each other
// value, and the beginning and the end of each object and array.
type members struct {
	text string
	at   int
	// key is the member whose value comes next, or in an array that of the array.
	key string
	// behind are the keys of the objects and arrays that have not ended.
	behind []string
}

// piece is what members comes to.
type piece int

const (
	ended piece = iota
	opensObject
	opensArray
	closes
	isKey
	isText
	isScalar
)

// next is what comes next, as it is written.
func (m *members) next() (p piece, raw string) {
	for m.at < len(m.text) && strings.IndexByte(" \t\r\n,:", m.text[m.at]) >= 0 {
		m.at++
	}
	if m.at >= len(m.text) {
		return ended, ""
	}
	from := m.at
	switch m.text[from] {
	case '{', '[':
		m.at++
		m.behind = append(m.behind, m.key)
		p = opensObject
		if m.text[from] == '[' {
			p = opensArray
		}
	case '}', ']':
		m.at++
		last := len(m.behind) - 1
		m.key, m.behind = m.behind[last], m.behind[:last]
		p = closes
	case '"':
		m.at = stringEnd(m.text, from)
		p = isText
		if m.isKey() {
			p, m.key = isKey, decoded(m.text[from:m.at])
		}
	default:
		m.at = scalarEnd(m.text, from)
		p = isScalar
	}
	return p, m.text[from:m.at]
}

// isKey tells whether the string that ends here has a colon behind it.
func (m *members) isKey() bool {
	at := m.at
	for at < len(m.text) && strings.IndexByte(" \t\r\n", m.text[at]) >= 0 {
		at++
	}
	return at < len(m.text) && m.text[at] == ':'
}

// in is the key of the object or array in which the next part is.
func (m *members) in() string {
	if len(m.behind) == 0 {
		return ""
	}
	return m.behind[len(m.behind)-1]
}

// namesIn are the names of the objects of a document, in the order in which these
// begin: the member "name", as variables and headers have it, or "key" where that
// tells more. nil says that none has a value that a name could tell of.
func namesIn(text string) []string {
	if !strings.Contains(text, `"value`) && !strings.Contains(text, `\u`) {
		return nil
	}
	var all []naming
	var open []int // by object or array that has not ended: its place among all; -1 of an array
	m := members{text: text}
	for p, raw := m.next(); p != ended; p, raw = m.next() {
		last := len(open) - 1
		if last >= 0 && open[last] >= 0 && p != closes {
			all[open[last]].learn(m.key, p, raw)
		}
		switch p {
		case opensObject:
			open, all = append(open, len(all)), append(all, naming{})
		case opensArray:
			open = append(open, -1)
		case closes:
			open = open[:last]
		}
	}
	names := make([]string, len(all))
	for i, n := range all {
		names[i] = n.name
		if n.key != "" && secrecyOf(n.name) == plain {
			names[i] = n.key
		}
	}
	return names
}

// naming is what an object has of these members.
type naming struct{ name, key string }

// learn takes what is no string for none.
func (n *naming) learn(member string, p piece, raw string) {
	text := ""
	if p == isText {
		text = decoded(raw)
	}
	switch {
	case strings.EqualFold(member, "name"):
		n.name = text
	case strings.EqualFold(member, "key"):
		n.key = text
	}
}

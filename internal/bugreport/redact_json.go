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

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"unicode/utf8"
)

// secrecy is what is known of a value from where it stands.
type secrecy int

const (
	plain secrecy = iota
	// reference is what has a secret or says where one is: the names in it stay.
	reference
	// secret is one, whatever it looks like.
	secret
)

var (
	secretKey = regexp.MustCompile(`(?i)^(?:` + secretName + `|` + header + `)$`)
	// harmlessName is a name that tells of what a secret is called, or how long it
	// lasts.
	harmlessName = regexp.MustCompile(`(?i)(?:names?|namespace|refs?|files?|paths?|dir|seconds|ttl|type|kind|counts?|sizes?|mode|policy|enabled|` +
		`version|audiences?|expir[a-z]*|reviews?|resources?|requests?)$`)
	referenceName = regexp.MustCompile(`(?i)^(?:[a-z]*secrets?|serviceaccounttoken)$`)
	// camelPass is short for a password, or something that passes.
	camelPass = regexp.MustCompile(`^[a-z]+Pass$`)
)

// referenceKeys are the names in a reference whose values stay.
var referenceKeys = map[string]bool{
	"name": true, "namespace": true, "key": true, "path": true, "mode": true, "items": true, "optional": true, "uid": true,
	"kind": true, "apiVersion": true, "audience": true,
}

func secrecyOf(name string) secrecy {
	switch {
	case !hot(name) || harmlessName.MatchString(name) || !secretKey.MatchString(name):
		return plain
	case referenceName.MatchString(name):
		return reference
	}
	return secret
}

// isDocument tells that a text is one of JSON.
func isDocument(text string) bool {
	trimmed := strings.TrimSpace(text)
	return trimmed != "" && strings.ContainsRune(`{["`, rune(trimmed[0])) && json.Valid([]byte(trimmed))
}

// redactDocument takes secrets out of a document in JSON, which stays one. Whatever is
// no secret stays as it was written.
func redactDocument(text string, s secrecy) string {
	d := document{in: text, names: namesIn(text)}
	d.space()
	d.value(s)
	d.space()
	return d.out.String()
}

// document is valid JSON on its way through.
type document struct {
	in  string
	at  int
	out strings.Builder
	// names are those of its objects, in the order in which these begin: nil if none
	// says anything. next is the object that comes next.
	names []string
	next  int
}

func (d *document) space() {
	from := d.at
	for d.at < len(d.in) && strings.IndexByte(" \t\r\n", d.in[d.at]) >= 0 {
		d.at++
	}
	d.out.WriteString(d.in[from:d.at])
}

func (d *document) copy() {
	d.out.WriteByte(d.in[d.at])
	d.at++
}

func (d *document) value(s secrecy) {
	switch d.in[d.at] {
	case '{':
		d.object(s)
	case '[':
		d.array(s)
	case '"':
		d.put(d.text(), s)
	default:
		from := d.at
		d.at = scalarEnd(d.in, from)
		if scalar := d.in[from:d.at]; s != plain && strings.ContainsAny(scalar, "0123456789") {
			d.out.WriteString(`"` + gone + `"`)
		} else {
			d.out.WriteString(scalar)
		}
	}
}

// text reads a string.
func (d *document) text() string {
	end := stringEnd(d.in, d.at)
	raw := d.in[d.at:end]
	d.at = end
	return raw
}

// put writes a string as it was, if nothing has to go.
func (d *document) put(raw string, s secrecy) {
	was := decoded(raw)
	is := was
	switch {
	case s != plain && was != "":
		is = gone
	case s == plain:
		is = Redact(was)
	}
	if is == was {
		d.out.WriteString(raw)
		return
	}
	d.out.WriteString(encodedText(is))
}

func (d *document) object(s secrecy) {
	pair := s
	if name := d.nameHere(); pair == plain && secrecyOf(name) != plain {
		pair = secret
	}
	d.copy()
	for d.space(); d.in[d.at] != '}'; d.space() {
		if d.in[d.at] == ',' {
			d.copy()
			continue
		}
		raw := d.text()
		d.put(raw, plain)
		d.space()
		d.copy() // the colon
		d.space()
		key := decoded(raw)
		d.value(d.secrecyOf(key, s, pair))
	}
	d.copy()
}

// secrecyOf is that of a member of an object, which is behind a name of that secrecy
// and may have a name beside it that tells.
func (d *document) secrecyOf(key string, s, pair secrecy) secrecy {
	own := secrecyOf(key)
	number := d.in[d.at] != '"' && d.in[d.at] != '{' && d.in[d.at] != '['
	switch {
	case s == secret:
		return secret
	case s == reference && (referenceKeys[key] || own == plain && harmlessName.MatchString(key)):
		return plain
	case s == reference:
		return max(reference, own)
	case key == "value" || key == "values":
		return pair
	case number && camelPass.MatchString(key):
		return plain
	case key == "auth" && d.in[d.at] == '"':
		return secret
	}
	return own
}

// nameHere is that of the object that begins here.
func (d *document) nameHere() string {
	if d.names == nil {
		return ""
	}
	d.next++
	return d.names[d.next-1]
}

// array may be a command line, in which a flag tells of the next argument.
func (d *document) array(s secrecy) {
	next := s
	d.copy()
	for d.space(); d.in[d.at] != ']'; d.space() {
		switch {
		case d.in[d.at] == ',':
			d.copy()
		case d.in[d.at] == '"':
			raw := d.text()
			d.put(raw, next)
			next = s
			if s == plain && telling.MatchString(decoded(raw)) {
				next = secret
			}
		default:
			d.value(next)
			next = s
		}
	}
	d.copy()
}

func stringEnd(text string, at int) int {
	for at++; text[at] != '"'; at++ {
		if text[at] == '\\' {
			at++
		}
	}
	return at + 1
}

func scalarEnd(text string, at int) int {
	if n := strings.IndexAny(text[at:], ",]} \t\r\n"); n >= 0 {
		return at + n
	}
	return len(text)
}

func decoded(raw string) string {
	if strings.IndexByte(raw, '\\') < 0 && utf8.ValidString(raw) {
		return raw[1 : len(raw)-1]
	}
	var text string
	_ = json.Unmarshal([]byte(raw), &text) // it is valid
	return text
}

func encodedText(text string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // into memory
	return strings.TrimSuffix(out.String(), "\n")
}

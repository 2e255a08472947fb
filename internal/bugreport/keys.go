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
	"regexp"
	"strings"
)

// keyGone is what is put in the place of a private key, or of a line of one.
const keyGone = "[redacted: private key]"

var (
	// keyEdge is the first or the last line of a private key (RFC 7468, RFC 4716).
	keyEdge = regexp.MustCompile(`-----? ?(BEGIN|END) [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----?`)
	// lineBreak is one between lines of a log, or within a text in quotes, however
	// often it is escaped.
	lineBreak = regexp.MustCompile(`(?:\\+r)?\\+n|\n`)
	// keyRun is what may be a line of a key: base64, in which JSON may have escapes.
	keyRun = regexp.MustCompile(`(?:[A-Za-z0-9+/_-]|\\+(?:/|u00[0-9A-Fa-f]{2}))+={0,2}`)
	// beforeRun is what may stand before one: the time that the kubelet puts there,
	// blanks, quotes, and marks of lists and comments.
	beforeRun = regexp.MustCompile(`^` + stamp + `[\s"'` + "`" + `\\>|#*+=(\[-]*$`)
	// behindRun is what may stand behind one: the end of the line, or of the text.
	behindRun = regexp.MustCompile(`^(?:\s*$|["'` + "`" + `\\<)\]},;])`)
	digitRun  = regexp.MustCompile(`[0-9]+`)
)

const (
	// longestKey is how many lines a key has at most, with those of others that came
	// between them in a log. One of 16384 bits has 200.
	longestKey = 400
	// longRun is how many bytes a word has at least that is taken for a line of a key
	// wherever it stands. Lines have 64 to 76, but for the last.
	longRun = 32
	// longestBefore is how much may stand before a line of a key for its last one, which
	// may be short, to be known by the same.
	longestBefore = 300
)

// withoutKeys takes private keys out. Where the beginning or the end of one is missing,
// as where a log was cut, all goes that may be a line of it, as far as to where
// another begins or ends, and nothing else.
func withoutKeys(text string) string {
	edges := keyEdge.FindAllStringSubmatchIndex(text, -1)
	if len(edges) == 0 {
		return text
	}
	var out strings.Builder
	at, opened, before := 0, false, ""
	for _, edge := range edges {
		begins := text[edge[2]:edge[3]] == "BEGIN"
		part := text[at:edge[0]]
		switch {
		case opened && !begins && len(lineBreak.FindAllStringIndex(part, longestKey+1)) <= longestKey:
			part = ""
		case opened || !begins:
			part = withoutLines(part, before, lineBefore(text[:edge[0]]))
		}
		out.WriteString(part)
		if part != "" || begins || !opened {
			out.WriteString(keyGone)
		}
		at, opened, before = edge[1], begins, lineBefore(text[:edge[0]])
	}
	if rest := text[at:]; opened {
		out.WriteString(withoutLines(rest, before))
	} else {
		out.WriteString(rest)
	}
	return out.String()
}

// lineBefore is the last line of a text.
func lineBefore(text string) string {
	text = text[max(0, len(text)-longestBefore):]
	if breaks := lineBreak.FindAllStringIndex(text, -1); len(breaks) > 0 {
		return text[breaks[len(breaks)-1][1]:]
	}
	return text
}

// withoutLines takes out of a text what may be lines of a key: long words of base64,
// and short ones that are alone on their line or have something before them that
// lines of this key have as well.
func withoutLines(text string, before ...string) string {
	l := keyLines{}
	for _, b := range before {
		l[shape(b)] = true
	}
	var out strings.Builder
	for at := 0; at < len(text); {
		end, next := len(text), len(text)
		if found := lineBreak.FindStringIndex(text[at:]); found != nil {
			end, next = at+found[0], at+found[1]
		}
		l.write(&out, text[at:end])
		out.WriteString(text[end:next])
		at = next
	}
	return out.String()
}

// keyLines are the shapes of what stands before lines of a key.
type keyLines map[string]bool

// shape is a text for whatever time and place.
func shape(before string) string { return digitRun.ReplaceAllString(before, "0") }

// write writes a line without what may be a key's.
func (l keyLines) write(out *strings.Builder, line string) {
	at, goesOn := 0, false
	for _, run := range keyRun.FindAllStringIndex(line, -1) {
		before, word, behind := line[:run[0]], line[run[0]:run[1]], line[run[1]:]
		goesOn = goesOn && strings.Trim(line[at:run[0]], " \t\"',") == ""
		switch {
		case isLong(word):
			goesOn = true
			if len(before) <= longestBefore {
				l[shape(before)] = true
			}
		case goesOn: // the last of a key of which one line has all
			goesOn = false
		case strings.Trim(word, "-_+/=") == "", !behindRun.MatchString(behind),
			!beforeRun.MatchString(before) && (len(before) > longestBefore || !l[shape(before)]):
			continue
		}
		out.WriteString(line[at:run[0]])
		out.WriteString(keyGone)
		at = run[1]
	}
	out.WriteString(line[at:])
}

// isLong tells of a word that is no other than a line of a key: of a digest or of a
// path all letters are small.
func isLong(word string) bool {
	return len(word) >= longRun && strings.ContainsAny(word, upper) && strings.ContainsAny(word, lower)
}

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

package diagnosis

import (
	"strings"
	"unicode"
)

// maxText is how many characters a text of a report has at most.
const maxText = 1000

// Printable makes a text safe to be shown on one line. Who may write a pod or a
// Service puts words into the report that others read: what would move a
// terminal's cursor, begin a line or turn the direction of writing around is
// shown as U+FFFD.
func Printable(text string) string {
	return bounded(strings.Map(visible, text), maxText)
}

// PrintableLines is the same of a text of several lines, however long.
func PrintableLines(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return visible(r)
	}, text)
}

func visible(r rune) rune {
	if unicode.IsGraphic(r) {
		return r
	}
	return unicode.ReplacementChar
}

// Quote makes one short line of somebody else's words.
func Quote(text string) string { return Printable(quote(text)) }

// printable is a step of which each text is.
func (s Step) printable() Step {
	s.Message, s.Remedy, s.Provided = Printable(s.Message), Printable(s.Remedy), Printable(s.Provided)
	s.why = Printable(s.why)
	details := s.Details
	s.Details = nil
	for _, detail := range details {
		s.Details = append(s.Details, Printable(detail))
	}
	return s
}

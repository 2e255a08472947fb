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
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxNames is how many names of a kind a sentence has.
	maxNames = 3
	// maxDetails is how many lines of details a step has.
	maxDetails = 10
	// maxQuote is how many characters of somebody else's message are repeated.
	maxQuote = 240
)

// enumerate lists some of the names: "a, b and c" or "a, b, c and 12 more".
func enumerate[T ~string](names []T, limit int) string {
	return enumerateUpTo(names, len(names), limit)
}

// enumerateOf lists the first of count names.
func enumerateOf(names []string, count int) string { return enumerateUpTo(names, count, maxNames) }

func enumerateUpTo[T ~string](names []T, count, limit int) string {
	texts := make([]string, 0, min(len(names), limit)+1)
	for _, name := range names[:min(len(names), limit)] {
		texts = append(texts, string(name))
	}
	if more := count - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("%d more", more))
	}
	last := len(texts) - 1
	if last < 1 {
		return strings.Join(texts, "")
	}
	return strings.Join(texts[:last], ", ") + " and " + texts[last]
}

// boundedList cuts a list and says so in its last line.
func boundedList(lines []string, limit int) []string {
	if len(lines) <= limit {
		return lines
	}
	return append(lines[:limit-1:limit-1], fmt.Sprintf("and %d more", len(lines)-limit+1))
}

// bounded cuts a text to a number of characters.
func bounded(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-3]) + "..."
}

// quote makes one line of somebody else's words, without their full stop.
func quote(text string) string {
	return strings.TrimRight(bounded(strings.Join(strings.Fields(text), " "), maxQuote), " .!")
}

// counted is "1 pod", "3 pods"; for words whose plural takes an s.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// either chooses the form of a verb.
func either(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// sentence makes one of a clause.
func sentence(clause string) string {
	first, size := utf8.DecodeRuneInString(clause)
	return string(unicode.ToUpper(first)) + clause[size:] + "."
}

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
	"slices"
	"strings"
)

// What tells, without the expressions of the rules, where they can not match: most of
// a log, and most strings of a document. None may say so of what they do match.

// finder finds matches: an expression, or one that need not look at every text.
type finder interface {
	FindAllStringSubmatchIndex(text string, most int) [][]int
}

// guarded has no match in a text of which may is false.
type guarded struct {
	*regexp.Regexp
	may func(text string) bool
}

func (g guarded) FindAllStringSubmatchIndex(text string, most int) [][]int {
	if !g.may(text) {
		return nil
	}
	return g.Regexp.FindAllStringSubmatchIndex(text, most)
}

// located knows where the first match begins that does so at from or behind it; -1 if
// there is none.
type located struct {
	*regexp.Regexp
	first func(text string, from int) int
}

func (l located) FindAllStringSubmatchIndex(text string, _ int) (all [][]int) {
	for from := l.first(text, 0); from >= 0; from = l.first(text, from) {
		match := l.FindStringSubmatchIndex(text[from:])
		for i := range match {
			match[i] += from // they have no groups that may be absent
		}
		all = append(all, match)
		from = match[1]
	}
	return all
}

// hasUser is true of what may have a URL with a user.
func hasUser(text string) bool {
	_, behind, has := strings.Cut(text, "://")
	return has && strings.Contains(behind, "@")
}

// goesOn is true of more than one line.
func goesOn(text string) bool {
	end := strings.IndexByte(text, '\n')
	return end >= 0 && end < len(text)-1
}

// hasQuotedFlag is true of what may have a flag in quotes.
func hasQuotedFlag(text string) bool {
	return strings.Contains(text, `"-`) || strings.Contains(text, "'-")
}

// bytesOf is a set of bytes.
func bytesOf(members string) (set [256]bool) {
	for i := range len(members) {
		set[members[i]] = true
	}
	return set
}

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

var (
	inEncoded   = bytesOf(lower + upper + digits + "+/_-")
	inBootstrap = bytesOf(lower + digits)
	inWord      = bytesOf(lower + upper + digits + "_")
)

// longEncoded is how long a word is at least that may be base64.
const longEncoded = 40

// firstLong is where the first word begins that is long enough to be base64.
func firstLong(text string, from int) int {
	for from+longEncoded <= len(text) {
		last := from + longEncoded - 1
		for last >= from && inEncoded[text[last]] {
			last--
		}
		if last < from {
			return from
		}
		from = last + 1
	}
	return -1
}

// firstBootstrap is where the first bootstrap token begins: six letters, a dot and
// sixteen more, with nothing of a word around them.
func firstBootstrap(text string, from int) int {
	const before, behind = 6, 16
	all := func(text string) bool {
		for i := range len(text) {
			if !inBootstrap[text[i]] {
				return false
			}
		}
		return true
	}
	for at := from; ; at++ {
		next := strings.IndexByte(text[at:], '.')
		if next < 0 {
			return -1
		}
		at += next
		begin, end := at-before, at+1+behind
		if begin >= from && end <= len(text) && all(text[begin:at]) && all(text[at+1:end]) &&
			(begin == 0 || !inWord[text[begin-1]]) && (end == len(text) || !inWord[text[end]]) {
			return begin
		}
	}
}

// wordBegins are the first two bytes of words, in either case.
var wordBegins = func() (set [1 << 16]bool) {
	for _, word := range words {
		for _, first := range []string{word[:1], strings.ToUpper(word[:1])} {
			for _, second := range []string{word[1:2], strings.ToUpper(word[1:2])} {
				set[int(first[0])<<8|int(second[0])] = true
			}
		}
	}
	return set
}()

// hot tells that a line has one of the words.
func hot(line string) bool {
	for i := 0; i+1 < len(line); i++ {
		if line[i] >= 0x80 || line[i+1] >= 0x80 {
			break // k and s have other cases there, which the expressions know
		}
		if wordBegins[int(line[i])<<8|int(line[i+1])] && slices.ContainsFunc(words, func(word string) bool {
			return len(line)-i >= len(word) && strings.EqualFold(line[i:i+len(word)], word)
		}) {
			return true
		}
		if i+2 == len(line) {
			return false
		}
	}
	return len(line) > 1 && hasWord(strings.ToLower(strings.ToUpper(line)))
}

func hasWord(lower string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(lower, word) })
}

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

// maxCompared is the length from which texts are not compared letter by letter.
const maxCompared = 64

// similar tells whether one text may have been meant to be the other: a letter or
// two are different, or one is a part of the other up to a separator.
func similar(a, b string) bool {
	return a == b || a != "" && b != "" && (partOf(a, b) || partOf(b, a) || mistyped(a, b))
}

// mistyped tells whether the difference is no more than a slip of the fingers.
func mistyped(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	return a == b || distance(a, b) <= tolerated(min(len(a), len(b)))
}

// ordinals tells whether texts differ in their numbers, or in a last word of one
// letter: shard-1 and shard-2, web-a and web-b are two things, and no slip.
func ordinals(a, b string) bool {
	number := func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}
	if a != b && strings.ContainsFunc(a+b, unicode.IsDigit) && strings.Map(number, a) == strings.Map(number, b) {
		return true
	}
	const separators = "-._/"
	last := func(text string) (head string, single bool) {
		at := strings.LastIndexAny(text, separators)
		return text[:max(at, 0)], at >= 0 && len(text)-at == 2
	}
	headA, singleA := last(a)
	headB, singleB := last(b)
	return a != b && singleA && singleB && headA == headB
}

// tolerated is how many letters may differ: one in short words, two in longer.
func tolerated(length int) int {
	switch {
	case length <= 2:
		return 0
	case length <= 4:
		return 1
	}
	return 2
}

// partOf tells whether part is the beginning or the end of whole, up to a
// separator: web of http-web, but not web of webhook.
func partOf(part, whole string) bool {
	if len(part) >= len(whole) {
		return false
	}
	const separators = "-._/"
	part, whole = strings.ToLower(part), strings.ToLower(whole)
	return strings.HasPrefix(whole, part) && strings.IndexByte(separators, whole[len(part)]) >= 0 ||
		strings.HasSuffix(whole, part) && strings.IndexByte(separators, whole[len(whole)-len(part)-1]) >= 0
}

// distance is how many letters have to be changed, added or removed, or two
// neighbours exchanged, to make one of the other. Long texts are never near.
func distance(a, b string) int {
	if len(a) > maxCompared || len(b) > maxCompared {
		return maxCompared
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

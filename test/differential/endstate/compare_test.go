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

package endstate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// compare wants the same of both, and what is documented of theirs alone.
func (b *bed) compare(want, got []state) {
	b.Helper()
	met, ourMet := map[string]int{}, map[string]int{}
	theirSlices, ourSlices := 0, 0
	for number := range want {
		theirSlices, ourSlices = theirSlices+want[number].slices, ourSlices+got[number].slices
		for reason, n := range want[number].documented {
			met[reason] += n
		}
		for reason, n := range got[number].documented {
			ourMet[reason] += n
			if reason != lockStays {
				b.Errorf("%s: of ours there are %d: %s", b.histories[number].name, n, reason)
			}
		}
		if difference := differences(want[number], got[number]); difference != "" {
			b.Errorf("%s differs:\n%safter\n%s", b.histories[number].name, difference, b.histories[number])
		}
	}
	for _, reason := range common {
		if met[reason] == 0 && len(want) >= many {
			b.Errorf("of theirs there are none: %s", reason)
		}
	}
	if met[certain] == 0 {
		b.Errorf("of theirs there are none: %s", certain)
	}
	// Which changes are seen together decides how endpoints are packed, by chance.
	if ourSlices > theirSlices+theirSlices/20 {
		b.Errorf("ours need %d slices where theirs need %d", ourSlices, theirSlices)
	}
	if met[lockStays] > 0 || ourMet[lockStays] == 0 {
		b.Errorf("of theirs there are %d, of ours %d: %s", met[lockStays], ourMet[lockStays], lockStays)
	}
}

// withForNobody are states with the Endpoints without a Service that there were
// before a start of controllers, which deletes them.
func withForNobody(states, before []state) []state {
	for number := range states {
		for line := range before[number].lines {
			if strings.HasPrefix(line, forNobody) {
				states[number].lines[line] = true
			}
		}
	}
	return states
}

// takenOver wants what they had left as it was, since ours have seen it too, and
// no write where nothing had to be done.
func (b *bed) takenOver(before, after []state) {
	b.Helper()
	kept := 0
	for number := range before {
		was := before[number]
		was.lines = maps.Clone(was.lines)
		maps.DeleteFunc(was.lines, func(line string, _ bool) bool { return strings.HasPrefix(line, forNobody) })
		if difference := differences(was, after[number]); difference != "" {
			b.Errorf("%s is not taken over as it was:\n%safter\n%s", b.histories[number].name, difference, b.histories[number])
		}
		for name, version := range after[number].versions {
			switch was := before[number].versions[name]; {
			case was == version:
				kept++
			case len(b.histories[number].behind) > 0:
			case was == "": // in place of one of an earlier Service
			case before[number].rewritten[name]:
			default:
				b.Errorf("%s: %s was written again when it was taken over", b.histories[number].name, name)
			}
		}
	}
	b.Logf("%d objects of theirs are as they were", kept)
}

func differences(want, got state) string {
	var text strings.Builder
	left, right := want.comparable(want), got.comparable(want)
	for _, line := range slices.Sorted(maps.Keys(left)) {
		if !right[line] {
			fmt.Fprintf(&text, "  only theirs: %s\n", line)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(right)) {
		if !left[line] {
			fmt.Fprintf(&text, "  only ours:   %s\n", line)
		}
	}
	return text.String()
}

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

package docs

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"switchyard.dev/switchyard/internal/demo"
	"switchyard.dev/switchyard/test/docs/page"
)

var (
	demoLine  = regexp.MustCompile(`(?m)^ok +(.*\S) +\d+\.\ds  `)
	demoCount = regexp.MustCompile(`(\d+) of (\d+) checks passed`)
)

// The lines of `make demo` that README.md shows are of checks that there are.
func TestTheDemosChecksAreThoseOnThePage(t *testing.T) {
	var names []string
	for _, c := range demo.Checks() {
		names = append(names, c.Name)
	}
	shown := 0
	all := pages(t)
	for _, b := range all[slices.IndexFunc(all, func(p page.Page) bool { return p.Name == "README.md" })].Blocks {
		for _, m := range demoLine.FindAllStringSubmatch(b.Text(), -1) {
			shown++
			if !slices.Contains(names, m[1]) {
				t.Errorf("there is no check %q", m[1])
			}
		}
		for _, m := range demoCount.FindAllStringSubmatch(b.Text(), -1) {
			if want := fmt.Sprint(len(names)); m[1] != want || m[2] != want {
				t.Errorf("there are %s checks: %s", want, m[0])
			}
		}
	}
	if shown < 10 {
		t.Errorf("only %d checks are shown", shown)
	}
}

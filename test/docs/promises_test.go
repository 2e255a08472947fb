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
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/docs/page"
	"switchyard.dev/switchyard/test/testenv"
)

var (
	// promise finds a paragraph or a table that says how a program ends.
	promise = regexp.MustCompile(`(?i)\bexit codes?\b|\A\| Code \|`)
	proof   = regexp.MustCompile(`\A<!-- proven by: (.+) -->\n`)
)

// Who writes a script goes by exit codes, so what a page says of them names its tests.
func TestPromisesOfExitCodesAreProven(t *testing.T) {
	seen := 0
	for _, p := range pages(t) {
		if p.Name != "README.md" && !strings.HasPrefix(p.Name, "docs/") {
			continue // not for users
		}
		text, err := os.ReadFile(filepath.Join(testenv.Root(), p.Name))
		if err != nil {
			t.Fatal(err)
		}
		for _, paragraph := range paragraphs(string(text)) {
			named := proof.FindStringSubmatch(paragraph)
			said := promise.MatchString(proof.ReplaceAllString(paragraph, ""))
			switch {
			case said && named == nil:
				t.Errorf("%s: which tests prove this? Say so in a line before it: <!-- proven by: TestName in FOLDER; ... -->\n%s", p.Name, paragraph)
			case named != nil && !said:
				t.Errorf("%s: this promises no exit code:\n%s", p.Name, paragraph)
			case said:
				seen++
				for by := range strings.SplitSeq(named[1], "; ") {
					provenBy(t, p.Name, by)
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d promises were found", seen)
	}
}

func provenBy(t *testing.T, name, by string) {
	t.Helper()
	m := page.By.FindStringSubmatch(by)
	if m == nil {
		t.Errorf("%s: %q is not: TestName in FOLDER", name, by)
		return
	}
	s, err := sourceOf(m[2])
	if err != nil {
		t.Fatal(err)
	}
	for test := range strings.SplitSeq(m[1], ", ") {
		if !s.functions[test] {
			t.Errorf("%s: there is no %s in %s", name, test, m[2])
		}
	}
}

var (
	fenced = regexp.MustCompile("(?ms)^```.*?^```$")
	noted  = regexp.MustCompile(`(?s)<!--.*?-->\n`)
)

// paragraphs are those of the text, without headings and blocks.
func paragraphs(text string) (all []string) {
	text = noted.ReplaceAllStringFunc(fenced.ReplaceAllString(text, ""), func(note string) string {
		if proof.MatchString(note) {
			return note
		}
		return ""
	})
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if paragraph = strings.TrimLeft(paragraph, "\n"); !strings.HasPrefix(paragraph, "#") {
			all = append(all, paragraph)
		}
	}
	return all
}

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

package admission

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/webhooks"
)

// The page says which tests guard which row, so it must not outlive them.
func TestThePageOfRowsNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "admission-rows.md"))
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{}
	for name, folder := range map[string]string{
		"webhooks": "webhooks", "validation": "internal/validation", "differential": "test/differential", "here": "test/envtest/admission",
	} {
		sources[name] = testenv.TestSources(t, folder)
	}
	rows := map[string]int{}
	for _, line := range regexp.MustCompile(`(?m)^\| ([XSV]\d+) \|[^|]*\|([^|]*)\|([^|]*)\|`).FindAllStringSubmatch(string(text), -1) {
		row, tables, specs := line[1], line[2], line[3]
		rows[row]++
		if named := ownTests(t, row, tables, sources); named == 0 && row[0] != 'S' {
			t.Errorf("row %s names no table test", row)
		}
		titles := titles(specs)
		if len(titles) == 0 {
			t.Errorf("row %s names no test on a real API server", row)
		}
		for _, title := range titles {
			wantSpec(t, row, title, sources["here"])
		}
	}
	for _, title := range titles(regexp.MustCompile(`(?s)Beside the rows.*?\n\n`).FindString(string(text))) {
		wantSpec(t, "of all rules", title, sources["here"])
	}
	for _, name := range titles(regexp.MustCompile(`(?s)hold it to the.*?test/differential`).FindString(string(text))) {
		if strings.HasPrefix(name, "Test") && !strings.Contains(sources["differential"], "func "+name+"(") {
			t.Errorf("there is no test %s in test/differential", name)
		}
	}
	for _, rule := range webhooks.Table() {
		if rows[rule.ID] != 1 {
			t.Errorf("row %s is there %d times", rule.ID, rows[rule.ID])
		}
	}
	for _, want := range []struct {
		letter      string
		first, last int
	}{{"S", 1, 6}, {"V", 1, 23}, {"V", 30, 31}} {
		for i := want.first; i <= want.last; i++ {
			if row := fmt.Sprint(want.letter, i); rows[row] != 1 {
				t.Errorf("row %s is there %d times", row, rows[row])
			}
		}
	}
}

// ownTests checks a list of Go tests that begins with their package, and of the
// rows of validation that a case is called after it.
func ownTests(t *testing.T, row, list string, sources map[string]string) int {
	t.Helper()
	source, known := sources[strings.Fields(list + " -")[0]]
	named := titles(list)
	for _, name := range named {
		if !known || !strings.Contains(source, "func "+name+"(") {
			t.Errorf("row %s: there is no test %s in %q", row, name, list)
		}
	}
	if row[0] == 'V' && row != "V23" && !strings.Contains(source, "\""+row+" ") {
		t.Errorf("row %s: no case is called after it", row)
	}
	return len(named)
}

// wantSpec looks for a spec of this title, or one that begins so.
func wantSpec(t *testing.T, row, title, source string) {
	t.Helper()
	for _, node := range []string{"It", "DescribeTable", "Entry"} {
		if strings.Contains(source, node+"(\""+title) {
			return
		}
	}
	t.Errorf("row %s: there is no spec %q", row, title)
}

// titles are what a list has between backticks.
func titles(list string) []string {
	var found []string
	for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(list, -1) {
		found = append(found, match[1])
	}
	return found
}

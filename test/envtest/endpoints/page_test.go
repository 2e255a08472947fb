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

package endpoints

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/testenv"
)

var quoted = regexp.MustCompile("`([^`]+)`")

// The page says which tests guard which row, so it must not outlive them.
func TestThePageOfRowsNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "endpoints-rows.md"))
	if err != nil {
		t.Fatal(err)
	}
	specs := testenv.TestSources(t, "test/envtest/endpoints")
	sources := map[string]string{
		"controllers": testenv.TestSources(t, "controllers"), "endpointslices": testenv.TestSources(t, "internal/endpointslices"),
		"subsets": testenv.TestSources(t, "internal/subsets"),
	}
	rows := map[string]int{}
	for _, line := range regexp.MustCompile(`(?m)^\| (E\d+) \|[^|]*\|([^|]*)\|([^|]*)\|`).FindAllStringSubmatch(string(text), -1) {
		row, tables, titles := line[1], line[2], quoted.FindAllStringSubmatch(line[3], -1)
		rows[row]++
		named := wantTests(t, row, tables, sources)
		for _, title := range titles {
			wantSpec(t, row, title[1], specs)
		}
		if named+len(titles) == 0 {
			t.Errorf("row %s names no test", row)
		}
	}
	for i := 1; i <= 38; i++ {
		if row := fmt.Sprint("E", i); rows[row] != 1 {
			t.Errorf("row %s is there %d times", row, rows[row])
		}
	}
	_, beside, _ := strings.Cut(string(text), "\nBeside the rows")
	for _, title := range quoted.FindAllStringSubmatch(beside, -1) {
		wantSpec(t, "beside the rows", title[1], specs)
	}
}

// wantTests checks a list of Go tests, each after its package or after another
// test of the same.
func wantTests(t *testing.T, row, list string, sources map[string]string) (named int) {
	t.Helper()
	source := ""
	for item := range strings.SplitSeq(list, ",") {
		if fields := strings.Fields(item); len(fields) == 2 {
			source = sources[fields[0]]
		}
		for _, name := range quoted.FindAllStringSubmatch(item, -1) {
			named++
			if !strings.Contains(source, "func "+name[1]+"(") {
				t.Errorf("row %s: there is no test %s in %q", row, name[1], list)
			}
		}
	}
	return named
}

func wantSpec(t *testing.T, row, title, source string) {
	t.Helper()
	for _, node := range []string{"It", "DescribeTable"} {
		if strings.Contains(source, node+"(\""+title+"\"") {
			return
		}
	}
	t.Errorf("row %s: there is no spec %q", row, title)
}

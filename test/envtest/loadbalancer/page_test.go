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

package loadbalancer

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/testenv"
)

func read(t *testing.T, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(testenv.Root(), pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v, %v", pattern, paths, err)
	}
	var all strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// TestEveryRowHasATest: what docs/load-balancer-rows.md quotes exists.
func TestEveryRowHasATest(t *testing.T) {
	sources := read(t, "test/envtest/loadbalancer/*_test.go") + read(t, "internal/balancer/*_test.go") + read(t, "cmd/manager/app/*_test.go") + read(t, "controllers/loadbalancer_*_test.go") +
		read(t, "internal/announce/*_test.go") + read(t, "internal/announce/*/*_test.go") + read(t, "test/announce/*_test.go")
	sources = strings.ReplaceAll(sources, `with "+name+" is`, "with 429 is")
	sources = strings.ReplaceAll(sources, `whose "+what+" was`, "whose claim was")
	_, table, _ := strings.Cut(read(t, "docs/load-balancer-rows.md"), "|---|---|---|\n")
	quoted := regexp.MustCompile("`([^`]+)`")
	for row := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(row, "|\n"), "|")
		found := quoted.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(found) == 0 {
			t.Errorf("no test: %s", row)
		}
		for _, name := range found {
			if !strings.Contains(sources, "\""+name[1]+"\"") && !strings.Contains(sources, "func "+name[1]+"(") && !strings.Contains(sources, name[1]+"\", func") {
				t.Errorf("there is no %q", name[1])
			}
		}
	}
}

// TestEveryReasonIsExplained: docs/load-balancers.md has all reasons and no others.
func TestEveryReasonIsExplained(t *testing.T) {
	page := read(t, "docs/load-balancers.md")
	for _, found := range regexp.MustCompile(`Reason = "(\w+)"`).FindAllStringSubmatch(read(t, "internal/balancer/reason.go"), -1) {
		if !strings.Contains(page, "`"+found[1]+"`") {
			t.Errorf("%s is not explained", found[1])
		}
	}
	_, table, _ := strings.Cut(page, "| Reason | What it says | What to do |\n|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	for row := range strings.Lines(table) {
		reason := strings.Trim(strings.Split(row, "|")[1], " `")
		if !strings.Contains(read(t, "internal/balancer/reason.go"), `"`+reason+`"`) {
			t.Errorf("there is no reason %q", reason)
		}
	}
}

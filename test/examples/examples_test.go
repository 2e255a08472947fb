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

package examples

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/testenv"
)

var update = flag.Bool("update", false, "write the page anew")

// TestThePage compares docs/broken-services.md with the files that it is about.
func TestThePage(t *testing.T) {
	all, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(testenv.Root(), "docs", "broken-services.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken, sound := tables(all)
	want := between(t, between(t, string(page), "broken", broken), "sound", sound)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(page) != want {
		t.Error("docs/broken-services.md is not that of docs/examples: go test ./test/examples -update")
	}
}

// TestThereAreEnough holds the set to what is promised of it.
func TestThereAreEnough(t *testing.T) {
	all, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	names, count := map[string]bool{}, map[bool]int{}
	for _, e := range all {
		if names[e.Name] {
			t.Errorf("two files are called %s", e.Name)
		}
		names[e.Name] = true
		count[e.Sound]++
	}
	if count[false] < 25 || count[true] < 25 {
		t.Errorf("%d broken and %d sound ones, want at least 25 of each", count[false], count[true])
	}
}

func tables(all []*Example) (broken, sound string) {
	var tables [2]strings.Builder
	tables[0].WriteString("| File | What is wrong | Verdict | A connection |\n|---|---|---|---|\n")
	tables[1].WriteString("| File | What is special | A connection |\n|---|---|---|\n")
	for _, e := range all {
		link, comes := fmt.Sprintf("[%s](examples/%s/%s.yaml)", e.Name, e.folder(), e.Name), e.comesTo()
		if e.Sound {
			fmt.Fprintf(&tables[1], "| %s | %s | %s |\n", link, e.About, comes)
			continue
		}
		fmt.Fprintf(&tables[0], "| %s | %s | %s `%s` | %s |\n", link, e.About, e.State, e.Reason, comes)
	}
	return tables[0].String(), tables[1].String()
}

func (e *Example) folder() string {
	if e.Sound {
		return "sound"
	}
	return "broken"
}

// comesTo is what the tests see of connections.
func (e *Example) comesTo() string {
	if e.Refused != "" {
		return "Switchyard refuses such a Service: " + e.Refused
	}
	var all []string
	for _, c := range e.Connections {
		if !strings.Contains(strings.Join(all, " "), c.Outcome) {
			all = append(all, c.Outcome)
		}
	}
	if len(all) == 0 {
		return "none: " + e.NoConnection
	}
	return strings.Join(all, ", ")
}

// between puts a text between two comments of a page.
func between(t *testing.T, page, name, text string) string {
	t.Helper()
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->"
	before, rest, found := strings.Cut(page, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("the page has no %q and %q", begin, end)
	}
	return before + begin + text + end + after
}

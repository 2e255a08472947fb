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

package packet

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/testenv"
)

// rows are those of the list of behaviours that the page answers.
const rows = 71

// The page says which test guards which behaviour, so it must not outlive them.
func TestThePageOfBehavioursNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "dataplane-behaviours.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for row := 1; row <= rows; row++ {
		lines := regexp.MustCompile(fmt.Sprintf("(?m)^\\| %d \\| .*$", row)).FindAllString(page, -1)
		if len(lines) != 1 || !strings.Contains(lines[0], "`Test") {
			t.Errorf("row %d: want one line that names a test, found %q", row, lines)
		}
	}
	exist := map[string]map[string]bool{}
	// A list of names follows the package that has them: nft `TestA`, `TestB`.
	lists := regexp.MustCompile("([a-z0-9]+) (`Test\\w+`(?:, `Test\\w+`)*)").FindAllStringSubmatch(page, -1)
	for _, list := range lists {
		if exist[list[1]] == nil {
			exist[list[1]] = testsOf(t, list[1])
		}
		for name := range strings.SplitSeq(strings.ReplaceAll(list[2], "`", ""), ", ") {
			if !exist[list[1]][name] {
				t.Errorf("there is no test %s in %s", name, folder(list[1]))
			}
		}
	}
	named := 0
	for _, list := range lists {
		named += strings.Count(list[2], "Test")
	}
	if all := strings.Count(page, "`Test"); named != all {
		t.Errorf("%d of %d names were looked for: each list begins with its package", named, all)
	}
}

// folder is where the page's short name of a package is.
func folder(name string) string {
	switch name {
	case "packet", "chaos", "e2e", "migration":
		return filepath.Join("test", name)
	case "node":
		return filepath.Join("cmd", "node", "app")
	case "top":
		return filepath.Join("internal", name)
	}
	return filepath.Join("internal", "dataplane", name)
}

func testsOf(t *testing.T, name string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testenv.Root(), folder(name), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(source), -1) {
			tests[match[1]] = true
		}
	}
	return tests
}

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

package allocation

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/testenv"
)

// The page says which test guards which row, so it must not outlive them.
func TestThePageOfAllocationNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "allocation.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	cases, units := testenv.TestSources(t, "test/envtest/allocation"), map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([AU]\d+) \| .* \| ([^|]*) \|$`).FindAllStringSubmatch(string(text), -1) {
		named := regexp.MustCompile("(?:([a-z]+) )?`([^`]+)`").FindAllStringSubmatch(row[2], -1)
		if len(named) == 0 {
			continue // the table of what is missing
		}
		rows[row[1]]++
		for _, test := range named {
			if strings.HasPrefix(test[2], "Test") {
				if units[test[1]] == "" {
					units[test[1]] = testenv.TestSources(t, test[1])
				}
				if !strings.Contains(units[test[1]], "func "+test[2]+"(") {
					t.Errorf("row %s: there is no test %s in %s", row[1], test[2], test[1])
				}
			} else if !strings.Contains(cases, "It(\""+test[2]) && !strings.Contains(cases, "DescribeTable(\""+test[2]) {
				t.Errorf("row %s: there is no case %q", row[1], test[2])
			}
		}
	}
	for letter, last := range map[string]int{"A": 24, "U": 8} {
		for i := 1; i <= last; i++ {
			if row := fmt.Sprint(letter, i); rows[row] != 1 {
				t.Errorf("row %s is there %d times", row, rows[row])
			}
		}
	}
}

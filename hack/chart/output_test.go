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

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The directory of the chart is removed for the next one: nobody else's may be.
func TestOnlyAChartIsReplaced(t *testing.T) {
	for what, tc := range map[string]struct {
		file, content string
		refused       bool
	}{
		"nothing":               {},
		"an older one":          {"Chart.yaml", "apiVersion: v2\nname: switchyard\nversion: 0.0.1\n", false},
		"somebody's files":      {"thesis.txt", "all of it", true},
		"somebody else's chart": {"Chart.yaml", "apiVersion: v2\nname: switchyard-of-mine\n", true},
		"a chart's parent":      {"switchyard/Chart.yaml", "apiVersion: v2\nname: switchyard\n", true},
	} {
		t.Run(what, func(t *testing.T) {
			parent := t.TempDir()
			output := filepath.Join(parent, "out")
			before := filepath.Join(output, tc.file)
			if err := os.MkdirAll(filepath.Dir(before), 0o755); err != nil {
				t.Fatal(err)
			}
			if tc.file != "" {
				if err := os.WriteFile(before, []byte(tc.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := write(map[string]string{"templates/new.yaml": ""}, output)
			if refused := err != nil && strings.Contains(err.Error(), "not replaced"); refused != tc.refused || err != nil && !refused {
				t.Fatalf("the error is %v", err)
			}
			left, err := os.ReadFile(before)
			if tc.refused && (err != nil || string(left) != tc.content) {
				t.Errorf("it is not as it was: %q, %v", left, err)
			}
			if _, err := os.Stat(filepath.Join(output, "templates", "new.yaml")); (err == nil) == tc.refused {
				t.Errorf("the chart: %v", err)
			}
			if beside, err := os.ReadDir(parent); err != nil || len(beside) != 1 {
				t.Errorf("%v is left beside it: %v", beside, err)
			}
		})
	}
}

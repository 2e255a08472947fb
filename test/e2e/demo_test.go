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

package e2e

import (
	"slices"
	"testing"

	"switchyard.dev/switchyard/internal/demo"
	"switchyard.dev/switchyard/test/docs/page"
)

// TestSamples makes every check of what README.md shows, which is `switchyard demo`.
func TestSamples(t *testing.T) {
	if words := page.Recipe(t, theDemo(t)); !slices.Equal(words, []string{switchyard(), "demo"}) {
		t.Fatalf("the page runs %q", words)
	}
	needCluster(t)
	for _, c := range demo.Checks() {
		t.Run(c.Name, func(t *testing.T) {
			seen, err := c.Run(t.Context(), bed)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(seen)
		})
	}
}

// theDemo is the command of README.md that this test runs.
func theDemo(t *testing.T) string {
	t.Helper()
	commands := page.RunBy(t, "README.md").Next(t).Commands()
	if len(commands) != 1 {
		t.Fatalf("README.md has the commands %q, want one", commands)
	}
	return commands[0]
}

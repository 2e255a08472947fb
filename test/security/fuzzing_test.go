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

package security

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/test/testenv"
)

func TestEachFuzzTargetIsOnThePage(t *testing.T) {
	listed := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(Fuzz\\w+)` \\| `([^`]+)`").FindAllStringSubmatch(text(t, "docs", "fuzzing.md"), -1) {
		listed[row[1]] = append(listed[row[1]], row[2])
	}
	for _, folders := range listed {
		slices.Sort(folders)
	}
	there := functions(t, "Fuzz")
	if diff := cmp.Diff(there, listed); diff != "" {
		t.Errorf("targets in the code (-) and in docs/fuzzing.md (+):\n%s", diff)
	}
	if len(there) < 10 || !slices.Equal(there["FuzzAllocationWebhook"], []string{"webhooks"}) {
		t.Errorf("only %d targets were found", len(there))
	}
}

// functions are the test functions of the whole tree that begin so, with the folders
// that have one of that name, in order.
func functions(t *testing.T, prefix string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	pattern := regexp.MustCompile(`(?m)^func (` + prefix + `\w+)\(`)
	root := testenv.Root()
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "bin" || path != root && strings.HasPrefix(entry.Name(), ".")) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		for _, match := range pattern.FindAllStringSubmatch(string(source), -1) {
			found[match[1]] = append(found[match[1]], folder)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, folders := range found {
		slices.Sort(folders)
	}
	return found
}

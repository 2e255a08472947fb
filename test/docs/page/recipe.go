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

package page

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Recipe are the words of the one command that a target of the Makefile comes to,
// once the programs that it needs are built.
func Recipe(t *testing.T, command string) []string {
	t.Helper()
	recipe := typed(t, command+" --dry-run --no-print-directory -o build -o controlplane -o deps")
	if !strings.HasPrefix(command, "make ") || strings.Count(recipe, "\n") != 1 {
		t.Fatalf("%s is not a target with one command:\n%s", command, recipe)
	}
	return strings.Split(strings.TrimSuffix(typed(t, `printf '%s\n' `+recipe), "\n"), "\n")
}

// typed is what a command prints at the repository's top, where no other make has
// started it.
func typed(t *testing.T, command string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), "bash", "-c", command)
	c.Dir = root()
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS=") })
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return string(out)
}

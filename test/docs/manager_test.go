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

package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/docs/page"
)

// TestTheManagersConfiguration starts a manager with the file and the flags that
// docs/admission.md shows. It reads both before it misses a cluster.
func TestTheManagersConfiguration(t *testing.T) {
	const path = "/etc/switchyard/manager.yaml"
	given := page.RunBy(t, "docs/admission.md")
	command, config := given.Next(t).Text(), given.Next(t).Text()
	file := filepath.Join(t.TempDir(), "manager.yaml")
	if !strings.Contains(command, path) {
		t.Fatalf("the command does not name %s: %s", path, command)
	}
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	args := strings.Fields(strings.ReplaceAll(command, path, file))
	none := filepath.Join(t.TempDir(), "no-cluster")
	args = slices.Insert(args, 1, "--kubeconfig="+none)
	out, err := exec.Command(filepath.Join(*programs, args[0]), args[1:]...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), none) {
		t.Errorf("%v: %v\n%s", args, err, out)
	}
}

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
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/docs/page"
	"switchyard.dev/switchyard/test/prereq"
)

// TestADemoWhoseReaderGoesAwayLeavesNothing is `make demo | head -n 1`.
func TestADemoWhoseReaderGoesAwayLeavesNothing(t *testing.T) {
	prereq.Root(t)
	temporary, err := os.MkdirTemp("", "e2e-") // a short path: sockets are made below it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	words := page.Recipe(t, theDemo(t))
	demo := exec.CommandContext(t.Context(), words[0], append(words[1:], "--nodes", "1")...)
	demo.Env = append(os.Environ(), "TMPDIR="+temporary)
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "ok") && !strings.HasPrefix(lines.Text(), "FAIL") {
		t.Log(lines.Text()) // until the first check is made, on a cluster that is up
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := demo.Wait(); err == nil {
		t.Error("a demo that could not tell what it found says that all is well")
	}
	left, err := filepath.Glob(filepath.Join(temporary, "switchyard-demo-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range left {
		t.Errorf("a cluster is left at %s", state)
		down := exec.Command(switchyard(), "down")
		down.Env = append(os.Environ(), "SWITCHYARD_STATE="+state)
		if out, err := down.CombinedOutput(); err != nil {
			t.Errorf("ending it: %v: %s", err, out)
		}
	}
}

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

package install

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/docs/page"
	"switchyard.dev/switchyard/test/testenv"
)

// before is the image of the version that testdata/upgrade-from names.
const before = "switchyard:before"

// TestUpgradeAndRollback goes from the version before to this one and back, as
// docs/install.md says, under traffic.
func TestUpgradeAndRollback(t *testing.T) {
	t.Parallel()
	commands := page.RunBy(t, "docs/install.md").Next(t)
	version := versionBefore(t)
	source := sourceOf(t, version)
	archive, err := assemble(t.TempDir(), built(t, source, version), before)
	if err != nil {
		t.Fatal(err)
	}
	c := newCluster(t, "--image="+archive)
	c.pointAtAPIServer(t)
	workloads := []string{"deployment/switchyard-manager", "daemonset/switchyard-node"}
	old := strings.ReplaceAll(render(t, filepath.Join(source, "config", "default")), "image: switchyard:latest", "image: "+before)
	installOld := func() {
		t.Helper()
		if _, err := c.try(t.Context(), old, "apply", "--server-side", "-f", "-"); err != nil {
			t.Fatal(err)
		}
		c.rolledOut(t, namespace, workloads...)
		c.runs(t, before)
	}
	installOld()
	c.admits(t)
	if err := c.bed.ApplySamples(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.undisturbed(t, unjudgedBefore, func() {
		c.shell(t, commands.Text())
		c.runs(t, "switchyard:latest")
	})
	c.nothingForbidden(t, namespace, 4)
	c.undisturbed(t, 0, installOld)
	c.nothingForbidden(t, namespace, 4)
}

// versionBefore is the commit of the version before.
func versionBefore(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "upgrade-from"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// sourceOf is a tree of a version. A clone without it, as one of depth 1, can not run
// the test.
func sourceOf(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	get := exec.CommandContext(t.Context(), "bash", "-o", "pipefail", "-c", `git -C "$0" archive "$1" | tar -x -C "$2"`,
		testenv.Root(), version, dir)
	if out, err := get.CombinedOutput(); err != nil {
		t.Fatalf("getting the version before from the repository, which has to have its whole history (git fetch --unshallow): %v: %s", err, out)
	}
	return dir
}

// built are the programs of a version, which are kept in bin/ once they are built.
func built(t *testing.T, source, version string) (dir string) {
	t.Helper()
	dir = filepath.Join(testenv.Root(), "bin", "before", version)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(dir), "unfinished-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(unfinished) }()
	arguments := []string{"build", "-ldflags", "-s -w -X switchyard.dev/switchyard/internal/version.Version=before", "-o", unfinished + "/"}
	for _, program := range programs {
		arguments = append(arguments, "./cmd/"+strings.TrimPrefix(program, "switchyard-"))
	}
	build := exec.CommandContext(t.Context(), "go", arguments...)
	build.Dir = source
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the programs of the version before: %v: %s", err, out)
	}
	for _, program := range programs {
		if err := os.Rename(filepath.Join(unfinished, strings.TrimPrefix(program, "switchyard-")), filepath.Join(unfinished, program)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(unfinished, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runs makes sure that all pods run that image, and that the old ones have gone.
func (c *cluster) runs(t *testing.T, image string) {
	t.Helper()
	await(t, "all pods run "+image, func() error {
		out, err := c.try(t.Context(), "", "-n", namespace, "get", "pods", "-o", "jsonpath={range .items[*]}{.spec.containers[0].image} {end}")
		if err != nil {
			return err
		}
		for of := range strings.FieldsSeq(out) {
			if of != image {
				return fmt.Errorf("there are pods of %s", out)
			}
		}
		return nil
	})
}

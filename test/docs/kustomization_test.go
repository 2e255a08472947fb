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
	"regexp"
	"slices"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/docs/page"
	"switchyard.dev/switchyard/test/testenv"
)

var imageOf = regexp.MustCompile(`(?m)^ +image: (.*)$`)

// The image that config names is on no registry: a kustomization of users' own has
// theirs, as the pages write it, in all that it installs.
func TestKustomizationsOfThePagesWork(t *testing.T) {
	dir := t.TempDir()
	for _, folder := range []string{"config", "docs/examples/migrate"} {
		if err := os.CopyFS(filepath.Join(dir, "switchyard", folder), os.DirFS(filepath.Join(testenv.Root(), folder))); err != nil {
			t.Fatal(err)
		}
	}
	addTo(t, filepath.Join(dir, "mine"), blockWith(t, "docs/install.md", "components:"))
	addTo(t, filepath.Join(dir, "mine"), blockWith(t, "docs/install.md", "patches:"))
	if built := wantImages(t, filepath.Join(dir, "mine")); !strings.Contains(built, "- --admission-audit\n") {
		t.Error("the manager does not get the flag --admission-audit")
	}
	addTo(t, filepath.Join(dir, "switchyard", "config", "overlays", "node"), blockWith(t, "docs/migrate.md", "images:"))
	wantImages(t, filepath.Join(dir, "switchyard", "docs", "examples", "migrate"))
	wantImages(t, filepath.Join(dir, "switchyard", "config", "overlays", "node"))
}

// blockWith is the block of a page that has the line.
func blockWith(t *testing.T, name, line string) string {
	t.Helper()
	p, err := page.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(p.Blocks, func(b page.Block) bool { return slices.Contains(b.Lines, line) })
	if i < 0 {
		t.Fatalf("%s has no block with the line %q", name, line)
	}
	return p.Blocks[i].Text()
}

// addTo adds to the kustomization of a folder, or makes one.
func addTo(t *testing.T, folder, text string) {
	t.Helper()
	path := filepath.Join(folder, "kustomization.yaml")
	before, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		err = os.MkdirAll(folder, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(before, text...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// wantImages expects the image of the pages in each container of what is built, init
// containers too.
func wantImages(t *testing.T, folder string) (built string) {
	t.Helper()
	out, err := exec.Command(filepath.Join(*programs, "k8s", "kubectl"), "kustomize", folder).Output()
	if err != nil {
		t.Fatalf("building %s: %v", folder, err)
	}
	found := imageOf.FindAllStringSubmatch(string(out), -1)
	if len(found) != 3 { // the manager's, the agent's, and what sets a node up
		t.Errorf("%s has %d containers, want 3", folder, len(found))
	}
	for _, image := range found {
		if want := "registry.example.com/switchyard:v1"; strings.TrimSpace(image[1]) != want {
			t.Errorf("%s has the image %s, want %s", folder, image[1], want)
		}
	}
	return string(out)
}

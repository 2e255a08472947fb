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
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/testenv"
)

// A cluster is the one that all pages are run in.
type cluster struct {
	state, home string
	args        []string // of up
	objects     *objects // once it is up
}

// newCluster makes one that is not up yet.
func newCluster(t *testing.T, args ...string) *cluster {
	t.Helper()
	c := &cluster{home: t.TempDir(), args: args}
	if len(args) == 0 {
		c.state = *used
	}
	if c.state == "" {
		var err error
		if c.state, err = os.MkdirTemp("", "switchyard-docs-"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.end(t) })
	}
	// The targets' own recipes are run. What they need has been made.
	path, err := exec.LookPath("make")
	if err != nil {
		t.Fatal(err)
	}
	caches, err := exec.Command("go", "env", "GOMODCACHE", "GOCACHE").Output() // which are below the HOME that commands do not have
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Fields(string(caches))
	script := fmt.Sprintf("#!/bin/sh\nexport GOMODCACHE=%s GOCACHE=%s\nexec %s -o build -o controlplane -o deps -o manifests \"$@\"\n", at[0], at[1], path)
	if err := os.WriteFile(filepath.Join(c.home, "make"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return c
}

// start makes sure that it is up.
func (c *cluster) start(t *testing.T) {
	t.Helper()
	if c.objects != nil {
		return
	}
	if c.command("switchyard", "kubeconfig").Run() != nil {
		args := append([]string{"up", "--keep-running", "--hints=false", "--wait=5m"}, c.args...)
		if out, err := c.command("switchyard", args...).CombinedOutput(); err != nil {
			t.Fatalf("starting the cluster: %v\n%s", err, out)
		}
	}
	c.objects = newObjects(t, filepath.Join(c.state, "kubeconfig"))
}

func (c *cluster) end(t *testing.T) {
	t.Helper()
	if out, err := c.command("switchyard", "down").CombinedOutput(); err != nil {
		t.Errorf("ending the cluster: %v\n%s", err, out)
	}
	if err := os.RemoveAll(c.state); err != nil {
		t.Error(err)
	}
}

// image is an archive of the programs, under the name that docs/install.md gives it.
func image(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	platform := filepath.Join(dir, "binaries", "linux_"+runtime.GOARCH)
	if err := os.MkdirAll(platform, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"switchyard-manager", "switchyard-node", "switchyard-dns"} {
		data, err := os.ReadFile(filepath.Join(*programs, program))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(platform, program), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	archive := filepath.Join(dir, "image.tar")
	run := exec.Command("go", "run", ".", "-binaries", filepath.Join(dir, "binaries"), "-output", archive, "-name", "registry.example.com/switchyard:v1", "-local")
	run.Dir = filepath.Join(testenv.Root(), "hack", "image")
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("assembling an image: %v: %s", err, out)
	}
	return archive
}

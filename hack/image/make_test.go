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
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// command is the one line of a page that begins so.
func command(t *testing.T, page, start string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile("(?m)^"+regexp.QuoteMeta(start)+" .*$").FindAllString(string(text), -1)
	if len(lines) != 1 {
		t.Fatalf("of the command %s %s has %q, want one", start, page, lines)
	}
	return lines[0]
}

// made are the options that make gives to the program, after it has built what is
// to be in the image.
func made(t *testing.T, command string) options {
	t.Helper()
	recipe := outputOf(t, command+" --dry-run")
	_, arguments, found := strings.Cut(recipe, "cd hack/image && go run . ")
	if !found {
		t.Fatalf("%s does not assemble an image:\n%s", command, recipe)
	}
	words := strings.Split(strings.TrimSuffix(outputOf(t, "printf '%s\n' "+arguments), "\n"), "\n")
	o, err := parse(words)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return o
}

// outputOf is what a command prints at the top of the repository, with no setting
// of a make that runs this test.
func outputOf(t *testing.T, command string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), "bash", "-c", command)
	c.Dir = filepath.Join("..", "..")
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS=") })
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return string(out)
}

// The archive that the page makes is the one that it starts a cluster with.
func TestTheArchiveOfThePage(t *testing.T) {
	const page = "../../docs/local-cluster.md"
	o := made(t, command(t, page, "make image"))
	if used := command(t, page, "switchyard up --keep-running --suite=none --image"); !strings.HasSuffix(o.output, used[strings.LastIndex(used, " "):][1:]) {
		t.Errorf("%s is written, and the page goes on with %q", o.output, used)
	}
	if o.push != "" {
		t.Errorf("it is pushed to %s", o.push)
	}
	directory := t.TempDir()
	build(t, directory, "linux", "amd64", "-trimpath")
	o.binaries, o.output = directory, filepath.Join(directory, "image.tar")
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if archive, err := os.ReadFile(o.output); err != nil || !bytes.Contains(archive, []byte("oci-layout")) {
		t.Errorf("it is no archive of an image: %v", err)
	}
}

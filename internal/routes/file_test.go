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

package routes

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAFileIsReplacedAsAWhole(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "made", "here")
	path := file(filepath.Join(directory, "bird.conf"))
	if text, err := path.read(); text != "" || err != nil {
		t.Errorf("before the first time: %q, %v", text, err)
	}
	for _, text := range []string{birdSnippet(nil), birdSnippet(prefixes("192.0.2.1/32"))} {
		if err := path.write(text); err != nil {
			t.Fatal(err)
		}
		if got, err := path.read(); got != text || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
	}
	info, err := os.Stat(string(path))
	if err != nil || info.Mode() != 0o644 {
		t.Errorf("the daemon's user can not read it: %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(directory); len(entries) != 1 || err != nil {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestAForeignFileIsNeitherReadNorReplaced(t *testing.T) {
	directory := t.TempDir()
	theirs := filepath.Join(directory, "theirs.conf")
	if err := os.WriteFile(theirs, []byte("protocol bgp { }\n# "+mark+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	link, empty := filepath.Join(directory, "link.conf"), filepath.Join(directory, "empty.conf")
	ours := filepath.Join(directory, "ours.conf")
	if err := errors.Join(file(ours).write(birdSnippet(nil)), os.Symlink(ours, link), os.WriteFile(empty, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"another's text": theirs, "a link": link, "a directory": directory, "an empty file": empty} {
		if _, err := file(path).read(); !errors.Is(err, ErrForeignFile) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatCanNotBeWrittenIsNamed(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := file(filepath.Join(blocked, "bird.conf")).write("text")
	if err == nil || !strings.Contains(err.Error(), "--routes-file: mkdir "+blocked+": not a directory") {
		t.Errorf("said %v", err)
	}
}

func TestLeftoversAreTidiedWhenTheyAreOld(t *testing.T) {
	directory := t.TempDir()
	path := file(filepath.Join(directory, "bird.conf"))
	for _, name := range []string{".bird.conf.1.new", "bird.conf.new", ".frr.conf.1.new"} {
		if err := os.WriteFile(filepath.Join(directory, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	count := func() int {
		entries, err := os.ReadDir(directory)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if path.tidy(time.Now()); count() != 3 {
		t.Error("a file is gone that another process may still write")
	}
	if path.tidy(time.Now().Add(time.Hour)); count() != 2 {
		t.Error("an old leftover is still there, or more than that is gone")
	}
}

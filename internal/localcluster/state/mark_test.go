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

package state

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	folder = "folder"
	record = `{"pid": 7, "startTime": 42, "nodes": 2, "port": 6443, "version": "v0.5.0"}`
)

func TestADirectoryOfSomebodyElseIsRefusedAndLeftAsItIs(t *testing.T) {
	tests := map[string]map[string]string{
		"files of a user's":                             {"logs/thesis.txt": "", "images/wedding.jpg": "", "kubeconfig": "", "notes.txt": ""},
		"the root of a machine":                         {"run": folder, "var": folder, "lost+found": folder},
		"a directory called run":                        {"run/user": folder},
		"somebody else's lock":                          {"lock": "4711", "logs": folder},
		"an empty lock beside files":                    {"lock": "", "notes.txt": ""},
		"an empty lock beside logs of another kind":     {"lock": "", "logs/thesis.txt": ""},
		"an empty lock beside a directory run in use":   {"lock": "", "run/daemon.pid": "1"},
		"an empty lock beside images, and no cluster":   {"lock": "", "images/wedding.jpg": ""},
		"an empty lock beside another cluster.json":     {"lock": "", "cluster.json": `{"name": "mine"}`, "logs": folder},
		"a cluster.json without a lock":                 {"cluster.json": record, "images/wedding.jpg": ""},
		"a lock that is a directory, as in /run":        {"lock": folder, "user": folder},
		"an empty lock beside a kubeconfig, no cluster": {"lock": "", "kubeconfig": "clusters: []"},
	}
	for name, files := range tests {
		t.Run(name, func(t *testing.T) {
			dir := Dir(t.TempDir())
			fill(t, dir, files)
			before := listed(t, dir)
			lock, err := dir.TryLock()
			if err == nil {
				_ = lock.Close()
				t.Fatal("it was taken")
			}
			for _, said := range []string{string(dir) + " holds files and is not the state directory", "set " + EnvVar + " to"} {
				if !strings.Contains(err.Error(), said) {
					t.Errorf("%q does not say %q", err, said)
				}
			}
			if diff := cmp.Diff(before, listed(t, dir)); diff != "" {
				t.Errorf("what is in it (-before +after):\n%s", diff)
			}
		})
	}
}

func TestWhatClustersLeftIsTakenAgain(t *testing.T) {
	tests := map[string]map[string]string{
		"a new cluster that was killed, with a note":        {"lock": mark, "logs/etcd.log": "", "run": folder, "images/a": "", "kubeconfig": "", "notes.txt": ""},
		"the logs of one that failed":                       {"lock": mark, "logs/supervisor.log": ""},
		"one that ended before its mark":                    {"lock": ""},
		"one of an earlier version, killed":                 {"lock": "", "cluster.json": record, "logs/etcd.log": "", "run": folder, "images/a": "", "kubeconfig": ""},
		"one of an earlier version, with a note":            {"lock": "", "cluster.json": record, "notes.txt": ""},
		"one of an earlier version, killed while it began":  {"lock": "", "logs": folder, "run": folder},
		"one of an earlier version that failed, and logged": {"lock": "", "logs/supervisor.log": ""},
	}
	for name, files := range tests {
		t.Run(name, func(t *testing.T) {
			dir := Dir(t.TempDir())
			fill(t, dir, files)
			mustLock(t, dir)
			if err := dir.Prepare(); err != nil {
				t.Fatal(err)
			}
			if held, err := os.ReadFile(dir.lock()); err != nil || string(held) != mark {
				t.Errorf("the lock holds %q, %v", held, err)
			}
		})
	}
}

// fill makes files with contents, and folders.
func fill(t *testing.T, dir Dir, files map[string]string) {
	t.Helper()
	for name, contents := range files {
		path := filepath.Join(string(dir), name)
		if contents == folder {
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(contents), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func listed(t *testing.T, dir Dir) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(string(dir), func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

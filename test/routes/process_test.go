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
	"os"
	"os/exec"
	"path/filepath"

	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/test/testenv/process"
)

// start runs a program in a namespace. It ends with the test.
func (w *world) start(ns *netns.Namespace, name string, args ...string) *process.Process {
	w.Helper()
	return process.Run(w, exec.Command(name, args...), ns)
}

// directory is one that daemons with a user of their own can use, too.
func (w *world) directory(name string) string {
	w.Helper()
	path, err := os.MkdirTemp("", "switchyard-"+name+"-")
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = os.RemoveAll(path) })
	if err := os.Chmod(path, 0o755); err != nil {
		w.Fatal(err)
	}
	return path
}

// example is a configuration of the documentation.
func (w *world) example(name string) string {
	return filepath.Join(testenv.Root(), "docs", "examples", "routes", name)
}

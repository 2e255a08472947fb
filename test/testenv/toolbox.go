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

package testenv

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Toolbox has the program `switchyard` under all its names, and a kubeconfig of
// a cluster.
type Toolbox struct {
	dir     string
	environ []string
}

// NewToolbox takes the program that `make build` has built.
func NewToolbox(t testing.TB) Toolbox {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(Root(), "bin", "switchyard")
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v: run `make build`", err)
	}
	if err := os.Symlink(program, filepath.Join(dir, "switchyard")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kubectl-switchyard", "kubectl_complete-switchyard"} {
		if err := os.Symlink("switchyard", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	assets, err := Assets()
	if err != nil {
		t.Fatal(err)
	}
	return Toolbox{dir, append(os.Environ(), "SWITCHYARD_STATE="+filepath.Join(dir, "state"), "LC_ALL=C.UTF-8",
		"PATH="+dir+":"+assets+":"+os.Getenv("PATH"))}
}

// As is the same toolbox in the hands of a user of the cluster.
func (b Toolbox) As(t testing.TB, environment *envtest.Environment, user envtest.User) Toolbox {
	t.Helper()
	added, err := environment.AddUser(user, nil)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := added.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(b.dir, "kubeconfig-"+user.Name)
	if err := os.WriteFile(path, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return Toolbox{b.dir, slices.Concat(b.environ, []string{"KUBECONFIG=" + path})}
}

// Run starts a program of the toolbox, or kubectl, by a line of arguments.
func (b Toolbox) Run(t testing.TB, line string) (stdout, stderr string, code int) {
	t.Helper()
	return b.RunWith(t, line, "")
}

// RunWith is Run with something to read from standard input.
func (b Toolbox) RunWith(t testing.TB, line, stdin string) (stdout, stderr string, code int) {
	t.Helper()
	argv := strings.Fields(line)
	path := filepath.Join(b.dir, argv[0])
	if argv[0] == "kubectl" {
		assets, err := Assets()
		if err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(assets, "kubectl")
	}
	command := exec.CommandContext(t.Context(), path, argv[1:]...)
	command.Env = b.environ
	var out, problems strings.Builder
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &out, &problems
	err := command.Run()
	if exit, is := errors.AsType[*exec.ExitError](err); is {
		return out.String(), problems.String(), exit.ExitCode()
	}
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return out.String(), problems.String(), 0
}

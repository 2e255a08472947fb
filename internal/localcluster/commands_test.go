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

package localcluster_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"switchyard.dev/switchyard/internal/localcluster/control"
	"switchyard.dev/switchyard/test/testenv"
)

// commands runs the switchyard program as some user, with a state directory
// of its own.
type commands struct {
	program, state string
	uid            uint32
}

func newCommands(t *testing.T, uid uint32) *commands {
	t.Helper()
	programs, err := shareOnce()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "switchyard-test-") // t.TempDir makes one for root only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chown(dir, int(uid), int(uid)); err != nil {
		t.Fatal(err)
	}
	c := &commands{program: filepath.Join(programs, "switchyard"), state: filepath.Join(dir, "state"), uid: uid}
	t.Cleanup(func() { _, _ = c.run("down") })
	return c
}

func TestMain(m *testing.M) {
	code := m.Run()
	if programs != "" {
		_ = os.RemoveAll(programs)
	}
	os.Exit(code)
}

// programs is where shareOnce has put them, if it was called.
var programs string

// shareOnce puts the programs of `make build` and the control plane's into a
// directory where every user can run them.
var shareOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "switchyard-programs-")
	if err != nil {
		return "", err
	}
	programs = dir
	return dir, errors.Join(os.Chmod(dir, 0o755), linkControlPlane(dir), linkPrograms(dir))
})

func linkControlPlane(dir string) error {
	assets, err := testenv.Assets()
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "k8s"), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		program, err := filepath.EvalSymlinks(filepath.Join(assets, name))
		if err != nil {
			return err
		}
		shared := filepath.Join(dir, filepath.Base(program))
		if err := errors.Join(provide(program, shared), os.Symlink(shared, filepath.Join(dir, "k8s", name))); err != nil {
			return err
		}
	}
	return nil
}

func linkPrograms(dir string) error {
	for _, name := range []string{"switchyard", "switchyard-manager", "switchyard-node", "switchyard-dns"} {
		if err := provide(filepath.Join(testenv.Root(), "bin", name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("%w: run `make build`", err)
		}
	}
	return nil
}

// provide makes the program available at another path, by a link if it can.
func provide(program, path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if os.Link(program, path) == nil {
		return nil
	}
	data, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o755)
}

func (c *commands) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.program, args...)
	cmd.Dir = filepath.Dir(c.state)
	cmd.Env = append(os.Environ(), "SWITCHYARD_STATE="+c.state, "KUBEBUILDER_ASSETS=", "HOME="+cmd.Dir)
	if c.uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.uid, Gid: c.uid}}
	}
	return cmd
}

// run returns all that the command prints.
func (c *commands) run(args ...string) (string, error) {
	out, err := c.command(args...).CombinedOutput()
	return string(out), err
}

func (c *commands) mustRun(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.run(args...)
	if err != nil {
		t.Fatalf("switchyard %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *commands) status(t *testing.T) control.Status {
	t.Helper()
	var status control.Status
	if err := json.NewDecoder(bytes.NewBufferString(c.mustRun(t, "status", "--processes", "-o", "json"))).Decode(&status); err != nil {
		t.Fatal(err)
	}
	return status
}

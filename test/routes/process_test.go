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
	"syscall"

	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/testenv"
)

// process is a daemon that runs until the test ends, or longer than it is wanted.
type process struct {
	*world
	cmd  *exec.Cmd
	done chan struct{}
	// talk is the command that talks to it.
	talk []string
}

// start runs a program in a namespace. It ends with the test, and with this
// process if that is killed.
func (w *world) start(ns *netns.Namespace, name string, args ...string) *process {
	w.Helper()
	log, err := os.CreateTemp(w.TempDir(), filepath.Base(name))
	if err != nil {
		w.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &process{world: w, cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	// The signal comes when the thread ends that has started the process, so
	// that thread waits for it.
	go func() {
		defer close(p.done)
		_ = ns.Do(func() error {
			err := cmd.Start()
			started <- err
			if err == nil {
				_ = cmd.Wait() // most are killed
			}
			return nil
		})
	}()
	if err := <-started; err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		p.kill()
		if text, err := os.ReadFile(log.Name()); w.Failed() && err == nil {
			w.Logf("%s said:\n%s", name, text)
		}
		_ = log.Close()
	})
	return p
}

// kill ends the process at once, as a crash does, and waits for its end.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.done: // its number may be another's by now
	default:
		_ = p.cmd.Process.Signal(s)
	}
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

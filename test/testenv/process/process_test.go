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

package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"switchyard.dev/switchyard/test/prereq"
)

// asParent makes the test binary a program that starts another and tells its PID.
const asParent = "SWITCHYARD_PROCESS_TEST_LOG"

func TestMain(m *testing.M) {
	if log := os.Getenv(asParent); log != "" {
		child, err := Start(exec.Command("sleep", "1000"), nil, log)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("child", child.PID())
		select {}
	}
	os.Exit(m.Run())
}

func shell(script string) *exec.Cmd { return exec.Command("sh", "-c", script) }

func TestWhatItSaysIsKept(t *testing.T) {
	p := Run(t, shell("echo well; echo bad >&2; exit 3"), nil)
	if code := p.ExitCode(); code != 3 || p.Log() != "well\nbad\n" {
		t.Errorf("exit code %d, log %q", code, p.Log())
	}
	if err := p.Alive(); err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "bad") {
		t.Errorf("after its end: %v", err)
	}
	if p.End(syscall.SIGTERM) {
		t.Error("it was still there")
	}
}

func TestItEndsByTheSignalItGets(t *testing.T) {
	p := Run(t, shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done"), nil)
	p.Await(t, "it is ready", func() bool { return p.Log() == "ready\n" })
	if err := p.Alive(); err != nil {
		t.Fatal(err)
	}
	if !p.End(syscall.SIGTERM) || p.ExitCode() != 7 {
		t.Errorf("exit code %d", p.ExitCode())
	}
}

func TestWhatDoesNotEndIsKilled(t *testing.T) {
	p := Run(t, shell("trap '' TERM; echo ready; while :; do sleep 0.01; done"), nil)
	p.Await(t, "it is ready", func() bool { return p.Log() == "ready\n" })
	if p.Stop(10 * time.Millisecond); p.ExitCode() != -1 {
		t.Errorf("exit code %d", p.ExitCode())
	}
}

func TestItHasTheNetworkItIsGiven(t *testing.T) {
	ns := prereq.Namespace(t)
	var want string
	if err := ns.Do(func() (err error) { want, err = os.Readlink("/proc/thread-self/ns/net"); return err }); err != nil {
		t.Fatal(err)
	}
	p := Run(t, exec.Command("readlink", "/proc/self/ns/net"), ns)
	if p.ExitCode(); p.Log() != want+"\n" {
		t.Errorf("it runs in %q, want %s", p.Log(), want)
	}
}

func TestItDoesNotOutliveWhatStartedIt(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), asParent+"="+filepath.Join(t.TempDir(), "log"))
	parent := Run(t, cmd, nil)
	var child int
	parent.Await(t, "the child runs", func() bool { _, err := fmt.Sscanf(parent.Log(), "child %d\n", &child); return err == nil })
	parent.Kill()
	for deadline := time.Now().Add(patience); runs(child); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(child, syscall.SIGKILL)
			t.Fatal("the child still runs")
		}
	}
}

// runs tells of a process that is neither gone nor a zombie that nobody waits for.
func runs(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.HasPrefix(string(text), fmt.Sprintf("%d (sleep) ", pid)) && !strings.Contains(string(text), ") Z ")
}

func TestWhatCanNotStartIsAnError(t *testing.T) {
	if p, err := Start(exec.Command("/does/not/exist"), nil, filepath.Join(t.TempDir(), "log")); err == nil {
		t.Errorf("%d runs", p.PID())
	}
}

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

package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/netns"
)

// launch starts a Pod's program and returns once it runs, or with why it does
// not. It is the caller's to Wait for. stdio is set on cmd by prepare.
func launch(ns *netns.Namespace, o orders, prepare func(cmd *exec.Cmd)) (*exec.Cmd, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{childName}
	cmd.Env = []string{}
	// A session of its own: one signal reaches all that it starts.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = 2 * time.Second // for output held open by a grandchild
	prepare(cmd)
	ordersRead, ordersWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = ordersWrite.Close() }()
	errorsRead, errorsWrite, err := os.Pipe()
	if err != nil {
		_ = ordersRead.Close()
		return nil, err
	}
	defer func() { _ = errorsRead.Close() }()
	cmd.ExtraFiles = []*os.File{ordersRead, errorsWrite}
	err = ns.Do(func() error { return startIn(o.Root, cmd) })
	_ = ordersRead.Close()
	_ = errorsWrite.Close()
	if err != nil {
		return nil, fmt.Errorf("starting a program: %w", err)
	}
	if err := json.NewEncoder(ordersWrite).Encode(o); err != nil {
		_ = cmd.Process.Kill()
	}
	_ = ordersWrite.Close()
	// The pipe is closed by exec, or has the reason why there was none.
	if reason, _ := io.ReadAll(errorsRead); len(reason) > 0 {
		_ = cmd.Wait()
		return nil, errors.New(string(reason))
	}
	return cmd, nil
}

// startIn gives a program of an image process ids of its own, of which it has the
// first: what it leaves behind ends with it. A command gets those of the program
// that it joins.
func startIn(root *rootOrders, cmd *exec.Cmd) error {
	switch {
	case root == nil:
	case root.Join == 0:
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWPID
	default:
		ids, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", root.Join))
		if err != nil {
			return fmt.Errorf("the container is not running: %w", err)
		}
		defer func() { _ = ids.Close() }()
		if err := unix.Setns(int(ids.Fd()), unix.CLONE_NEWPID); err != nil {
			return fmt.Errorf("entering the container's process ids: %w", err)
		}
	}
	return cmd.Start()
}

// signalAll signals a program and all that it started and did not detach.
func signalAll(cmd *exec.Cmd, signal syscall.Signal) {
	_ = syscall.Kill(-cmd.Process.Pid, signal)
}

// exitCode is the code a shell would report: 128 and the signal's number for a
// program that was killed.
func exitCode(state *os.ProcessState) (code, signal int32) {
	if state == nil { // someone else reaped it
		return 137, int32(syscall.SIGKILL)
	}
	status, ok := state.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int32(status.Signal()), int32(status.Signal())
	}
	return int32(state.ExitCode()), 0
}

// openPTY returns both ends of a new pseudo terminal.
func openPTY() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("opening a terminal: %w", err)
	}
	defer func() {
		if err != nil {
			_ = master.Close()
		}
	}()
	if err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, fmt.Errorf("unlocking a terminal: %w", err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, nil, fmt.Errorf("naming a terminal: %w", err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("opening a terminal: %w", err)
	}
	return master, slave, nil
}

func resizePTY(master *os.File, width, height uint16) {
	_ = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width})
}

// onTerminal makes cmd run on a terminal.
func onTerminal(cmd *exec.Cmd, slave *os.File) {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr.Setctty = true
	cmd.SysProcAttr.Ctty = 0
}

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
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// insideVariable names the directory that the process inside the namespaces
// works in; it is not set outside.
const insideVariable = "SWITCHYARD_BENCH_INSIDE"

// enter runs this program again in namespaces of its own and returns its exit
// code. The process inside is the init of its PID namespace: when it ends, or
// this one does, the kernel ends all it started and removes every network
// namespace, link and mount.
func enter(args []string) (int, error) {
	runtime.LockOSThread() // Pdeathsig is about the thread that starts the child
	dir, err := os.MkdirTemp("", "switchyard-bench-*")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.Remove(dir) }()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	inside := exec.Command("/proc/self/exe", args...)
	inside.Env = append(os.Environ(), insideVariable+"="+dir)
	inside.Stdout, inside.Stderr = os.Stdout, os.Stderr
	inside.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true, Pdeathsig: unix.SIGKILL,
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET,
	}
	if err := inside.Start(); err != nil {
		return 1, fmt.Errorf("making namespaces to work in: %w: run as root, with CAP_SYS_ADMIN and CAP_NET_ADMIN", err)
	}
	ended := make(chan struct{})
	go func() { err = inside.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-interrupted:
		_ = inside.Process.Signal(unix.SIGTERM) // it still prints what it has
		select {
		case <-ended:
		case <-interrupted:
		case <-time.After(5 * time.Second):
		}
		_ = inside.Process.Kill()
		return 130, errors.New("interrupted; everything it made is gone")
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// settle makes the new namespaces a place to work in.
func settle(dir string) error {
	for _, mount := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"tmpfs", dir, "tmpfs", unix.MS_NOSUID | unix.MS_NODEV}, // etcd's files, too
	} {
		if err := unix.Mount(mount.source, mount.target, mount.kind, mount.flags, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", mount.target, err)
		}
	}
	if err := errors.Join(os.Setenv("TMPDIR", dir), os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

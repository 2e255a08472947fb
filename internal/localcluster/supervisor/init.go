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

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/localcluster/propagation"
	"switchyard.dev/switchyard/internal/netns"
)

// RunCommand is the hidden command that Init runs itself as.
const RunCommand = "cluster-supervisor"

// InitCommand is the hidden command that `switchyard up` runs itself as.
const InitCommand = "cluster-init"

// Init is the first process of the cluster's PID namespace. It sets up the
// private mounts, starts Run as a child and reaps whatever dies, until that
// child has: a process of its own, so that reaping orphans can not steal the
// exit status of a process that Run waits for. The result is the exit code.
func Init(encoded string) (int, error) {
	config, err := Decode(encoded)
	if err != nil {
		return 1, err
	}
	if os.Getpid() != 1 {
		return 1, fmt.Errorf("%s is started by `switchyard up` only", InitCommand)
	}
	files := inherit()
	defer func() { _ = files.Lock.Close() }()
	if err := mountPrivately(config); err != nil {
		return 1, err
	}
	if err := netns.LoopbackUp(); err != nil {
		return 1, err
	}
	self, err := os.Executable()
	if err != nil {
		return 1, fmt.Errorf("finding the switchyard program: %w", err)
	}
	child, err := os.StartProcess(self, []string{os.Args[0], RunCommand, encoded}, &os.ProcAttr{
		Files: append([]*os.File{os.Stdin, os.Stdout, os.Stderr}, files.Files()...),
	})
	if err != nil {
		return 1, fmt.Errorf("starting the supervisor: %w", err)
	}
	forward(child.Pid)
	return reapUntil(child.Pid)
}

// mountPrivately gives the cluster mounts that the machine does not see and
// that are gone with it: /proc of its own PID namespace, and a tmpfs for keys,
// etcd's data and the names of network namespaces.
func mountPrivately(config Config) error {
	if err := propagation.Set(unix.MS_PRIVATE); err != nil {
		return fmt.Errorf("making the cluster's mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc for the cluster (a container that hides parts of /proc forbids this; run it with an unmasked /proc): %w", err)
	}
	if err := unix.Mount("tmpfs", config.State.Run(), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mounting a tmpfs at %s: %w", config.State.Run(), err)
	}
	return os.Mkdir(config.State.Namespaces(), 0o755)
}

// forward passes on the signals that ask a process to end.
func forward(pid int) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	go func() {
		for range signals {
			_ = unix.Kill(pid, unix.SIGTERM)
		}
	}()
}

// reapUntil collects dead children, its own and those it inherited as init,
// until the one with that pid is among them, and returns its exit code.
func reapUntil(pid int) (int, error) {
	for {
		var status unix.WaitStatus
		dead, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 1, fmt.Errorf("waiting for the supervisor: %w", err)
		case dead == pid && status.Exited():
			return status.ExitStatus(), nil
		case dead == pid:
			return 1, fmt.Errorf("the supervisor was killed by signal %v", status.Signal())
		}
	}
}

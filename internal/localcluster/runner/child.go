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
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/localcluster/propagation"
)

// childName is argv[0] of this executable when it is to become a Pod's
// program.
const childName = "switchyard-pod-program"

// The child's inherited files: what to do, and where to write why it failed.
const (
	childOrders = 3
	childErrors = 4
)

// orders tell the child what to become.
type orders struct {
	Hostname string
	Dir      string
	Args     []string
	Env      []string
	Mounts   []mount
	// Root is nil for a program of this machine, in this machine's root.
	Root *rootOrders
}

// mount puts a file or directory of the Pod at a path of its programs. ReadOnly
// is heeded in the root of an image.
type mount struct {
	Source, Target string
	// Within is a path in Source, of which that alone is meant.
	Within   string
	ReadOnly bool
}

// MaybeChild becomes a Pod's program if this process was started for that, and
// returns otherwise. It must be the first call of main: the network namespace
// was inherited, the mount and host name namespaces are made here, on the one
// thread that then calls exec.
func MaybeChild() {
	if len(os.Args) == 0 || os.Args[0] != childName {
		return
	}
	runtime.LockOSThread()
	failures := os.NewFile(childErrors, "errors")
	unix.CloseOnExec(childErrors)
	err := becomeProgram(os.NewFile(childOrders, "orders"))
	_, _ = io.WriteString(failures, err.Error())
	os.Exit(128)
}

func becomeProgram(file io.ReadCloser) error {
	var o orders
	if err := json.NewDecoder(file).Decode(&o); err != nil {
		return fmt.Errorf("reading orders: %w", err)
	}
	_ = file.Close()
	enter := enterMachine
	if o.Root != nil {
		enter = enterImage
	}
	if err := enter(o); err != nil {
		return err
	}
	if o.Dir != "" {
		if err := os.Chdir(o.Dir); err != nil {
			return fmt.Errorf("working directory: %w", err)
		}
	}
	if o.Root != nil {
		if err := o.Root.Privileges.apply(); err != nil {
			return err
		}
	}
	path, err := lookPath(o.Args[0], o.Env)
	if err != nil {
		return err
	}
	if err := syscall.Exec(path, o.Args, o.Env); err != nil {
		return fmt.Errorf("exec %s: %w", path, err)
	}
	return nil
}

// enterMachine keeps this machine's files but for those of the Pod.
func enterMachine(o orders) error {
	if err := privateMounts(o.Mounts); err != nil {
		return err
	}
	if o.Hostname == "" {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWUTS); err != nil {
		return fmt.Errorf("making a host name namespace: %w", err)
	}
	if err := unix.Sethostname([]byte(o.Hostname)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	return nil
}

// lookPath finds the program with the container's PATH, not the runner's.
func lookPath(program string, env []string) (string, error) {
	for _, v := range env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			_ = os.Setenv("PATH", path)
		}
	}
	return exec.LookPath(program)
}

// privateMounts makes a mount namespace in which /run is empty but for the
// Pod's files. Sources are opened first, as they may lie under /run.
func privateMounts(mounts []mount) error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("making a mount namespace: %w", err)
	}
	if err := propagation.Set(unix.MS_PRIVATE); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	sources := make([]*os.File, len(mounts))
	for i, m := range mounts {
		fd, err := m.open()
		if err != nil {
			return err
		}
		sources[i] = os.NewFile(uintptr(fd), m.Source)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=16m"); err != nil {
		return fmt.Errorf("mounting an empty /run: %w", err)
	}
	for i, m := range mounts {
		if err := bind(sources[i], m.Target); err != nil {
			return err
		}
		_ = sources[i].Close()
	}
	return nil
}

// bind mounts a source at target, which is made if it lies under /run. A
// target that this machine does not have, such as /etc/resolv.conf on some, is
// left out: it can not be made without changing the machine.
func bind(source *os.File, target string) error {
	target = resolve(target)
	if strings.HasPrefix(target, "/run/") {
		if err := makeTarget(source, target); err != nil {
			return fmt.Errorf("making %s: %w", target, err)
		}
	}
	if _, err := os.Lstat(target); err != nil {
		return nil //nolint:nilerr // see above
	}
	from := fmt.Sprintf("/proc/self/fd/%d", source.Fd())
	if err := unix.Mount(from, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", target, err)
	}
	return nil
}

func makeTarget(source *os.File, target string) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.MkdirAll(target, 0o755)
	}
	file, err := os.OpenFile(target, os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		return err
	}
	return file.Close()
}

// resolve follows symbolic links even where the last parts do not exist, as
// with /etc/resolv.conf -> ../run/systemd/resolve/stub-resolv.conf.
func resolve(path string) string {
	for range 16 {
		parent := filepath.Dir(path)
		if real, err := filepath.EvalSymlinks(parent); err == nil {
			path = filepath.Join(real, filepath.Base(path))
		} else {
			path = filepath.Join(resolve(parent), filepath.Base(path))
		}
		to, err := os.Readlink(path)
		if err != nil {
			return path
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return path
}

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
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/localcluster/propagation"
)

// rootOrders say what the root of an image's program is. Either it is made, or
// it is that of a program that runs.
type rootOrders struct {
	// Image is the directory of the image's files, Staging an empty one on which
	// the root is put together.
	Image, Staging string
	ReadOnly       bool
	// Join is the process whose namespaces a command is to run in.
	Join       int
	Privileges privileges
}

// newNamespaces are those that a program of an image has of its own, besides the
// network's, which is its Pod's. The one of process ids is the launcher's to
// make, as it takes effect for children only.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC

// enterImage leaves this machine's files for the image's.
func enterImage(o orders) error {
	if o.Root.Join != 0 {
		return joinNamespaces(o.Root.Join)
	}
	if err := unix.Unshare(unix.CLONE_FS | newNamespaces); err != nil {
		return fmt.Errorf("making namespaces: %w", err)
	}
	if err := propagation.Set(unix.MS_PRIVATE); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Sethostname([]byte(o.Hostname)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	volumes, err := openVolumes(o.Mounts)
	if err != nil {
		return err
	}
	if err := buildRoot(*o.Root); err != nil {
		return err
	}
	if err := changeRoot(o.Root.Staging); err != nil {
		return fmt.Errorf("changing to the image's root: %w", err)
	}
	for _, v := range volumes {
		if err := v.mount(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil { // as container runtimes do
		return fmt.Errorf("working directory: %w", err)
	}
	if o.Root.ReadOnly {
		return readOnly("/", false)
	}
	return nil
}

// joinNamespaces enters those of a program of the same container, and its root.
// That of process ids was entered by the launcher.
func joinNamespaces(pid int) error {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("the container is not running: %w", err)
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	var open []int
	for _, name := range []string{"ipc", "uts", "mnt"} {
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("the container is not running: %w", err)
		}
		open = append(open, fd)
	}
	for _, fd := range open {
		if err := unix.Setns(fd, 0); err != nil {
			return fmt.Errorf("entering the container's namespaces: %w", err)
		}
	}
	if err := unix.Fchdir(root); err != nil {
		return err
	}
	return unix.Chroot(".")
}

// changeRoot makes the mount at dir the root, and lets go of the old one. In a
// chroot, which can not be exchanged so, it is moved over it.
func changeRoot(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return err
	}
	err := unix.PivotRoot(".", ".")
	if errors.Is(err, unix.EINVAL) {
		if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
			return err
		}
		if err := unix.Chroot("."); err != nil {
			return err
		}
		return os.Chdir("/")
	}
	if err != nil {
		return err
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return err
	}
	return os.Chdir("/")
}

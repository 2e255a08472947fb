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
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxCopied is up to which size a file of an image is copied into a root. Larger
// ones, programs mostly, are mounted from the image and can not be written.
const maxCopied = 1 << 20

// buildRoot puts together the root of one container on a tmpfs at o.Staging: the
// image's files, and what container runtimes add.
func buildRoot(o rootOrders) error {
	if err := unix.Mount("tmpfs", o.Staging, "tmpfs", unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mounting a tmpfs for the root: %w", err)
	}
	if err := copyImage(o.Image, o.Staging); err != nil {
		return fmt.Errorf("copying the image: %w", err)
	}
	for _, dir := range []string{"proc", "dev", "sys"} {
		if err := os.MkdirAll(filepath.Join(o.Staging, dir), 0o755); err != nil {
			return err
		}
	}
	if err := makeDevices(filepath.Join(o.Staging, "dev")); err != nil {
		return fmt.Errorf("making /dev: %w", err)
	}
	if err := showKernel(o.Staging, o.Privileges.Privileged); err != nil {
		return fmt.Errorf("making /proc and /sys: %w", err)
	}
	return nil
}

// copyImage follows no link: what it makes is where the image has it.
func copyImage(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == from {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return copyEntry(path, filepath.Join(to, path[len(from):]), info)
	})
}

func copyEntry(from, to string, info fs.FileInfo) error {
	owner := info.Sys().(*syscall.Stat_t)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		if err := os.Symlink(target, to); err != nil {
			return err
		}
		return own(to, int(owner.Uid), int(owner.Gid))
	case info.IsDir():
		if err := os.Mkdir(to, 0o700); err != nil {
			return err
		}
	case info.Size() > maxCopied:
		if err := os.WriteFile(to, nil, 0o600); err != nil {
			return err
		}
		if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", from, err)
		}
		return readOnly(to, false)
	default:
		content, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			return err
		}
	}
	if err := own(to, int(owner.Uid), int(owner.Gid)); err != nil {
		return err
	}
	return os.Chmod(to, info.Mode())
}

// own changes the owner, unless this user namespace has no such one: there, all
// is owned by the one user that there is.
func own(path string, user, group int) error {
	err := os.Lchown(path, user, group)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
		return nil
	}
	return err
}

// readOnly makes the mount at path so; and those below it if recursive.
func readOnly(path string, recursive bool) error {
	var flags uint
	if recursive {
		flags = unix.AT_RECURSIVE
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, path, flags, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fmt.Errorf("making %s read-only: %w", path, err)
	}
	return nil
}

// devices are those that every container has, with their numbers.
var devices = map[string]struct{ major, minor uint32 }{
	"null": {1, 3}, "zero": {1, 5}, "full": {1, 7}, "random": {1, 8}, "urandom": {1, 9}, "tty": {5, 0},
}

// makeDevice makes one that is the container's own, or shows this machine's in a
// user namespace, where none can be made.
func makeDevice(path, name string, number int) error {
	err := unix.Mknod(path, unix.S_IFCHR|0o666, number)
	if errors.Is(err, unix.EPERM) {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}
		return unix.Mount("/dev/"+name, path, "", unix.MS_BIND, "")
	}
	if err != nil {
		return err
	}
	return os.Chmod(path, 0o666)
}

// makeDevices makes what is in /dev of every container.
func makeDevices(dev string) error {
	if err := unix.Mount("tmpfs", dev, "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0755,size=65536k"); err != nil {
		return err
	}
	for name, d := range devices {
		if err := makeDevice(filepath.Join(dev, name), name, int(unix.Mkdev(d.major, d.minor))); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	for name, m := range map[string]struct {
		kind, options string
		flags         uintptr
	}{
		"pts": {"devpts", "newinstance,ptmxmode=0666,mode=0620", unix.MS_NOSUID | unix.MS_NOEXEC},
		"shm": {"tmpfs", "mode=1777,size=65536k", unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV},
	} {
		path := filepath.Join(dev, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, path, m.kind, m.flags, m.options); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// What containerd, CRI-O and Docker keep from a container that is not
// privileged, NET_ADMIN or not.
var (
	kernelReadOnly = []string{"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"}
	kernelHidden   = []string{
		"proc/acpi", "proc/asound", "proc/interrupts", "proc/kcore", "proc/keys", "proc/latency_stats", "proc/sched_debug",
		"proc/scsi", "proc/timer_list", "proc/timer_stats", "sys/devices/virtual/powercap", "sys/firmware",
	}
)

// showKernel mounts /proc of the own process ids and /sys of the Pod's network.
func showKernel(root string, privileged bool) error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("proc", filepath.Join(root, "proc"), "proc", flags, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	sys := filepath.Join(root, "sys")
	if err := unix.Mount("sysfs", sys, "sysfs", flags, ""); err != nil {
		return fmt.Errorf("mounting /sys: %w", err)
	}
	if privileged {
		return nil
	}
	if err := readOnly(sys, false); err != nil {
		return err
	}
	for _, name := range kernelReadOnly {
		path := filepath.Join(root, name)
		if err := unix.Mount(path, path, "", unix.MS_BIND|unix.MS_REC, ""); errors.Is(err, unix.ENOENT) {
			continue
		} else if err != nil {
			return err
		}
		if err := readOnly(path, true); err != nil {
			return err
		}
	}
	for _, name := range kernelHidden {
		if err := hide(filepath.Join(root, name), filepath.Join(root, "dev", "null")); err != nil {
			return err
		}
	}
	return nil
}

func hide(path, null string) error {
	info, err := os.Stat(path)
	if err != nil {
		return nil //nolint:nilerr // this kernel has no such thing
	}
	if info.IsDir() {
		return unix.Mount("tmpfs", path, "tmpfs", unix.MS_RDONLY, "size=0k")
	}
	return unix.Mount(null, path, "", unix.MS_BIND, "")
}

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

package propagation_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/localcluster/propagation"
	"switchyard.dev/switchyard/test/prereq"
)

func TestMountsInAChrootStayInTheirNamespace(t *testing.T) {
	prereq.Root(t)
	dir := t.TempDir()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with its namespaces
		done <- mountInChroot(t, dir)
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// mountInChroot makes a namespace with shared mounts and a copy of it, mounts
// in a chroot of the copy and looks for that in the first.
func mountInChroot(t *testing.T, dir string) error {
	root := filepath.Join(dir, "root")
	err := all(
		func() error { return unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS) },
		func() error { return propagation.Set(unix.MS_PRIVATE) }, // the machine may be a chroot itself
		func() error { return unix.Mount("tmpfs", dir, "tmpfs", 0, "") },
		func() error { return unix.Mount("", dir, "", unix.MS_SHARED, "") },
		func() error { return os.MkdirAll(filepath.Join(root, "proc"), 0o755) },
		func() error { return os.Mkdir(filepath.Join(root, "run"), 0o755) },
		func() error { return unix.Mount("proc", filepath.Join(root, "proc"), "proc", 0, "") },
	)
	if err != nil {
		return err
	}
	first, err := os.Open(root) // leads to the first namespace's mounts, wherever we are
	if err != nil {
		return err
	}
	defer func() { _ = first.Close() }()
	namespace, err := os.Open("/proc/thread-self/ns/mnt") // or it would end when we leave it
	if err != nil {
		return err
	}
	defer func() { _ = namespace.Close() }()
	err = all(
		func() error { return unix.Unshare(unix.CLONE_NEWNS) },
		func() error { return unix.Chroot(root) },
		func() error { return os.Chdir("/") },
	)
	if err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE, ""); !errors.Is(err, unix.EINVAL) {
		t.Errorf("this chroot is no test: the plain way ends in %v", err)
	}
	err = all(
		func() error { return propagation.Set(unix.MS_PRIVATE) },
		func() error { return unix.Mount("tmpfs", "/run", "tmpfs", 0, "") },
		func() error { return os.Mkdir("/run/inside", 0o755) },
	)
	if err != nil {
		return err
	}
	if err := unix.Faccessat(int(first.Fd()), "run/inside", unix.F_OK, 0); !errors.Is(err, unix.ENOENT) {
		t.Errorf("the mount is seen in the first namespace: %v", err)
	}
	return nil
}

// all stops at the first error.
func all(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

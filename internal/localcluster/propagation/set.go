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

package propagation

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Set makes all mounts of the calling thread's mount namespace
// unix.MS_PRIVATE or unix.MS_SLAVE, those outside of a chroot included: the
// mount that a chroot's files are on is one of them.
func Set(kind uintptr) error {
	err := unix.Mount("", "/", "", unix.MS_REC|kind, "")
	if errors.Is(err, unix.EINVAL) {
		// After a chroot "/" may be a mere directory of a mount, which has no
		// propagation of its own and no path in here.
		err = fromTheRoot(kind)
	}
	return err
}

// fromTheRoot does it from the root of the mount namespace. A thread that
// enters its own namespace once more stands there (setns(2)), whatever its
// chroot was. It must not share its root directory with others for that, so it
// is a thread that ends with the call.
func fromTheRoot(kind uintptr) error {
	namespace, err := unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening the mount namespace: %w", err)
	}
	defer func() { _ = unix.Close(namespace) }()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock: the runtime ends the thread
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return fmt.Errorf("leaving the chroot: %w", err)
			}
			if err := unix.Setns(namespace, unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("leaving the chroot: %w", err)
			}
			return unix.Mount("", "/", "", unix.MS_REC|kind, "")
		}()
	}()
	return <-done
}

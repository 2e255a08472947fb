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

package netns

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Namespace is an open network namespace.
type Namespace struct {
	file *os.File
	path string // of the bind mount, empty if it has no name
}

// New makes an empty network namespace, its loopback device down. It needs
// CAP_SYS_ADMIN in the calling process's user namespace.
func New() (*Namespace, error) {
	var ns *Namespace
	err := onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a network namespace: %w", err)
		}
		var err error
		ns, err = Open(threadPath())
		return err
	})
	return ns, err
}

// NewNamed is New with a name other processes can open: a bind mount at
// dir/name, which Close removes. dir is made if it is missing.
func NewNamed(dir, name string) (*Namespace, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name)
	mountPoint, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return nil, fmt.Errorf("naming a network namespace: %w", err)
	}
	_ = mountPoint.Close()
	var ns *Namespace
	err = onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making network namespace %s: %w", name, err)
		}
		if err := unix.Mount(threadPath(), path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mounting network namespace %s at %s: %w", name, path, err)
		}
		var err error
		ns, err = Open(path)
		return err
	})
	if err != nil {
		_ = unix.Unmount(path, unix.MNT_DETACH)
		_ = os.Remove(path)
		return nil, err
	}
	ns.path = path
	return ns, nil
}

// Open opens the namespace at path: a named one, or /proc/PID/ns/net. Close
// leaves its name in place.
func Open(path string) (*Namespace, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening network namespace: %w", err)
	}
	return &Namespace{file: file}, nil
}

// Current opens the namespace of the calling thread.
func Current() (*Namespace, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return Open(threadPath())
}

// Fd is the namespace's file descriptor, for netlink calls that take one. It
// is valid until Close.
func (n *Namespace) Fd() int { return int(n.file.Fd()) }

// Path is where the namespace is mounted, or empty if NewNamed did not make it.
func (n *Namespace) Path() string { return n.path }

// Close gives up the namespace: its file and, if NewNamed made it, its name.
// The kernel removes the namespace once nothing else holds it.
func (n *Namespace) Close() error {
	if n.path != "" {
		if err := unix.Unmount(n.path, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %s: %w", n.path, err)
		}
		if err := os.Remove(n.path); err != nil {
			return err
		}
		n.path = ""
	}
	return n.file.Close()
}

// Do runs fn inside the namespace and returns its error. Sockets that fn
// opens and processes that it starts stay in the namespace for their lifetime;
// goroutines that it starts do not run there. A dial to a literal address
// stays on the calling goroutine, a look-up of a name may not.
func (n *Namespace) Do(fn func() error) error {
	return onOwnThread(func() error {
		if err := unix.Setns(n.Fd(), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering a network namespace: %w", err)
		}
		return fn()
	})
}

// LoopbackUp sets the loopback device of the calling thread's namespace up.
func LoopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding the loopback device: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("setting the loopback device up: %w", err)
	}
	return nil
}

// onOwnThread runs fn on a thread that ends with it: the goroutine exits while
// locked, so the runtime throws the thread, and its namespace, away.
func onOwnThread(fn func() error) error {
	errs := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		errs <- fn()
	}()
	return <-errs
}

func threadPath() string {
	return fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
}

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

package localcluster

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/localcluster/propagation"
)

// resolvFlag names the flag of EnterCommand with the file descriptor of the
// resolv.conf to use.
const resolvFlag = "resolv-conf-fd"

// Exit codes of a shell for a program that can not be run.
const (
	exitNotFound      = 127
	exitNotExecutable = 126
)

// ResolvFlag is the flag of EnterCommand.
func ResolvFlag() string { return resolvFlag }

// Enter replaces this process, which is in the right network namespace
// already, by the command. If resolvFD is not negative, the command reads what
// is in that file as /etc/resolv.conf. It returns only if it can not, with the
// exit code to end with.
func Enter(command []string, resolvFD int) (int, error) {
	if err := os.Setenv("PATH", withAdministratorsPrograms(os.Getenv("PATH"))); err != nil {
		return 1, err
	}
	path, err := exec.LookPath(command[0])
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return exitNotFound, fmt.Errorf("no program %q on this machine", command[0])
	}
	if err != nil {
		return exitNotExecutable, err
	}
	if resolvFD >= 0 {
		if err := replaceResolvConf(resolvFD); err != nil {
			return 1, err
		}
	}
	return exitNotExecutable, fmt.Errorf("running %s: %w", path, unix.Exec(path, command, os.Environ()))
}

// withAdministratorsPrograms adds to a PATH where nft, sysctl and the like are:
// the directories that Debian leaves out for ordinary users.
func withAdministratorsPrograms(path string) string {
	directories := filepath.SplitList(path)
	for _, directory := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if !slices.Contains(directories, directory) {
			directories = append(directories, directory)
		}
	}
	return strings.Join(directories, string(filepath.ListSeparator))
}

// replaceResolvConf mounts the file over /etc/resolv.conf, for this thread and
// what it executes only.
func replaceResolvConf(fd int) error {
	source := os.NewFile(uintptr(fd), "resolv.conf")
	text, err := io.ReadAll(source)
	if err != nil {
		return fmt.Errorf("reading the pod's resolv.conf: %w", err)
	}
	_ = source.Close()
	file, err := os.CreateTemp("", "switchyard-resolv-*")
	if err != nil {
		return fmt.Errorf("writing the pod's resolv.conf: %w", err)
	}
	// The mount keeps the file; its name is not needed any more.
	defer func() { _ = os.Remove(file.Name()) }()
	if err := errors.Join(file.Chmod(0o644), writeAll(file, text)); err != nil {
		return fmt.Errorf("writing the pod's resolv.conf: %w", err)
	}
	runtime.LockOSThread() // for good: this thread is the one that executes
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := propagation.Set(unix.MS_SLAVE); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	err = unix.Mount(file.Name(), "/etc/resolv.conf", "", unix.MS_BIND, "")
	if errors.Is(err, unix.ENOENT) {
		return nil // a machine without one: names fail either way
	}
	if err != nil {
		return fmt.Errorf("mounting the pod's resolv.conf: %w", err)
	}
	return nil
}

func writeAll(file *os.File, text []byte) error {
	_, err := file.Write(text)
	return errors.Join(err, file.Close())
}

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

package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// EnvVar names the environment variable that chooses the state directory.
const EnvVar = "SWITCHYARD_STATE"

// maxSocketPath is what sockaddr_un holds, less the terminating zero.
const maxSocketPath = 107

// Dir is the path of a state directory, absolute and clean.
type Dir string

// FromEnvironment is the state directory of the calling user: what EnvVar
// says, or else /run/switchyard for root, and for others a directory in
// XDG_RUNTIME_DIR or below their home.
func FromEnvironment() (Dir, error) {
	path, err := choose(os.Getenv, os.Geteuid())
	if err != nil {
		return "", err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("finding the state directory %s: %w", path, err)
	}
	dir := Dir(absolute)
	if n := len(dir.Socket()); n > maxSocketPath {
		return "", fmt.Errorf("the state directory %s has too long a path for a socket in it (%d bytes, at most %d): set %s to a shorter one",
			dir, n, maxSocketPath, EnvVar)
	}
	return dir, nil
}

// notOurs adds the remedy to an error about a state directory that may belong
// to another user.
func notOurs(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w: set %s to a directory of your own", err, EnvVar)
	}
	return err
}

func choose(getenv func(string) string, euid int) (string, error) {
	if dir := getenv(EnvVar); dir != "" {
		return dir, nil
	}
	if euid == 0 {
		return "/run/switchyard", nil
	}
	if dir := getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "switchyard"), nil
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "switchyard"), nil
	}
	return "", fmt.Errorf("no place for the state directory, as neither XDG_RUNTIME_DIR nor HOME is set: set %s to a directory of your own", EnvVar)
}

// Kubeconfig is the administrator's kubeconfig.
func (d Dir) Kubeconfig() string { return filepath.Join(string(d), "kubeconfig") }

// Socket is where the supervisor answers.
func (d Dir) Socket() string { return filepath.Join(string(d), "control.sock") }

// Logs is the directory of the log files.
func (d Dir) Logs() string { return filepath.Join(string(d), "logs") }

// Log is the log file of the component called name.
func (d Dir) Log(name string) string { return filepath.Join(d.Logs(), name+".log") }

// Run is the mount point of the cluster's private tmpfs.
func (d Dir) Run() string { return filepath.Join(string(d), "run") }

// Images is the directory of the images that nodes have.
func (d Dir) Images() string { return filepath.Join(string(d), "images") }

// Namespaces is the directory of named network namespaces. It exists inside
// the cluster only: see NamespacePath.
func (d Dir) Namespaces() string { return filepath.Join(d.Run(), "netns") }

// Node is the directory of the node's runner: logs and files of its pods. It
// exists inside the cluster only.
func (d Dir) Node(name string) string { return filepath.Join(d.Run(), "nodes", name) }

// NamespacePath is where the machine finds the cluster's network namespace
// called name, given the process id of the cluster's init.
func (d Dir) NamespacePath(pid int, name string) string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", pid), d.Namespaces(), name)
}

func (d Dir) lock() string   { return filepath.Join(string(d), "lock") }
func (d Dir) record() string { return filepath.Join(string(d), "cluster.json") }

// Prepare makes an empty state directory, in place of what a crashed cluster
// left there. The caller holds the lock.
func (d Dir) Prepare() error {
	if err := d.clear(nil); err != nil {
		return err
	}
	for _, sub := range []string{d.Logs(), d.Run()} {
		if err := os.MkdirAll(sub, 0o700); err != nil {
			return fmt.Errorf("making the state directory: %w", err)
		}
	}
	return nil
}

// Remove removes the state directory. The caller holds the lock.
func (d Dir) Remove() error {
	if err := d.clear(nil); err != nil {
		return err
	}
	return d.removeLockAndSelf()
}

// RemoveButLogs removes all but the log files. The caller holds the lock.
func (d Dir) RemoveButLogs() error {
	return d.clear(map[string]bool{filepath.Base(d.Logs()): true})
}

// ours are the entries of a state directory; nothing else in it is ever
// removed. Whoever holds the lock knows that they are ours: see refuseForeign.
func (d Dir) ours() []string {
	return []string{d.record(), d.Kubeconfig(), d.Socket(), d.Run(), d.Logs(), d.Images()}
}

func (d Dir) clear(keep map[string]bool) error {
	var errs []error
	for _, path := range d.ours() {
		if !keep[filepath.Base(path)] {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("clearing the state directory: %w", err)
	}
	return nil
}

func (d Dir) removeLockAndSelf() error {
	if err := os.Remove(d.lock()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the state directory: %w", err)
	}
	// Not empty means that something of someone else is in it.
	_ = os.Remove(string(d))
	return nil
}

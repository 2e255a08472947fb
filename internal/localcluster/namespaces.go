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
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// inNewNamespaces starts a process in the cluster's namespaces. An ordinary
// user needs a user namespace for that, in which they are root.
func inNewNamespaces() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		// Ctrl-C is for `switchyard up`, which ends the cluster in its own way.
		Setsid:     true,
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET,
	}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// explainRefusal says why the kernel refuses namespaces, and what helps.
// setting reads a kernel setting, or returns nothing if there is no such.
func explainRefusal(err error, euid int, setting func(name string) string) error {
	allow := func(name, value string) error {
		return fmt.Errorf("this machine forbids namespaces to ordinary users: run as root, or allow them with `sudo sysctl %s=%s`", name, value)
	}
	switch {
	case euid == 0 && errors.Is(err, unix.EPERM):
		return fmt.Errorf("a local cluster needs CAP_SYS_ADMIN and CAP_NET_ADMIN, which root lacks here: in a container, start that one with --privileged (%w)", err)
	case euid == 0:
		return fmt.Errorf("making namespaces for the cluster: %w", err)
	case setting("kernel.unprivileged_userns_clone") == "0":
		return allow("kernel.unprivileged_userns_clone", "1")
	case setting("user.max_user_namespaces") == "0":
		return allow("user.max_user_namespaces", "10000")
	case setting("kernel.apparmor_restrict_unprivileged_userns") == "1":
		return allow("kernel.apparmor_restrict_unprivileged_userns", "0")
	default:
		return fmt.Errorf("this machine refuses namespaces to this user: run as root (%w)", err)
	}
}

func kernelSetting(name string) string {
	data, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

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

// Package prereq says what a test needs from the machine. Where it is missing
// a test is skipped with the remedy; with CI=true it fails instead, so that a
// machine that can not run a test never looks like one that passed it.
package prereq

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/netns"
)

// Root needs the privileges to make namespaces and change their networks.
func Root(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		missing(tb, "root", "run it with sudo, or under `unshare -rn`")
	}
	var header unix.CapUserHeader
	var data [2]unix.CapUserData
	header.Version = unix.LINUX_CAPABILITY_VERSION_3
	if err := unix.Capget(&header, &data[0]); err != nil {
		tb.Fatalf("reading capabilities: %v", err)
	}
	for name, bit := range map[string]uint{"CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN} {
		if data[0].Effective&(1<<bit) == 0 {
			missing(tb, name, "run it as root with that capability")
		}
	}
}

// Namespace needs Root and is an empty network namespace, its loopback device
// up, until the test ends.
func Namespace(tb testing.TB) *netns.Namespace {
	tb.Helper()
	Root(tb)
	ns, err := netns.New()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = ns.Close() })
	if err := ns.Do(netns.LoopbackUp); err != nil {
		tb.Fatal(err)
	}
	return ns
}

// Tool needs a program of the distribution, found on the PATH.
func Tool(tb testing.TB, program, debianPackage string) string {
	tb.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing(tb, program, "apt-get install "+debianPackage)
	}
	return path
}

// Kernel needs something that the kernel has since a release, and that the test
// found it to have or not.
func Kernel(tb testing.TB, has bool, what, since string) {
	tb.Helper()
	if !has {
		missing(tb, what, "run it on Linux "+since+" or newer")
	}
}

func missing(tb testing.TB, what, remedy string) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatalf("%s is missing (%s), and with CI=true a test that can not run is a failure", what, remedy)
	}
	tb.Skipf("%s is missing: %s", what, remedy)
}

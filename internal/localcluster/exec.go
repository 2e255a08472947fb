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
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/localcluster/state"
)

// Network is one of the cluster's network namespaces, as seen by the machine.
type Network struct {
	// Path is where the namespace can be opened.
	Path string
	// ResolvConf is what programs in it read as /etc/resolv.conf; the
	// machine's own if it is empty.
	ResolvConf string
	// UserNamespace is what has to be entered first, or empty.
	UserNamespace string
}

// EnterCommand is the hidden command that a program is run through once it is
// in the network namespace.
const EnterCommand = "enter-network"

// Outside is the network outside of the cluster's nodes, where their clients
// are.
func Outside(dir state.Dir) (Network, error) {
	record, err := Running(dir)
	if err != nil {
		return Network{}, err
	}
	return networkAt(record, fmt.Sprintf("/proc/%d/ns/net", record.PID))
}

// OfNode is the network of a node, which may be given by its number.
func OfNode(dir state.Dir, name string) (Network, error) {
	record, err := Running(dir)
	if err != nil {
		return Network{}, err
	}
	if _, err := strconv.Atoi(name); err == nil {
		name = "node-" + name
	}
	nodes := make([]string, record.Nodes)
	for i := range nodes {
		nodes[i] = fmt.Sprintf("node-%d", i+1)
	}
	if !slices.Contains(nodes, name) {
		return Network{}, fmt.Errorf("no node is called %q; there are %s", name, strings.Join(nodes, ", "))
	}
	return networkAt(record, dir.NamespacePath(record.PID, name))
}

func networkAt(record state.Record, path string) (Network, error) {
	if _, err := os.Stat(path); err != nil {
		return Network{}, fmt.Errorf("looking for the cluster's network: %w", err)
	}
	network := Network{Path: path}
	theirs := fmt.Sprintf("/proc/%d/ns/user", record.PID)
	their, err := os.Readlink(theirs)
	if err != nil {
		return Network{}, fmt.Errorf("looking at the cluster's user namespace: %w", err)
	}
	if our, err := os.Readlink("/proc/self/ns/user"); err != nil || our != their {
		network.UserNamespace = theirs
	}
	return network, nil
}

// Exec replaces this process by a program of the machine that runs in the
// network. It returns only if it can not.
//
// A Go program has threads from its start, and the kernel lets none of them
// enter another user namespace. So nsenter(1) leads in, and this program,
// started once more, does the rest.
func (n Network) Exec(command []string) error {
	nsenter, args, err := n.enter()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the switchyard program: %w", err)
	}
	args = append(args, self, EnterCommand)
	if n.ResolvConf != "" {
		fd, err := inheritedText("resolv.conf", n.ResolvConf)
		if err != nil {
			return err
		}
		args = append(args, fmt.Sprintf("--%s=%d", resolvFlag, fd))
	}
	args = append(append(args, "--"), command...)
	return fmt.Errorf("starting nsenter: %w", unix.Exec(nsenter, args, append(os.Environ(), enteredVar+"=1")))
}

// enteredVar is set for programs that Exec has led into a network.
const enteredVar = "SWITCHYARD_ENTERED"

// Entered says whether this process was started by Exec, so that it is where
// somebody wanted it to be.
func Entered() bool { return os.Getenv(enteredVar) != "" }

// Command is a program of the machine that runs in the network when it is
// started, with the machine's resolv.conf. The zero Network is the one that
// this process is in.
func (n Network) Command(ctx context.Context, argv ...string) (*exec.Cmd, error) {
	if n.Path == "" {
		return exec.CommandContext(ctx, argv[0], argv[1:]...), nil
	}
	nsenter, args, err := n.enter()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, nsenter, append(args[1:], argv...)...), nil
}

// enter is the beginning of a command line that leads into the network.
func (n Network) enter() (nsenter string, args []string, err error) {
	nsenter, err = exec.LookPath("nsenter")
	if err != nil {
		return "", nil, errors.New("no nsenter on this machine: install util-linux (apt-get install util-linux)")
	}
	args = []string{"nsenter", "--net=" + n.Path}
	if n.UserNamespace != "" {
		args = append(args, "--user="+n.UserNamespace, "--preserve-credentials")
	}
	return nsenter, append(args, "--"), nil
}

// inheritedText is a file with that text, in memory, that outlives an exec.
func inheritedText(name, text string) (int, error) {
	fd, err := unix.MemfdCreate(name, 0)
	if err != nil {
		return 0, fmt.Errorf("making a file in memory: %w", err)
	}
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		return 0, fmt.Errorf("writing a file in memory: %w", err)
	}
	_, err = unix.Seek(fd, 0, 0)
	return fd, err
}

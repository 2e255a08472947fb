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

package nft

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Owner is a netlink socket and, as far as it can be told, whose it is.
type Owner struct {
	// Port is the socket's number to the kernel.
	Port uint32
	// Process is the id of the process that holds the socket open, in our own
	// numbering; 0 if it can not be seen from here.
	Process int
	// Command is the name of that process.
	Command string
}

func (o Owner) String() string {
	if o.Process == 0 {
		return fmt.Sprintf("the owner of netlink socket %d", o.Port)
	}
	return fmt.Sprintf("process %d (%s)", o.Process, o.Command)
}

// findOwner looks for the process that holds a netfilter socket of the calling
// thread's network namespace. It reads all of /proc, so it is for errors only.
func findOwner(port uint32) Owner {
	owner := Owner{Port: port}
	sockets, err := os.Open("/proc/thread-self/net/netlink")
	if err != nil {
		return owner
	}
	defer func() { _ = sockets.Close() }()
	inode, ok := socketInode(sockets, port)
	if !ok {
		return owner
	}
	wanted := "socket:[" + inode + "]"
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && target == wanted {
			process := filepath.Dir(filepath.Dir(file))
			owner.Process, _ = strconv.Atoi(filepath.Base(process))
			command, _ := os.ReadFile(filepath.Join(process, "comm"))
			owner.Command = string(bytes.TrimSpace(command))
			return owner
		}
	}
	return owner
}

// socketInode finds a netfilter socket in a list like /proc/net/netlink:
//
//	sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
//	0000000000000000 12  3561234567 00000000 0        0        0     2        0        21044
func socketInode(list io.Reader, port uint32) (inode string, ok bool) {
	const protocol, number, last = 1, 2, 9
	for lines := bufio.NewScanner(list); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > last && fields[protocol] == strconv.Itoa(unix.NETLINK_NETFILTER) && fields[number] == strconv.FormatUint(uint64(port), 10) {
			return fields[last], true
		}
	}
	return "", false
}

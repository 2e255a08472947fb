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

package sctp

import (
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
)

// The ports of clients (RFC 6335).
const (
	firstPort = 49152
	portCount = 1<<16 - firstPort
)

// clients are the ports of clients, by inode of the network namespace. The kernel
// gives out none: to it, raw sockets have no ports. Two clients of one port would
// be one peer to a server, and what it answers the later one would end the other.
// stacksMu guards it, as clients and listeners share the ports.
var clients = map[uint64]map[uint16]struct{}{}

// anyPort is replaced in tests.
var anyPort = func() uint16 { return uint16(firstPort + rand.IntN(portCount)) }

// takePort is a port of the calling thread's network namespace that nobody in
// this process has there, until release is called.
func takePort() (port uint16, release func(), err error) {
	inode, err := namespaceInode()
	if err != nil {
		return 0, nil, err
	}
	stacksMu.Lock()
	defer stacksMu.Unlock()
	port = anyPort()
	for range portCount {
		if !portTaken(inode, port) {
			if clients[inode] == nil {
				clients[inode] = map[uint16]struct{}{}
			}
			clients[inode][port] = struct{}{}
			return port, sync.OnceFunc(func() { givePort(inode, port) }), nil
		}
		if port++; port < firstPort {
			port = firstPort
		}
	}
	return 0, nil, os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)
}

// portTaken is called with stacksMu held.
func portTaken(inode uint64, port uint16) bool {
	if _, taken := clients[inode][port]; taken {
		return true
	}
	s := stacks[inode]
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ports[port] != nil
}

func givePort(inode uint64, port uint16) {
	stacksMu.Lock()
	defer stacksMu.Unlock()
	delete(clients[inode], port)
	if len(clients[inode]) == 0 {
		delete(clients, inode) // the kernel gives inodes to others later
	}
}

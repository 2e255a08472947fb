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

// Package ports hands out ports of the loopback address to servers that are told
// where to listen.
//
// Whoever lets the kernel choose a port, closes it and gives its number to a server
// loses it now and then: the kernel may choose it again in between, for another
// test or for a connection. What this package gives is below the ports that the
// kernel chooses from (net.ipv4.ip_local_port_range, 32768-60999 by default) and
// below the NodePorts, and belongs to one process of the network namespace.
package ports

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
)

const first, count = 20000, 10000

// held are the sockets that say whose the ports are. They end with the process,
// as a server that was given one may live for as long.
var held struct {
	sync.Mutex
	sockets []net.Listener
}

// Free is a port that nobody listens at, neither TCP nor UDP, and that is given to
// nobody else until this process ends.
func Free() (int, error) {
	for i, start := 0, rand.IntN(count); i < count; i++ {
		port := first + (start+i)%count
		free, err := take(port)
		if err != nil {
			return 0, fmt.Errorf("taking port %d: %w", port, err)
		}
		if free {
			return port, nil
		}
	}
	return 0, fmt.Errorf("each of the ports %d-%d is taken", first, first+count-1)
}

// Address is 127.0.0.1 and a port that is Free.
func Address() (string, error) {
	port, err := Free()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}

// take makes a port this process's. An abstract Unix socket of its name tells other
// processes: it belongs to the network namespace, as the port does, and the kernel
// closes it with the process (unix(7)).
func take(port int) (bool, error) {
	socket, err := net.Listen("unix", fmt.Sprintf("@switchyard-test-port-%d", port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := listens(port); err != nil {
		return false, errors.Join(socket.Close(), unlessTaken(err))
	}
	held.Lock()
	defer held.Unlock()
	held.sockets = append(held.sockets, socket)
	return true, nil
}

func unlessTaken(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil
	}
	return err
}

// listens says whether a server could listen, on all addresses as on one.
func listens(port int) error {
	address := fmt.Sprintf(":%d", port)
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		return errors.Join(err, tcp.Close())
	}
	return errors.Join(tcp.Close(), udp.Close())
}

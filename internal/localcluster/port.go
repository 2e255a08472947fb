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
	"net"
	"os"
	"syscall"
)

// defaultPort is the API server's usual port, and portsTried how many are
// looked at, from there on, when none is asked for.
const (
	defaultPort = 6443
	portsTried  = 100
)

// listenAPI opens the port on the machine's 127.0.0.1 that leads to the API
// server: the one asked for, or else the first that is free.
func listenAPI(port int) (*net.TCPListener, error) {
	if port != 0 {
		l, err := listenTCP(port)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("port %d of 127.0.0.1 is in use: choose another with --port, or leave it out to get the next free one", port)
		}
		return l, err
	}
	for port = defaultPort; port < defaultPort+portsTried; port++ {
		l, err := listenTCP(port)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
	}
	return nil, fmt.Errorf("ports %d to %d of 127.0.0.1 are in use: choose another with --port", defaultPort, defaultPort+portsTried-1)
}

func listenTCP(port int) (*net.TCPListener, error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return nil, fmt.Errorf("listening for kubectl: %w", err)
	}
	return l, nil
}

// listenControl opens the socket that the supervisor answers on.
func listenControl(path string) (*net.UnixListener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening for commands: %w", err)
	}
	l.SetUnlinkOnClose(false) // the child goes on with it
	return l, os.Chmod(path, 0o600)
}

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

package supervisor

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/localcluster/runner/image"
	"switchyard.dev/switchyard/internal/localcluster/software"
	"switchyard.dev/switchyard/internal/localcluster/state"
)

// Config is what the machine's side tells Init and Run, as JSON.
type Config struct {
	State state.Dir
	Nodes int
	Zones []string
	// Port is where the machine reaches the API server, on 127.0.0.1.
	Port int
	// Wait is how long the cluster may take to become ready.
	Wait     time.Duration
	Binaries Binaries
	Software software.Choice
	// Images are what containers can be run from.
	Images image.Set
}

// Binaries are the paths of the programs that make up a cluster.
type Binaries struct {
	Etcd, APIServer, ControllerManager, Scheduler string
	Manager, NodeAgent, DNS                       string
	KubeProxy                                     string
}

// Encode is the form that Decode reads.
func (c Config) Encode() (string, error) {
	data, err := json.Marshal(c)
	return string(data), err
}

// Decode reads what Encode wrote.
func Decode(encoded string) (Config, error) {
	var c Config
	if err := json.Unmarshal([]byte(encoded), &c); err != nil {
		return Config{}, fmt.Errorf("reading the cluster's configuration: %w", err)
	}
	return c, nil
}

// Inherited are the open files that the machine's side hands down.
type Inherited struct {
	// API listens on the machine's 127.0.0.1.
	API *os.File
	// Control listens on the unix socket in the state directory.
	Control *os.File
	// Events is the pipe for control.Events.
	Events *os.File
	// Lifeline is a pipe that ends when `switchyard up` does. If it ends
	// without a byte in it, the cluster is to end too.
	Lifeline *os.File
	// Lock is the lock of the state directory. Nothing in the child uses it, but
	// the garbage collector closes a file that nobody can reach: the child has
	// to close it by itself, in the end.
	Lock *os.File
}

// Files are the inherited files in the order in which a child gets them.
func (i Inherited) Files() []*os.File {
	return []*os.File{i.API, i.Control, i.Events, i.Lifeline, i.Lock}
}

// inherit finds the files in the child, and keeps them from its own children:
// a lock that the API server held on to would outlive the supervisor.
func inherit() Inherited {
	next := uintptr(3)
	open := func(name string) *os.File {
		unix.CloseOnExec(int(next))
		next++
		return os.NewFile(next-1, name)
	}
	return Inherited{
		API:      open("API listener"),
		Control:  open("control socket"),
		Events:   open("events"),
		Lifeline: open("lifeline"),
		Lock:     open("lock"),
	}
}

func listener(file *os.File) (net.Listener, error) {
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("taking over the %s: %w", file.Name(), err)
	}
	return l, file.Close()
}

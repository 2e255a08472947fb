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

package ports

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// asked has this test binary take ports and print them, in another process.
const asked = "SWITCHYARD_TEST_PORTS"

func TestMain(m *testing.M) {
	if n, err := strconv.Atoi(os.Getenv(asked)); err == nil {
		for range n {
			port, err := Free()
			if err != nil {
				panic(err)
			}
			_, _ = os.Stdout.WriteString(strconv.Itoa(port) + "\n")
		}
		_, _ = os.Stdin.Read(make([]byte, 1)) // until it is closed
		return
	}
	os.Exit(m.Run())
}

func TestProcessesAreGivenDifferentPorts(t *testing.T) {
	const processes, each = 4, 200 // by chance alone some thirty would be the same
	owner := map[string]int{}
	for process := range processes {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asked+"="+strconv.Itoa(each))
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = stdin.Close()
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		}()
		var text strings.Builder
		for buffer := make([]byte, 4096); strings.Count(text.String(), "\n") < each; {
			n, err := stdout.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			text.Write(buffer[:n])
		}
		for port := range strings.FieldsSeq(text.String()) {
			if other, given := owner[port]; given {
				t.Fatalf("port %s was given to the processes %d and %d", port, other, process)
			}
			owner[port] = process
		}
	}
}

func TestATakenPortIsNotGiven(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			address, err := Address()
			if err != nil {
				t.Fatal(err)
			}
			if network == "tcp" {
				listener, err := net.Listen(network, address)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = listener.Close() }()
			} else {
				conn, err := net.ListenPacket(network, address)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
			}
			_, text, _ := net.SplitHostPort(address)
			port, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			if listens(port) == nil {
				t.Errorf("a server on %s was not seen", address)
			}
			if free, err := take(port); free || err != nil {
				t.Errorf("port %d was given twice, or %v", port, err)
			}
		})
	}
}

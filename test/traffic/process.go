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

package traffic

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Main is for TestMain: where the process is a client, it is one and ends.
func Main() {
	encoded := os.Getenv(clientEnv)
	if encoded == "" {
		return
	}
	if err := runClient(encoded); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Client is a process of the test itself in one of the cluster's networks.
type Client struct {
	Name   string
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader
	stderr bytes.Buffer
}

// Start runs a client by a command that runs the program of this test where the
// client is to be, and returns when it has attempted each target. The environment is
// the command's.
func Start(t *testing.T, name string, cmd *exec.Cmd, targets []Target) *Client {
	t.Helper()
	encoded, err := json.Marshal(targets)
	if err != nil {
		t.Fatal(err)
	}
	l := &Client{Name: name, cmd: cmd}
	l.cmd.Env = append(l.cmd.Environ(), clientEnv+"="+string(encoded))
	l.cmd.Stderr = &l.stderr
	stdin, err := l.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := l.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	l.stdin, l.stdout = stdin, bufio.NewReader(stdout)
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close() })
	if line, err := l.stdout.ReadString('\n'); err != nil || line != "begun\n" {
		t.Fatalf("client %s says %q: %v\n%s", name, line, err, &l.stderr)
	}
	return l
}

// End ends the client. Everything that failed is an error of the test, and so is a
// target that was attempted less than ten times.
func (l *Client) End(t *testing.T) (done, slow int) {
	t.Helper()
	_ = l.stdin.Close()
	var outcomes []outcome
	decodeErr := json.NewDecoder(l.stdout).Decode(&outcomes)
	if err := l.cmd.Wait(); err != nil || decodeErr != nil {
		t.Errorf("client %s: %v, %v\n%s", l.Name, err, decodeErr, &l.stderr)
	}
	for _, o := range outcomes {
		done += o.Done
		slow += o.Slow
		if o.Slow > 0 {
			t.Logf("%s: %s to %s (%s): %d slow: %v", l.Name, o.Kind, o.Name, o.Address, o.Slow, o.Late)
		}
		if o.Failed > 0 || o.Done < 10 {
			t.Errorf("%s: %s to %s (%s): %d of %d failed\n  %s", l.Name, o.Kind, o.Name, o.Address, o.Failed, o.Done, strings.Join(o.Errors, "\n  "))
		}
	}
	return done, slow
}

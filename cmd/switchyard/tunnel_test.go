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

package main

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

func pipedTo(t *testing.T, script string) *piped {
	t.Helper()
	p := &piped{command: exec.CommandContext(context.Background(), "sh", "-c", script)}
	p.command.Stderr = &p.stderr
	in, err := p.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.WriteCloser, p.Reader = in, out
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// Who closes a connection leaves no process behind, be it that somebody reads.
func TestAConnectionThatIsClosedLeavesNoProcess(t *testing.T) {
	p := pipedTo(t, "exec sleep 1000")
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.ReadAll(p) // how it ends is not what this is about
	}()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := unix.Kill(p.command.Process.Pid, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("the process is still there: %v", err)
	}
	<-read
}

func TestAConnectionEndsWithWhatItsProcessSays(t *testing.T) {
	p := pipedTo(t, "echo here; echo 'switchyard: connection refused' >&2; exit 1")
	text, err := io.ReadAll(p)
	if string(text) != "here\n" || err == nil || err.Error() != "connection refused" {
		t.Errorf("%q, %v", text, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

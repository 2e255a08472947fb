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

package routes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// patience bounds one command: a daemon with a full table of the Internet
	// answers within seconds.
	patience = 10 * time.Second
	// mostOutput bounds what is kept of a command's output.
	mostOutput = 8 << 20
	// mostQuoted bounds what an error quotes of it.
	mostQuoted = 300
)

// command is the program that talks to the daemon, with its first arguments.
type command []string

// run is what the command prints on its standard output. It is ended, with all
// processes that it started, when it takes longer than patience. The error
// quotes what it printed.
func (c command) run(ctx context.Context, limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c[0], append(slices.Clip(c[1:]), args...)...)
	var stdout, stderr bounded
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// A wrapper may have children that would keep the output open.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	said := strings.Join(append(slices.Clip(c), args...), " ")
	switch {
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return "", fmt.Errorf("running %q: no end after %v: %w", said, limit, context.DeadlineExceeded)
	case err != nil:
		return stdout.String(), fmt.Errorf("running %q: %w%s", said, err, quoted(stdout.String()+"\n"+stderr.String()))
	case stdout.over:
		return "", fmt.Errorf("running %q: it prints more than %d bytes", said, mostOutput)
	}
	return stdout.String(), nil
}

// quoted is output on one line for an error.
func quoted(output string) string {
	text := strings.Join(strings.Fields(output), " ")
	if text == "" {
		return ""
	}
	if len(text) > mostQuoted {
		text = strings.ToValidUTF8(text[:mostQuoted], "") + "..."
	}
	return fmt.Sprintf(": it said %q", text)
}

// bounded keeps the first bytes of what is written to it, and takes the rest
// without an error, which would end the program that writes.
type bounded struct {
	kept bytes.Buffer
	over bool
}

// Write is part of io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	room := min(len(p), mostOutput-b.kept.Len())
	b.over = b.over || room < len(p)
	_, _ = b.kept.Write(p[:room]) // never fails
	return len(p), nil
}

func (b *bounded) String() string { return b.kept.String() }

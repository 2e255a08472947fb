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

package trace

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"switchyard.dev/switchyard/internal/dataplane/flowtrace"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/probe"
)

// Place is a network that programs can be started in.
type Place interface {
	Command(ctx context.Context, argv ...string) (*exec.Cmd, error)
}

// Live makes real connections.
type Live struct {
	// Self is the path of this program.
	Self string
	// Node is the network of the node, Source that of the client.
	Node, Source Place
	// Timeout is how long the client waits.
	Timeout time.Duration
}

// Try makes the connection that a is about, and reports what was seen.
func (l Live) Try(ctx context.Context, a Answer) (*Report, error) {
	flow := flowtrace.Flow{Protocol: a.question.Protocol, Destination: a.question.Destination}
	if !a.question.FromNode {
		flow.Source = a.question.Source
	}
	follower, err := l.follow(ctx, flow)
	if err != nil {
		return nil, err
	}
	defer follower.stop()
	answer, err := l.connect(ctx, flow)
	if err != nil {
		return nil, err
	}
	seen, err := follower.finish(answer.Port)
	if err != nil {
		return nil, err
	}
	return newReport(a, answer, seen), nil
}

// connect is what a client does.
func (l Live) connect(ctx context.Context, flow flowtrace.Flow) (probe.Answer, error) {
	command, err := l.Source.Command(ctx, l.Self, "probe", "--connect", "--protocol", strings.ToLower(flow.Protocol.String()),
		"--timeout", l.Timeout.String(), "-o", "json", flow.Destination.String())
	if err != nil {
		return probe.Answer{}, err
	}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return probe.Answer{}, fmt.Errorf("connecting: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	var answers []probe.Answer
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != 1 {
		return probe.Answer{}, fmt.Errorf("connecting: reading %q: %w", out, err)
	}
	return answers[0], nil
}

// follower is the child in the node's network.
type follower struct {
	command *exec.Cmd
	in      io.Writer
	lines   *bufio.Reader
}

func (l Live) follow(ctx context.Context, flow flowtrace.Flow) (*follower, error) {
	argv := []string{l.Self, FollowCommand, flow.Protocol.String(), flow.Destination.String()}
	if flow.Source.IsValid() {
		argv = append(argv, flow.Source.String())
	}
	command, err := l.Node.Command(ctx, argv...)
	if err != nil {
		return nil, err
	}
	in, inErr := command.StdinPipe()
	out, outErr := command.StdoutPipe()
	var stderr bytes.Buffer
	command.Stderr = &stderr
	if err := errors.Join(inErr, outErr, command.Start()); err != nil {
		return nil, fmt.Errorf("following the connection: %w", err)
	}
	f := &follower{command, in, bufio.NewReader(out)}
	if line, err := f.lines.ReadString('\n'); err != nil || strings.TrimSpace(line) != following {
		f.stop()
		return nil, fmt.Errorf("following the connection: %s", strings.TrimPrefix(strings.TrimSpace(stderr.String()), "switchyard: "))
	}
	return f, nil
}

func (f *follower) finish(port uint16) (Seen, error) {
	var seen Seen
	if _, err := fmt.Fprintln(f.in, port); err != nil {
		return seen, fmt.Errorf("following the connection: %w", err)
	}
	if err := json.NewDecoder(f.lines).Decode(&seen); err != nil {
		return seen, fmt.Errorf("following the connection: %w", err)
	}
	return seen, nil
}

func (f *follower) stop() {
	_ = f.command.Process.Kill()
	_ = f.command.Wait()
}

// ParseFlow reads the arguments of FollowCommand.
func ParseFlow(args []string) (flow flowtrace.Flow, err error) {
	protocol, known := model.ParseProtocol(args[0])
	if !known {
		return flow, fmt.Errorf("%q is not TCP, UDP or SCTP", args[0])
	}
	flow.Protocol = protocol
	if flow.Destination, err = netip.ParseAddrPort(args[1]); err != nil {
		return flow, err
	}
	if len(args) > 2 {
		flow.Source, err = netip.ParseAddr(args[2])
	}
	return flow, err
}

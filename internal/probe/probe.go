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

package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// Request says what to ask whom.
type Request struct {
	// Protocol is http, tcp, udp or sctp.
	Protocol string
	// Address is an IP address or a name, and a port. A name is looked up anew
	// for each connection, as /etc/resolv.conf says.
	Address string
	// Path is what to GET with Protocol http; empty is "/hostname".
	Path string
	// Text is what to send with the other protocols; empty is "hostname".
	Text string
	// Count is how many connections to make, one after the other; at least 1,
	// at most 10,000.
	Count int
	// ConnectOnly is content with an open connection (tcp and sctp): what the
	// server would say to a text is not asked.
	ConnectOnly bool
	// Timeout bounds each attempt; 0 is 2 s.
	Timeout time.Duration
}

// Outcome tells answers from the ways in which there was none.
type Outcome string

// The outcomes of an attempt.
const (
	Answered Outcome = "answered"
	// Refused is a TCP reset or an ICMP port unreachable.
	Refused  Outcome = "refused"
	TimedOut Outcome = "timeout"
	Failed   Outcome = "failed"
)

// Answer is the result of one attempt.
type Answer struct {
	Outcome Outcome `json:"outcome"`
	Text    string  `json:"text,omitempty"`
	Error   string  `json:"error,omitempty"`
	// Address is where the connection went; empty if a name has no address.
	Address string `json:"address,omitempty"`
	// Port is the port that the client sent from, 0 if that is not known.
	Port    uint16        `json:"port,omitempty"`
	Elapsed time.Duration `json:"elapsed"`
}

// maxAnswer bounds what is read of one answer, in bytes.
const maxAnswer = 64 << 10

// reply is what came of one attempt.
type reply struct {
	text string
	port uint16
}

var askers = map[string]func(context.Context, Request) (reply, error){
	"http": askHTTP,
	"tcp":  askTCP,
	"udp":  askUDP,
	"sctp": askSCTP,
}

// Run makes the connections one after the other. Its error is about the
// request; what happens to a connection is in its Answer.
func Run(ctx context.Context, r Request) ([]Answer, error) {
	ask, ok := askers[r.Protocol]
	if !ok {
		return nil, fmt.Errorf("protocol %q: want http, tcp, udp or sctp", r.Protocol)
	}
	if r.Count < 1 || r.Count > 10_000 {
		return nil, fmt.Errorf("count %d: want 1 to 10000", r.Count)
	}
	if err := checkAddress(r.Address); err != nil {
		return nil, err
	}
	if r.Timeout < 0 {
		return nil, fmt.Errorf("timeout %v: the time must be positive", r.Timeout)
	}
	if r.Timeout == 0 {
		r.Timeout = 2 * time.Second
	}
	if r.Text == "" {
		r.Text = "hostname"
	}
	answers := make([]Answer, 0, r.Count)
	for len(answers) < r.Count && ctx.Err() == nil {
		answers = append(answers, once(ctx, ask, r))
	}
	return answers, nil
}

func once(ctx context.Context, ask func(context.Context, Request) (reply, error), r Request) Answer {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	start := time.Now()
	var got reply
	address, err := lookUp(ctx, r.Address)
	if err == nil {
		r.Address = address
		got, err = ask(ctx, r)
	}
	a := Answer{Outcome: outcome(err), Text: strings.TrimSpace(got.text), Address: address, Port: got.port, Elapsed: time.Since(start)}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

func outcome(err error) Outcome {
	var timeout net.Error
	switch {
	case err == nil:
		return Answered
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return TimedOut
	}
	return Failed
}

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
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a client waits for a connection or an answer before it
// counts as failed: longer than a busy machine takes. A lost SYN is sent again after
// a second.
const patience = 10 * time.Second

// Kind is what a client does with an address, again and again.
type Kind string

const (
	// NewConnections makes one, asks once and ends it.
	NewConnections Kind = "new connections"
	// LongConnection asks on one for as long as it is there.
	LongConnection Kind = "a long connection"
	// NewFlows sends one datagram from a new port, and waits for the answer.
	NewFlows Kind = "new UDP flows"
	// LongFlow sends from one port, and wants to be answered by the same pod.
	LongFlow Kind = "a long UDP flow"
	// Refusals wants to be refused.
	Refusals Kind = "Refusals"
)

// Target is an address and what is done with it.
type Target struct {
	Kind    Kind
	Name    string
	Address string
}

// outcome is what became of a target.
type outcome struct {
	Target
	Done, Failed int
	// Slow is how many were answered, but took longer than a second.
	Slow int
	Late []string
	// Errors are the first ones, with the time.
	Errors []string
}

// pause is between two attempts at one target. A kernel that refuses by ICMP, as
// kube-proxy has it do, sends one in a second.
func (k Kind) pause() time.Duration {
	if k == Refusals {
		return 1100 * time.Millisecond
	}
	return 80 * time.Millisecond
}

// clientEnv holds the targets of a process that is a client.
const clientEnv = "SWITCHYARD_TEST_TRAFFIC"

// runClient works on all targets until its standard input ends, and prints what
// became of them. It says first that it has begun.
func runClient(encoded string) error {
	var targets []Target
	if err := json.Unmarshal([]byte(encoded), &targets); err != nil {
		return err
	}
	done := make(chan struct{})
	outcomes := make([]outcome, len(targets))
	var working, once sync.WaitGroup
	for i, t := range targets {
		once.Add(1)
		working.Go(func() { outcomes[i] = work(t, done, sync.OnceFunc(once.Done)) })
	}
	once.Wait()
	fmt.Println("begun")
	_, _ = io.Copy(io.Discard, os.Stdin)
	close(done)
	working.Wait()
	return json.NewEncoder(os.Stdout).Encode(outcomes)
}

// work attempts until done is closed. The first attempt calls begun.
func work(t Target, done <-chan struct{}, begun func()) outcome {
	o := outcome{Target: t}
	attempt, end := t.attempt()
	defer end()
	for {
		started := time.Now()
		err := attempt()
		took := time.Since(started)
		o.Done++
		if err != nil {
			o.Failed++
			if len(o.Errors) < 3 {
				o.Errors = append(o.Errors, fmt.Sprintf("%s, after %v: %v", started.Format("15:04:05.000"), took.Round(time.Millisecond), err))
			}
		} else if took > time.Second {
			o.Slow++
			if len(o.Late) < 5 {
				o.Late = append(o.Late, fmt.Sprintf("%s: %v", started.Format("15:04:05.000"), took.Round(time.Millisecond)))
			}
		}
		begun()
		select {
		case <-done:
			return o
		case <-time.After(t.Kind.pause()):
		}
	}
}

// attempt is what is done again and again, and how it ends.
func (t Target) attempt() (attempt func() error, end func()) {
	switch t.Kind {
	case NewConnections:
		return func() error { return once("tcp", t.Address) }, func() {}
	case NewFlows:
		return func() error { return once("udp", t.Address) }, func() {}
	case LongConnection:
		return keep("tcp", t.Address)
	case LongFlow:
		return keep("udp", t.Address)
	default:
		return func() error { return refused(t.Address) }, func() {}
	}
}

func once(network, address string) error {
	conn, err := net.DialTimeout(network, address, patience)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_, err = ask(conn)
	return err
}

// keep asks on one connection or flow, makes another when that fails, and wants
// the same pod to answer.
func keep(network, address string) (attempt func() error, end func()) {
	var conn net.Conn
	var pod string
	end = func() {
		if conn != nil {
			_ = conn.Close()
			conn = nil
		}
	}
	return func() (err error) {
		if conn == nil {
			if conn, err = net.DialTimeout(network, address, patience); err != nil {
				conn = nil
				return err
			}
			pod = ""
		}
		answered, err := ask(conn)
		if err == nil && pod != "" && answered != pod {
			err = fmt.Errorf("%s answers in place of %s", answered, pod)
		}
		if err != nil {
			end()
			return err
		}
		pod = answered
		return nil
	}, end
}

// ask sends a line, and returns who answers it.
func ask(conn net.Conn) (pod string, err error) {
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte("who\n")); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if err != nil && !(errors.Is(err, io.EOF) && len(line) > 0) {
		return "", err
	}
	var answer struct{ Pod string }
	if err := json.Unmarshal(line, &answer); err != nil {
		return "", fmt.Errorf("the answer %q: %w", line, err)
	}
	return answer.Pod, nil
}

func refused(address string) error {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err == nil {
		_ = conn.Close()
		return errors.New("it was accepted")
	}
	if errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	return err
}

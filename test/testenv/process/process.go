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

package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"switchyard.dev/switchyard/test/testenv"
)

// Built is the path of a program that `make build` or `make controlplane` has
// built, such as switchyard-node or k8s/kube-proxy.
func Built(name string) string { return filepath.Join(testenv.Root(), "bin", name) }

// Process is a program that runs or has run.
type Process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// Network is where a program runs: a namespace of package netns.
type Network interface {
	// Do runs fn on a thread in it.
	Do(fn func() error) error
}

// Start runs cmd in ns, or in the network of the caller if that is nil, and
// appends what it says to the file log. It is killed when this process ends.
func Start(cmd *exec.Cmd, ns Network, log string) (*Process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	cmd.Stdout, cmd.Stderr = file, file
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	p := &Process{cmd: cmd, log: log, ended: make(chan struct{})}
	started := make(chan error, 1)
	run := func() error {
		err := cmd.Start()
		if err == nil {
			started <- nil
			_ = cmd.Wait() // ExitCode tells
		}
		return err
	}
	// The signal comes when the thread ends that has started the program, so that
	// thread waits for it.
	go func() {
		defer close(p.ended)
		runtime.LockOSThread() // and never unlocked: the thread ends with this
		do := run
		if ns != nil {
			do = func() error { return ns.Do(run) }
		}
		if err := do(); err != nil {
			started <- err
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	return p, nil
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is what the program has said up to now, on both outputs.
func (p *Process) Log() string {
	text, _ := os.ReadFile(p.log) // Start has made it
	return string(text)
}

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Alive is an error with the end of the log if the program has ended.
func (p *Process) Alive() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s has ended (%s); the end of its log:\n%s", p.cmd.Path, p.cmd.ProcessState, p.logEnd(2000))
	default:
		return nil
	}
}

func (p *Process) logEnd(length int) string {
	text := p.Log()
	return text[max(0, len(text)-length):]
}

// ExitCode waits for the end of the program; -1 is for one that a signal ended.
func (p *Process) ExitCode() int {
	<-p.ended
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends the signal to the program if it has not ended.
func (p *Process) Signal(s os.Signal) {
	if p.Alive() == nil { // else its number may be another's by now
		_ = p.cmd.Process.Signal(s)
	}
}

// Kill ends the program at once, as a crash does.
func (p *Process) Kill() { p.End(os.Kill) }

// End sends the signal and waits until the program has ended. It tells whether it
// was still there.
func (p *Process) End(s os.Signal) (alive bool) {
	alive = p.Alive() == nil
	p.Signal(s)
	<-p.ended
	return alive
}

// Stop asks the program to end, and kills it if it has not after a time.
func (p *Process) Stop(patience time.Duration) {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.Kill()
	}
}

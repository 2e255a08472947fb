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

package runner

import (
	"context"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/localcluster/echo"
	"switchyard.dev/switchyard/internal/netns"
)

// run is one run of a container, from its start to its end.
type run interface {
	// done is closed when it has ended.
	done() <-chan struct{}
	// end tells how, after done.
	end() ending
	// kill ends it now.
	kill()
	// terminate asks it to end by itself.
	terminate()
}

// ending is how a run ended.
type ending struct {
	code, signal int32
	reason       string
	at           time.Time
}

// echoRun is a container served by the echo server.
type echoRun struct {
	server *echo.Server
	log    *logFile
	once   sync.Once
	ended  chan struct{}
	at     time.Time
}

func startEcho(pod *corev1.Pod, container *corev1.Container, ips []netip.Addr, ns *netns.Namespace, log *logFile, poke func()) (*echoRun, error) {
	config := echo.Config{
		Identity:     echo.Identity{Pod: pod.Name, Namespace: pod.Namespace, Node: pod.Spec.NodeName, Container: container.Name, IPs: ips},
		Namespace:    ns,
		Log:          log.stream("stdout"),
		ReadyChanged: poke,
	}
	if probe := container.ReadinessProbe; probe != nil && probe.HTTPGet != nil {
		config.ReadinessPath = probe.HTTPGet.Path
	}
	config.Ports = echoPorts(container)
	server, err := echo.Start(config)
	if err != nil {
		return nil, err
	}
	return &echoRun{server: server, log: log, ended: make(chan struct{})}, nil
}

// echoPorts are a container's ports, each once: one number may be declared
// under two names.
func echoPorts(container *corev1.Container) []echo.Port {
	var ports []echo.Port
	for _, declared := range container.Ports {
		port := echo.Port{Number: uint16(declared.ContainerPort), Protocol: string(declared.Protocol)}
		if port.Protocol == "" {
			port.Protocol = "TCP"
		}
		if !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports
}

func (r *echoRun) done() <-chan struct{} { return r.ended }
func (r *echoRun) end() ending           { return ending{reason: "Completed", at: r.at} }

// terminate does nothing: an echo server goes on answering until its grace
// period is over, so that traffic to terminating Pods can be seen.
func (r *echoRun) terminate() {}

func (r *echoRun) kill() {
	r.once.Do(func() {
		r.server.Close()
		_ = r.log.Close()
		r.at = time.Now()
		close(r.ended)
	})
}

// programRun is a container that is a program, of its image or of this machine.
type programRun struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser // nil unless the container has stdin
	output *fanOut
	master *os.File // its terminal, if it has one
	ended  chan struct{}
	how    ending
}

func startProgram(ns *netns.Namespace, o orders, container *corev1.Container, log *logFile) (*programRun, error) {
	r := &programRun{output: newFanOut(), ended: make(chan struct{})}
	stdout, stderr := log.stream("stdout"), log.stream("stderr")
	r.output.add(stdout, stderr)
	var slave *os.File
	var err error
	if container.TTY {
		if r.master, slave, err = openPTY(); err != nil {
			return nil, err
		}
	}
	r.cmd, err = launch(ns, o, func(cmd *exec.Cmd) {
		if slave != nil {
			onTerminal(cmd, slave)
			return
		}
		cmd.Stdout, cmd.Stderr = r.output.stdout(), r.output.stderr()
		if container.Stdin {
			r.stdin, err = cmd.StdinPipe()
		}
	})
	if slave != nil {
		_ = slave.Close()
	}
	if err != nil {
		if r.master != nil {
			_ = r.master.Close()
		}
		return nil, err
	}
	terminal := make(chan struct{})
	go func() {
		defer close(terminal)
		if r.master != nil {
			r.stdin = r.master
			_, _ = io.Copy(r.output.stdout(), r.master) // ends with EIO
		}
	}()
	go r.wait(terminal, stdout, stderr, log)
	return r, nil
}

func (r *programRun) wait(terminal <-chan struct{}, logs ...io.Closer) {
	_ = r.cmd.Wait()
	signalAll(r.cmd, syscall.SIGKILL) // what it left behind
	if r.master != nil {
		select {
		case <-terminal:
		case <-time.After(2 * time.Second): // held open by something detached
		}
		_ = r.master.Close()
	}
	for _, log := range logs {
		_ = log.Close()
	}
	r.how.at = time.Now()
	r.how.code, r.how.signal = exitCode(r.cmd.ProcessState)
	r.how.reason = "Completed"
	if r.how.code != 0 {
		r.how.reason = "Error"
	}
	close(r.ended)
}

func (r *programRun) done() <-chan struct{} { return r.ended }
func (r *programRun) end() ending           { return r.how }
func (r *programRun) kill()                 { signalAll(r.cmd, syscall.SIGKILL) }

// terminate signals the program alone, as a container runtime does.
func (r *programRun) terminate() { _ = r.cmd.Process.Signal(syscall.SIGTERM) }

// attach connects a client to the program until it, or the client, ends.
func (r *programRun) attach(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, once bool) {
	remove := r.output.add(stdout, stderr)
	defer remove()
	if stdin != nil && r.stdin != nil {
		go func() {
			_, _ = io.Copy(r.stdin, stdin)
			if once && r.master == nil {
				_ = r.stdin.Close()
			}
		}()
	}
	select {
	case <-ctx.Done():
	case <-r.ended:
	}
}

// fanOut copies a program's output to its log and to whoever is attached.
type fanOut struct {
	mu    sync.Mutex
	sinks map[*sink]struct{}
}

type sink struct{ stdout, stderr io.Writer }

func newFanOut() *fanOut { return &fanOut{sinks: map[*sink]struct{}{}} }

func (f *fanOut) add(stdout, stderr io.Writer) (remove func()) {
	s := &sink{stdout, stderr}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sinks[s] = struct{}{}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.sinks, s)
	}
}

func (f *fanOut) stdout() io.Writer {
	return fanWriter{f, func(s *sink) io.Writer { return s.stdout }}
}

func (f *fanOut) stderr() io.Writer {
	return fanWriter{f, func(s *sink) io.Writer { return s.stderr }}
}

type fanWriter struct {
	fan  *fanOut
	side func(*sink) io.Writer
}

// Write drops a sink that fails: a client that went away.
func (w fanWriter) Write(p []byte) (int, error) {
	w.fan.mu.Lock()
	defer w.fan.mu.Unlock()
	for s := range w.fan.sinks {
		writer := w.side(s)
		if writer == nil {
			continue
		}
		if _, err := writer.Write(p); err != nil {
			delete(w.fan.sinks, s)
		}
	}
	return len(p), nil
}

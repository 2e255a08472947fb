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
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	utilexec "k8s.io/utils/exec"

	"switchyard.dev/switchyard/internal/localcluster/kubelet"
	"switchyard.dev/switchyard/internal/netns"
)

// serveKubelet opens the kubelet API on the node's addresses.
func (r *Runner) serveKubelet(ctx context.Context, group *errgroup.Group) error {
	if r.config.ClientCAs == nil {
		return nil
	}
	server := kubelet.New(kubelet.Config{
		Runtime: r, ServingCert: r.config.ServingCert, ClientCAs: r.config.ClientCAs, Log: r.log,
	})
	var listeners []net.Listener
	err := r.config.Namespace.Do(func() error {
		for _, ip := range r.config.NodeIPs {
			listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, kubeletPort)))
			if err != nil {
				return fmt.Errorf("opening the kubelet API: %w", err)
			}
			listeners = append(listeners, listener)
		}
		return nil
	})
	if err != nil {
		for _, listener := range listeners {
			_ = listener.Close()
		}
		return err
	}
	for _, listener := range listeners {
		group.Go(func() error { return server.Serve(ctx, listener) })
	}
	return nil
}

// Pods are the Pods of the node, as last seen.
func (r *Runner) Pods() []*corev1.Pod {
	r.mu.Lock()
	defer r.mu.Unlock()
	var pods []*corev1.Pod
	for _, w := range r.workers {
		pod, _ := w.latest()
		pods = append(pods, pod)
	}
	return pods
}

func (r *Runner) worker(namespace, name string) (*worker, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.byKey[namespace+"_"+name]; w != nil {
		return w, nil
	}
	return nil, kubelet.NotFoundError(fmt.Sprintf("pod %s/%s is not on node %s", namespace, name, r.config.NodeName))
}

func (w *worker) container(name string) (*container, error) {
	for _, c := range w.containers {
		if c.spec.Name == name {
			return c, nil
		}
	}
	return nil, kubelet.NotFoundError(fmt.Sprintf("container %s is not in the pod", name))
}

// place is where something is run for a Pod.
type place struct {
	ns  *netns.Namespace
	ips []netip.Addr
}

func (w *worker) where() (place, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sandbox == nil {
		return place{}, errors.New("the pod is not running")
	}
	return place{ns: w.sandbox.ns, ips: w.sandbox.ips}, nil
}

// Exec runs a program of this machine as if it were in the container.
func (r *Runner) Exec(ctx context.Context, target kubelet.Container, command []string, stdio kubelet.Stdio) error {
	w, err := r.worker(target.Namespace, target.Pod)
	if err != nil {
		return err
	}
	return w.exec(ctx, target.Name, command, stdio)
}

func (w *worker) exec(ctx context.Context, name string, command []string, stdio kubelet.Stdio) error {
	if len(command) == 0 {
		return errors.New("a command is needed")
	}
	pod, _ := w.latest()
	ns, o, err := w.execOrders(ctx, pod, name, command)
	if err != nil {
		return err
	}
	if stdio.TTY {
		o.Env = append(append([]string(nil), o.Env...), "TERM=xterm")
		return execOnTerminal(ctx, ns, o, stdio)
	}
	var stdin io.WriteCloser
	cmd, err := launch(ns, o, func(cmd *exec.Cmd) {
		if stdio.Out != nil {
			cmd.Stdout = stdio.Out
		}
		if stdio.Err != nil {
			cmd.Stderr = stdio.Err
		}
		if stdio.In != nil {
			stdin, err = cmd.StdinPipe()
		}
	})
	if err != nil {
		return notStarted(err, stdio)
	}
	if stdin != nil {
		// Not by os/exec, whose Wait would wait for a client's next key.
		go func() {
			_, _ = io.Copy(stdin, stdio.In)
			_ = stdin.Close()
		}()
	}
	return waitExec(ctx, cmd)
}

// execOrders takes what the running container has.
func (w *worker) execOrders(ctx context.Context, pod *corev1.Pod, name string, command []string) (*netns.Namespace, orders, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := w.container(name)
	if err != nil {
		return nil, orders{}, err
	}
	if w.sandbox == nil || c.run == nil {
		return nil, orders{}, fmt.Errorf("container %s is not running", name)
	}
	mounts, err := w.mounts(ctx, pod, c.spec)
	if err != nil && isProgram(pod) {
		return nil, orders{}, err
	}
	o := orders{Args: command, Env: c.env, Mounts: mounts}
	if isProgram(pod) {
		o.Dir = c.spec.WorkingDir // an image's, for an echo container: not on this machine
	}
	if !pod.Spec.HostNetwork {
		o.Hostname = hostname(pod)
	}
	return w.sandbox.ns, o, nil
}

// notStarted tells a user why a command could not be run, as kubectl shows no
// more than the exit code: 127 if there is no such program, as in a shell.
func notStarted(err error, stdio kubelet.Stdio) error {
	code := 126
	if strings.Contains(err.Error(), exec.ErrNotFound.Error()) || strings.Contains(err.Error(), os.ErrNotExist.Error()) {
		code = 127
	}
	for _, out := range []io.Writer{writer(stdio.Err), writer(stdio.Out)} {
		if out != io.Discard {
			_, _ = fmt.Fprintf(out, "Commands in Pods of the local cluster are programs of this machine: %v\r\n", err)
			break
		}
	}
	return utilexec.CodeExitError{Err: fmt.Errorf("starting the command: %w", err), Code: code}
}

// waitExec waits for a command, which does not outlive its client.
func waitExec(ctx context.Context, cmd *exec.Cmd) error {
	stop := context.AfterFunc(ctx, func() { signalAll(cmd, syscall.SIGKILL) })
	defer stop()
	err := cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	code, _ := exitCode(cmd.ProcessState)
	if code != 0 {
		return utilexec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d", code), Code: int(code)}
	}
	return err
}

func execOnTerminal(ctx context.Context, ns *netns.Namespace, o orders, stdio kubelet.Stdio) error {
	master, slave, err := openPTY()
	if err != nil {
		return err
	}
	defer func() { _ = master.Close() }()
	cmd, err := launch(ns, o, func(cmd *exec.Cmd) { onTerminal(cmd, slave) })
	_ = slave.Close()
	if err != nil {
		return notStarted(err, stdio)
	}
	go func() {
		for size := range stdio.Resize {
			resizePTY(master, size.Width, size.Height)
		}
	}()
	if stdio.In != nil {
		go func() { _, _ = io.Copy(master, stdio.In) }()
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		if stdio.Out != nil {
			_, _ = io.Copy(stdio.Out, master)
		}
	}()
	err = waitExec(ctx, cmd)
	select {
	case <-copied: // all output is out
	case <-time.After(time.Second):
	}
	return err
}

// execIn is for probes and hooks: output is told only when the command fails.
func (w *worker) execIn(_ *corev1.Pod, container string) func(context.Context, []string) error {
	return func(ctx context.Context, command []string) error {
		output := &capped{}
		err := w.exec(ctx, container, command, kubelet.Stdio{Out: output, Err: output})
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("command timed out: %w", err)
		}
		if err != nil {
			return fmt.Errorf("%w: %s", err, output.text)
		}
		return nil
	}
}

// probeExec lets exec probes of echo containers pass: their programs are the
// image's, which is not here.
func (w *worker) probeExec(pod *corev1.Pod, c *container) func(context.Context, []string) error {
	if !isProgram(pod) {
		return func(context.Context, []string) error { return nil }
	}
	return w.execIn(pod, c.spec.Name)
}

// capped keeps the beginning of what is written.
type capped struct{ text []byte }

func (c *capped) Write(p []byte) (int, error) {
	const most = 1024
	c.text = append(c.text, p[:min(len(p), most-len(c.text))]...)
	return len(p), nil
}

func (c *capped) Close() error { return nil }

// Attach connects to a program's own input and output, or follows the log of
// an echo container.
func (r *Runner) Attach(ctx context.Context, target kubelet.Container, stdio kubelet.Stdio) error {
	w, err := r.worker(target.Namespace, target.Pod)
	if err != nil {
		return err
	}
	w.mu.Lock()
	c, err := w.container(target.Name)
	var current run
	if err == nil {
		current = c.run
	}
	w.mu.Unlock()
	if err != nil {
		return err
	}
	switch current := current.(type) {
	case *programRun:
		if current.master != nil {
			go func() {
				for size := range stdio.Resize {
					resizePTY(current.master, size.Width, size.Height)
				}
			}()
		}
		current.attach(ctx, stdio.In, writer(stdio.Out), writer(stdio.Err), c.spec.StdinOnce)
		return nil
	case *echoRun:
		none := int64(0)
		return r.Logs(ctx, target, &corev1.PodLogOptions{Follow: true, TailLines: &none}, writer(stdio.Out))
	}
	return fmt.Errorf("container %s is not running", target.Name)
}

// writer keeps a nil pointer from hiding in an interface.
func writer(w io.WriteCloser) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// Logs writes a container's log.
func (r *Runner) Logs(ctx context.Context, target kubelet.Container, options *corev1.PodLogOptions, out io.Writer) error {
	w, err := r.worker(target.Namespace, target.Pod)
	if err != nil {
		return err
	}
	pod, _ := w.latest()
	w.mu.Lock()
	c, err := w.container(target.Name)
	if err != nil {
		w.mu.Unlock()
		return err
	}
	attempt, current := c.attempt, c.run
	waits := c.phase == phaseWaiting
	w.mu.Unlock()
	if options.Previous {
		if attempt == 0 {
			return kubelet.BadRequestError(fmt.Sprintf("previous terminated container %q in pod %q not found", target.Name, target.Pod))
		}
		attempt, current = attempt-1, nil
	} else if waits {
		return kubelet.BadRequestError(fmt.Sprintf("container %q in pod %q is waiting to start", target.Name, target.Pod))
	}
	running := func() bool {
		if current == nil {
			return false
		}
		select {
		case <-current.done():
			return false
		default:
			return true
		}
	}
	return readLog(ctx, logPath(r.config.StateDir, pod, target.Name, attempt), options, out, running)
}

// PortForward connects the stream to a TCP port inside the Pod: on its
// loopback, as kubectl promises, or else on its addresses.
func (r *Runner) PortForward(ctx context.Context, namespace, name string, port int32, stream io.ReadWriteCloser) error {
	defer func() { _ = stream.Close() }()
	w, err := r.worker(namespace, name)
	if err != nil {
		return err
	}
	at, err := w.where()
	if err != nil {
		return err
	}
	hosts := []string{"127.0.0.1", "::1"}
	for _, ip := range at.ips {
		hosts = append(hosts, ip.String())
	}
	var errs []error
	for _, host := range hosts {
		conn, err := dialIn(ctx, at.ns, "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		return join(ctx, conn.(*net.TCPConn), stream)
	}
	return fmt.Errorf("forwarding port %d to pod %s/%s: %w", port, namespace, name, errs[0])
}

// join copies both ways until both sides have ended.
func join(ctx context.Context, conn *net.TCPConn, stream io.ReadWriteCloser) error {
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	go func() {
		_, _ = io.Copy(conn, stream)
		_ = conn.CloseWrite()
	}()
	_, err := io.Copy(stream, conn)
	if errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

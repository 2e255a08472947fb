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
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	utilexec "k8s.io/utils/exec"

	"switchyard.dev/switchyard/internal/localcluster/kubelet"
	"switchyard.dev/switchyard/internal/netns"
)

// Exec runs a program of the container's image in it, or else a program of this
// machine as if it were there.
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
		return notStarted(err, o, stdio)
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
	if running, ok := c.run.(*programRun); ok && c.kind == kindImage {
		return w.sandbox.ns, orders{
			Args: command, Env: c.env, Dir: filepath.Join("/", cmp.Or(c.spec.WorkingDir, c.image.Config.WorkingDir)),
			Root: &rootOrders{Join: running.cmd.Process.Pid, Privileges: c.privileges},
		}, nil
	}
	mounts, err := w.mounts(ctx, pod, c)
	if err != nil && c.kind == kindLocal {
		return nil, orders{}, err
	}
	o := orders{Args: command, Env: c.env, Mounts: mounts}
	if c.kind == kindLocal {
		o.Dir = c.spec.WorkingDir // an image's, for an echo container: not on this machine
	}
	if !pod.Spec.HostNetwork {
		o.Hostname = hostname(pod)
	}
	return w.sandbox.ns, o, nil
}

// notStarted tells a user why a command could not be run, as kubectl shows no
// more than the exit code: 127 if there is no such program, as in a shell.
func notStarted(err error, o orders, stdio kubelet.Stdio) error {
	code := 126
	if strings.Contains(err.Error(), exec.ErrNotFound.Error()) || strings.Contains(err.Error(), os.ErrNotExist.Error()) {
		code = 127
	}
	from := "Commands in Pods of the local cluster are programs of this machine"
	if o.Root != nil {
		from = "Commands in this container are programs of its image"
	}
	for _, out := range []io.Writer{writer(stdio.Err), writer(stdio.Out)} {
		if out != io.Discard {
			_, _ = fmt.Fprintf(out, "%s: %v\r\n", from, err)
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
		return notStarted(err, o, stdio)
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
	if c.kind == kindEcho {
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

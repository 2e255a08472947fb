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
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/localcluster/kubelet"
)

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

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
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

// retryInterval is how soon a step that met an error is tried again.
const retryInterval = time.Second

// worker makes one Pod so. All its actions are on one goroutine: step looks at
// the Pod and what runs, acts, reports and says when to look again.
type worker struct {
	r     *Runner
	wake  chan struct{}
	after <-chan struct{} // the end of an earlier Pod of the same name
	done  chan struct{}

	podMu sync.Mutex
	pod   *corev1.Pod // the newest known
	gone  bool        // the API has it no more

	mu         sync.Mutex
	sandbox    *sandbox
	containers []*container
	startTime  time.Time
	reason     string // why the Pod is being failed
	message    string
	stopping   bool
	deleted    bool // from the API, by us
}

func newWorker(r *Runner, pod *corev1.Pod, after <-chan struct{}) *worker {
	w := &worker{
		r: r, pod: pod, after: after,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
		containers: newContainers(pod, r.config.Images), startTime: time.Now(),
	}
	if pod.Status.StartTime != nil {
		w.startTime = pod.Status.StartTime.Time
	}
	return w
}

// offer gives the worker a Pod, which is taken unless it is older than the one
// it has: an answer to our own write comes before the watch's event.
func (w *worker) offer(pod *corev1.Pod) {
	w.podMu.Lock()
	if resourceVersion(pod) >= resourceVersion(w.pod) {
		w.pod = pod
	}
	w.podMu.Unlock()
	w.poke()
}

// resourceVersion can be compared since resource versions are ordered numbers (KEP-5504).
func resourceVersion(pod *corev1.Pod) uint64 {
	n, _ := strconv.ParseUint(pod.ResourceVersion, 10, 64)
	return n
}

// leave tells the worker that the API has its Pod no more.
func (w *worker) leave() {
	w.podMu.Lock()
	w.gone = true
	w.podMu.Unlock()
	w.poke()
}

func (w *worker) latest() (pod *corev1.Pod, gone bool) {
	w.podMu.Lock()
	defer w.podMu.Unlock()
	return w.pod, w.gone
}

func (w *worker) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// work runs until the Pod is gone or ctx ends, and leaves nothing behind.
func (w *worker) work(ctx context.Context) {
	defer close(w.done)
	if w.after != nil {
		<-w.after
	}
	defer w.tearDown()
	for {
		again, finished := w.step(ctx)
		if finished || ctx.Err() != nil {
			return
		}
		var timer <-chan time.Time
		if again > 0 {
			timer = time.After(again)
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-timer:
		}
	}
}

// step does what can be done now.
func (w *worker) step(ctx context.Context) (again time.Duration, finished bool) {
	pod, gone := w.latest()
	if gone {
		return 0, true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.collect(pod)
	switch {
	case pod.DeletionTimestamp != nil:
		return w.terminate(ctx, pod), false
	case w.reason != "" || w.overdue(pod):
		return w.fail(ctx, pod), false
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		return w.rest(ctx, pod), false
	}
	return w.advance(ctx, pod), false
}

// rest keeps a Pod whose containers will not run again: its sidecars end, then
// its network goes.
func (w *worker) rest(ctx context.Context, pod *corev1.Pod) time.Duration {
	w.endSidecars()
	w.collect(pod)
	if w.running() {
		return 0 // their end wakes this worker
	}
	w.removeSandbox(pod)
	if err := w.publish(ctx, pod, observed{ended: true, plan: w.planNow()}); err != nil {
		return retryInterval
	}
	return 0
}

// advance starts what is to run and reports.
func (w *worker) advance(ctx context.Context, pod *corev1.Pod) time.Duration {
	if w.sandbox == nil {
		sandbox, err := w.r.newSandbox(pod)
		if err != nil {
			w.r.event(pod, corev1.EventTypeWarning, "FailedCreatePodSandBox", err.Error())
			_ = w.publish(ctx, pod, observed{}) // tried again with the sandbox
			return retryInterval
		}
		w.sandbox = sandbox
		w.sandbox.volumes = w.newVolumeKeeper(sandbox.ips)
	}
	w.sandbox.volumes.note(pod)
	p := planContainers(w.views(), time.Now())
	for len(p.start) > 0 {
		if wait := w.startAll(ctx, pod, p.start); wait > 0 {
			_ = w.publish(ctx, pod, observed{plan: p}) // tried again after the wait
			return wait
		}
		p = planContainers(w.views(), time.Now())
	}
	if err := w.publish(ctx, pod, observed{plan: p}); err != nil {
		return retryInterval
	}
	if w.overdueAt(pod) > 0 && (p.again == 0 || w.overdueAt(pod) < p.again) {
		return w.overdueAt(pod)
	}
	return p.again
}

// startAll starts containers and returns how long to wait if one could not be
// tried yet.
func (w *worker) startAll(ctx context.Context, pod *corev1.Pod, indices []int) (wait time.Duration) {
	for _, i := range indices {
		c := w.containers[i]
		if until := time.Until(c.retryAt); until > 0 {
			wait = until
			continue
		}
		if err := w.start(ctx, pod, c); err != nil {
			c.waiting = &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError", Message: err.Error()}
			c.retryAt = time.Now().Add(2 * retryInterval)
			w.r.event(pod, corev1.EventTypeWarning, "Failed", "Error: "+err.Error())
			wait = 2 * retryInterval
		}
	}
	return wait
}

func (w *worker) views() []view {
	views := make([]view, len(w.containers))
	for i, c := range w.containers {
		views[i] = c.view()
	}
	return views
}

// collect notes runs that have ended, and readiness that needs no probe.
func (w *worker) collect(pod *corev1.Pod) {
	for _, c := range w.containers {
		if c.run == nil {
			continue
		}
		select {
		case <-c.run.done():
			e := c.run.end()
			c.finish(e, "")
			w.r.log.V(2).Info("Container ended", "pod", klog.KObj(pod), "container", c.spec.Name, "exitCode", e.code)
			continue
		default:
		}
		if c.spec.ReadinessProbe == nil {
			c.ready = c.started
			if echo, ok := c.run.(*echoRun); ok {
				c.ready = c.started && echo.server.Ready()
			}
		}
	}
}

// publish writes the Pod's status if it changed.
func (w *worker) publish(ctx context.Context, pod *corev1.Pod, o observed) error {
	o.pod, o.nodeIPs, o.startTime, o.now = pod, w.r.config.NodeIPs, w.startTime, time.Now()
	o.reason, o.message, o.sandbox = w.reason, w.message, w.sandbox != nil
	if w.sandbox != nil {
		o.podIPs = w.sandbox.ips
	}
	for i, c := range w.containers {
		inBackOff := !o.terminating && !o.plan.finished && o.plan.waits(i)
		o.containers = append(o.containers, c.status(pod, inBackOff))
	}
	status := podStatus(o)
	if equality.Semantic.DeepEqual(status, pod.Status) {
		return nil
	}
	changed := pod.DeepCopy()
	changed.Status = status
	written, err := w.r.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	switch {
	case apierrors.IsConflict(err):
		return w.refresh(ctx, pod)
	case apierrors.IsNotFound(err):
		return nil // the watch tells
	case err != nil:
		w.r.log.Error(err, "Could not write a Pod's status, will try again", "pod", klog.KObj(pod))
		return err
	}
	w.r.log.V(2).Info("Status written", "pod", klog.KObj(pod), "phase", status.Phase)
	w.podMu.Lock()
	if resourceVersion(written) >= resourceVersion(w.pod) {
		w.pod = written
	}
	w.podMu.Unlock()
	return nil
}

// refresh reads the Pod again after a conflict, so that the next step, which
// it asks for, starts from the newest.
func (w *worker) refresh(ctx context.Context, pod *corev1.Pod) error {
	newest, err := w.r.client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if newest.UID == pod.UID {
		w.offer(newest)
	}
	return fmt.Errorf("status of Pod %s/%s changed meanwhile", pod.Namespace, pod.Name)
}

func (p plan) waits(i int) bool {
	return slices.Contains(p.waiting, i)
}

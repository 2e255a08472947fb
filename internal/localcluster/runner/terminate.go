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
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

// terminate ends a deleted Pod: programs are asked to end, echo servers answer
// until the deadline, which is the Pod's deletion timestamp; a shorter grace
// period given later moves it. Readiness goes on being probed, so that slices
// can tell serving from terminating (KEP-1669).
func (w *worker) terminate(ctx context.Context, pod *corev1.Pod) (again time.Duration) {
	if w.deleted {
		return 0 // the watch's event is on its way
	}
	left := time.Until(pod.DeletionTimestamp.Time)
	w.stop(pod, left)
	w.collect(pod)
	ended := !w.running()
	if err := w.publish(ctx, pod, observed{terminating: true, ended: ended, plan: w.planNow()}); err != nil {
		return retryInterval
	}
	if !ended {
		return max(left, 10*time.Millisecond)
	}
	w.removeSandbox(pod)
	if err := w.remove(ctx, pod); err != nil {
		w.r.log.Error(err, "Could not remove a Pod that has ended, will try again", "pod", klog.KObj(pod))
		return retryInterval
	}
	w.deleted = true
	return 0
}

func (w *worker) planNow() plan {
	p := planContainers(w.views(), time.Now())
	return plan{initialized: p.initialized}
}

// stop asks, once, what runs to end, sidecars after the others, and kills
// everything when nothing is left of the grace period.
func (w *worker) stop(pod *corev1.Pod, left time.Duration) {
	if !w.stopping {
		w.stopping = true
		w.r.event(pod, corev1.EventTypeNormal, "Killing", "Stopping the Pod's containers")
	}
	mains := false
	for _, c := range w.containers {
		mains = mains || (c.role == roleMain && c.run != nil)
	}
	for _, c := range w.containers {
		if c.run == nil {
			continue
		}
		c.stopLiveness()
		if left <= 0 {
			c.run.kill()
			continue
		}
		if c.killed || (mains && c.role == roleSidecar) {
			continue
		}
		c.killed = true
		go w.endGently(pod, c.spec, c.run, left)
	}
}

// endGently runs the preStop hook, which counts against the grace period, and
// then asks the run to end.
func (w *worker) endGently(pod *corev1.Pod, spec *corev1.Container, r run, left time.Duration) {
	if _, isProgram := r.(*programRun); isProgram && spec.Lifecycle != nil && spec.Lifecycle.PreStop != nil {
		ctx, cancel := context.WithTimeout(context.Background(), left)
		if err := w.hook(ctx, pod, spec, spec.Lifecycle.PreStop); err != nil {
			w.r.event(pod, corev1.EventTypeWarning, "FailedPreStopHook", fmt.Sprintf("Container %s: %v", spec.Name, err))
		}
		cancel()
	}
	r.terminate()
}

func (w *worker) hook(ctx context.Context, pod *corev1.Pod, spec *corev1.Container, hook *corev1.LifecycleHandler) error {
	t := target{from: w.r.config.Namespace, container: spec, exec: w.execIn(pod, spec.Name)}
	if ips := pod.Status.PodIP; ips != "" {
		if view, err := w.where(); err == nil {
			t.podIP = view.ips[0]
		}
	}
	switch {
	case hook.Sleep != nil:
		sleep(ctx, time.Duration(hook.Sleep.Seconds)*time.Second)
		return nil
	case hook.Exec != nil:
		return t.exec(ctx, hook.Exec.Command)
	case hook.HTTPGet != nil:
		return t.httpGet(ctx, hook.HTTPGet)
	}
	return nil
}

func (w *worker) running() bool {
	for _, c := range w.containers {
		if c.run != nil {
			return true
		}
	}
	return false
}

// endSidecars follows the end of the main containers.
func (w *worker) endSidecars() {
	for _, c := range w.containers {
		if c.role == roleSidecar && c.run != nil && !c.killed {
			c.killed = true
			c.stopLiveness()
			if echo, ok := c.run.(*echoRun); ok {
				echo.kill()
				continue
			}
			go stopRun(c.run, 30*time.Second)
		}
	}
}

// overdue fails a Pod that is active for longer than it may be.
func (w *worker) overdue(pod *corev1.Pod) bool {
	if pod.Spec.ActiveDeadlineSeconds == nil || w.overdueAt(pod) > 0 {
		return false
	}
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return false
	}
	w.reason, w.message = "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
	w.r.event(pod, corev1.EventTypeNormal, w.reason, w.message)
	return true
}

// overdueAt is how long until then; zero without a deadline.
func (w *worker) overdueAt(pod *corev1.Pod) time.Duration {
	if pod.Spec.ActiveDeadlineSeconds == nil {
		return 0
	}
	limit := time.Duration(*pod.Spec.ActiveDeadlineSeconds) * time.Second
	return max(0, time.Until(w.startTime.Add(limit)))
}

// fail ends all containers of a Pod that stays in the API.
func (w *worker) fail(ctx context.Context, pod *corev1.Pod) time.Duration {
	limit := time.Until(w.startTime.Add(time.Duration(*pod.Spec.ActiveDeadlineSeconds)*time.Second + gracePeriod(pod)))
	for _, c := range w.containers {
		if echo, ok := c.run.(*echoRun); ok {
			echo.kill()
		}
	}
	w.stop(pod, limit)
	w.collect(pod)
	ended := !w.running()
	if err := w.publish(ctx, pod, observed{terminating: true, ended: ended, plan: w.planNow()}); err != nil {
		return retryInterval
	}
	if !ended {
		return max(limit, 10*time.Millisecond)
	}
	w.removeSandbox(pod)
	return 0
}

// remove deletes the Pod's object, as only a kubelet may: at once.
func (w *worker) remove(ctx context.Context, pod *corev1.Pod) error {
	now := int64(0)
	err := w.r.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &now,
		Preconditions:      &metav1.Preconditions{UID: &pod.UID},
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // gone, or another of its name
		return nil
	}
	return err
}

func (w *worker) removeSandbox(pod *corev1.Pod) {
	if w.sandbox == nil {
		return
	}
	if err := w.r.removeSandbox(w.sandbox); err != nil {
		w.r.log.Error(err, "Could not remove all of a Pod's network", "pod", klog.KObj(pod))
	}
	w.sandbox = nil
}

// tearDown ends everything at once: the Pod is gone, or the runner ends. Logs
// stay with a Pod that the API still has.
func (w *worker) tearDown() {
	w.mu.Lock()
	defer w.mu.Unlock()
	pod, gone := w.latest()
	for _, c := range w.containers {
		c.stopProbes()
		if c.run != nil {
			c.run.kill()
		}
	}
	for _, c := range w.containers {
		if c.run != nil {
			<-c.run.done()
			c.run = nil
		}
	}
	w.removeSandbox(pod)
	if gone {
		w.r.removeLogs(pod)
	}
}

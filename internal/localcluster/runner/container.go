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
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/localcluster/runner/image"
)

// container is one container of a Pod over all its runs. Its worker's lock
// guards it.
type container struct {
	spec   *corev1.Container
	role   role
	policy corev1.RestartPolicy
	kind   kind
	image  image.Image // of kindImage

	privileges privileges // of the present or last run of an image's program

	phase    phase
	run      run
	env      []string // of the present or last run
	attempt  int32    // restarts so far
	failures int
	exited   ending
	message  string // of the last end
	began    time.Time
	retryAt  time.Time // after a start that was not even tried

	waiting *corev1.ContainerStateWaiting
	last    *corev1.ContainerStateTerminated // the end before this run

	ready, started bool
	resumed        bool               // an echo server that goes on after the runner's restart
	killed         bool               // asked to end
	stopProbes     context.CancelFunc // all of them
	stopLiveness   context.CancelFunc // but readiness
}

// newContainers takes over what the Pod's status says of earlier runs.
func newContainers(pod *corev1.Pod, images image.Set) []*container {
	roles := rolesOf(pod)
	statuses := slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
	var all []*container
	for i, spec := range containersOf(pod) {
		c := &container{spec: spec, role: roles[i], policy: pod.Spec.RestartPolicy, stopProbes: func() {}, stopLiveness: func() {}}
		c.kind, c.image = kindOf(pod, spec, images)
		if c.role == roleInit && c.policy == corev1.RestartPolicyAlways {
			c.policy = corev1.RestartPolicyOnFailure
		}
		if c.role == roleSidecar {
			c.policy = corev1.RestartPolicyAlways
		}
		if spec.RestartPolicy != nil {
			c.policy = corev1.RestartPolicy(*spec.RestartPolicy)
		}
		for _, status := range statuses {
			if status.Name == spec.Name {
				c.adopt(status)
			}
		}
		all = append(all, c)
	}
	return all
}

// adopt continues from a status that an earlier runner wrote. An echo server
// is resumed as the same run; a program is gone.
func (c *container) adopt(status corev1.ContainerStatus) {
	c.attempt = status.RestartCount
	c.last = status.LastTerminationState.Terminated
	switch {
	case status.State.Terminated != nil:
		t := status.State.Terminated
		c.phase, c.message, c.began = phaseExited, t.Message, t.StartedAt.Time
		c.exited = ending{code: t.ExitCode, signal: t.Signal, reason: t.Reason, at: t.FinishedAt.Time}
	case status.State.Running != nil && c.kind == kindEcho:
		c.resumed, c.began = true, status.State.Running.StartedAt.Time
	case status.State.Running != nil:
		c.phase, c.began = phaseExited, status.State.Running.StartedAt.Time
		c.exited = ending{code: 137, signal: 9, reason: "ContainerStatusUnknown", at: time.Now()}
		c.message = "The node's runner was restarted, and the program with it"
	}
}

func (c *container) view() view {
	return view{
		role: c.role, policy: c.policy, phase: c.phase,
		started: c.phase == phaseRunning && c.started, exitCode: c.exited.code, finished: c.exited.at, failures: c.failures,
	}
}

// begin notes that a run has started.
func (c *container) begin(pod *corev1.Pod, r run, env []string, now time.Time) {
	if c.phase == phaseExited {
		c.last = c.terminated(pod)
		c.attempt++
	}
	if !c.resumed {
		c.began = now
	}
	c.resumed = false
	c.phase, c.run, c.env, c.waiting, c.killed = phaseRunning, r, env, nil, false
	c.ready, c.started = false, c.spec.StartupProbe == nil
}

// refuse notes that a run could not start: it ended as it began.
func (c *container) refuse(pod *corev1.Pod, err error, now time.Time) {
	if c.phase == phaseExited {
		c.last = c.terminated(pod)
		c.attempt++
	}
	c.began = now
	c.finish(ending{code: 128, reason: "StartError", at: now}, err.Error())
}

// finish notes that the run has ended.
func (c *container) finish(e ending, message string) {
	if e.at.Sub(c.began) >= settled {
		c.failures = 0
	}
	c.stopProbes()
	c.failures++
	c.phase, c.run, c.exited, c.message = phaseExited, nil, e, message
	c.ready, c.started = false, false
}

// id names one run.
func (c *container) id(pod *corev1.Pod) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", pod.UID, c.spec.Name, c.attempt))
	return "switchyard://" + hex.EncodeToString(sum[:])
}

// terminated is how the last run ended.
func (c *container) terminated(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{
		ContainerID: c.id(pod),
		ExitCode:    c.exited.code, Signal: c.exited.signal, Reason: c.exited.reason, Message: c.message,
		StartedAt: stamp(c.began), FinishedAt: stamp(c.exited.at),
	}
}

// status is the container's part of the Pod's status. inBackOff tells that it
// has ended and waits for its next run.
func (c *container) status(pod *corev1.Pod, inBackOff bool) corev1.ContainerStatus {
	started := c.phase == phaseRunning && c.started
	s := corev1.ContainerStatus{
		Name: c.spec.Name, Image: c.spec.Image, ImageID: c.imageID(),
		RestartCount: c.attempt, Started: &started,
		Ready: c.phase == phaseRunning && c.ready,
	}
	if c.phase != phaseWaiting || c.attempt > 0 {
		s.ContainerID = c.id(pod)
	}
	if c.last != nil {
		s.LastTerminationState.Terminated = c.last
	}
	switch {
	case c.phase == phaseRunning:
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: stamp(c.began)}
	case c.phase == phaseExited && inBackOff:
		s.LastTerminationState.Terminated = c.terminated(pod)
		s.State.Waiting = &corev1.ContainerStateWaiting{
			Reason:  "CrashLoopBackOff",
			Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)", backOff(c.failures), c.spec.Name, pod.Name, pod.Namespace, pod.UID),
		}
	case c.phase == phaseExited:
		s.State.Terminated = c.terminated(pod)
		s.Ready = c.role == roleInit && c.exited.code == 0
	case c.waiting != nil:
		s.State.Waiting = c.waiting
	default:
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
		if slices.ContainsFunc(pod.Spec.InitContainers, func(i corev1.Container) bool { return i.Name != c.spec.Name }) {
			s.State.Waiting.Reason = "PodInitializing"
		}
	}
	return s
}

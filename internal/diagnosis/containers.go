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

package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// initOf are init containers that have not done yet what the others wait for.
func initOf(_ *examination, pod *corev1.Pod) trouble {
	for i := range pod.Status.InitContainerStatuses {
		status := &pod.Status.InitContainerStatuses[i]
		sidecar := slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == status.Name && restartable(&c) })
		done := status.State.Terminated != nil && status.State.Terminated.ExitCode == 0
		if sidecar && status.State.Running != nil || done {
			continue
		}
		if t := waitingOf(pod, status); t.what != "" && t.kind != starting {
			return t
		}
		if status.State.Running != nil {
			return trouble{kind: initializing, what: fmt.Sprintf("waiting for init container %s", status.Name), remedy: logs(pod, status.Name, false)}
		}
	}
	return trouble{}
}

// containersOf is the worst that a container says.
func containersOf(_ *examination, pod *corev1.Pod) trouble {
	var worst trouble
	statuses := slices.Concat(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses)
	for i := range statuses {
		status := &statuses[i]
		container := containerOf(pod, status.Name)
		if status.Ready || container == nil {
			continue
		}
		t := waitingOf(pod, status)
		if t.what == "" && status.State.Running != nil {
			t = probeOf(pod, container, status)
		}
		if t.what != "" && (worst.what == "" || t.kind < worst.kind) {
			worst = t
		}
	}
	if worst.what == "" && len(statuses) == 0 && pod.Status.Phase == corev1.PodPending {
		return trouble{kind: starting, what: "not started by its node yet", remedy: fmt.Sprintf("see whether the kubelet of node %s works", pod.Spec.NodeName)}
	}
	return worst
}

// containerOf is one of those that have to be ready.
func containerOf(pod *corev1.Pod, name string) *corev1.Container {
	for container := range portContainers(pod) {
		if container.Name == name {
			return container
		}
	}
	return nil
}

// waitingOf is a container that does not run.
func waitingOf(pod *corev1.Pod, status *corev1.ContainerStatus) trouble {
	name := "container " + status.Name
	if ended := status.State.Terminated; ended != nil {
		return trouble{kind: crashing, what: name + " has ended" + exitOf(ended), remedy: logs(pod, status.Name, false)}
	}
	waiting := status.State.Waiting
	if waiting == nil {
		return trouble{}
	}
	switch reason := waiting.Reason; {
	case reason == "CrashLoopBackOff":
		return trouble{kind: crashing, what: fmt.Sprintf("%s ends again and again (CrashLoopBackOff)%s", name, exitOf(status.LastTerminationState.Terminated)),
			more: counted(int(status.RestartCount), "restart"), remedy: logs(pod, status.Name, true)}
	case strings.Contains(reason, "Image") || reason == "RegistryUnavailable":
		return trouble{kind: imageMissing, more: quote(waiting.Message),
			what:   fmt.Sprintf("the image %s of %s can not be had (%s)", imageOf(pod, status), name, reason),
			remedy: fmt.Sprintf("correct the image of %s, or what is needed to pull it", name)}
	case reason == "" || reason == "ContainerCreating" || reason == "PodInitializing":
		return trouble{kind: starting, what: name + " is being created", more: quote(waiting.Message),
			remedy: fmt.Sprintf("see kubectl -n %s describe pod %s", pod.Namespace, pod.Name)}
	default:
		what := fmt.Sprintf("%s can not be created (%s)", name, reason)
		if waiting.Message != "" {
			what = fmt.Sprintf("%s can not be created (%s: %s)", name, reason, quote(waiting.Message))
		}
		return trouble{kind: notCreated, what: what, remedy: "correct what it refers to"}
	}
}

func imageOf(pod *corev1.Pod, status *corev1.ContainerStatus) string {
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if container.Name == status.Name && container.Image != "" {
			return bounded(container.Image, maxQuote)
		}
	}
	return bounded(status.Image, maxQuote)
}

func exitOf(ended *corev1.ContainerStateTerminated) string {
	switch {
	case ended == nil:
		return ""
	case ended.Reason != "" && ended.Reason != "Error" && ended.Reason != "Completed":
		return fmt.Sprintf(" with exit code %d (%s)", ended.ExitCode, ended.Reason)
	}
	return fmt.Sprintf(" with exit code %d", ended.ExitCode)
}

// logs is where a container says more; previous is what it said before it ended.
func logs(pod *corev1.Pod, container string, previous bool) string {
	flag := ""
	if previous {
		flag = " --previous"
	}
	return fmt.Sprintf("see kubectl -n %s logs %s -c %s%s", pod.Namespace, pod.Name, container, flag)
}

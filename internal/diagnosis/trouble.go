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
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// trouble is why a pod is no endpoint that takes connections.
type trouble struct {
	kind troubleKind
	// what says it in a clause that is the same for pods with the same trouble.
	what string
	// more is what is special about this pod.
	more   string
	remedy string
	pod    *corev1.Pod
}

// troubleKind orders troubles: what needs somebody's hand comes first.
type troubleKind int

const (
	crashing troubleKind = iota
	imageMissing
	notCreated
	nodeUnknown
	unschedulable
	probeFailing
	gateClosed
	initializing
	notReady
	starting
	leaving
	hasEnded
)

// troubleOf says why a pod is not ready. What its node says comes first, since
// nothing else that the pod tells is news while the node is away.
func (e *examination) troubleOf(pod *corev1.Pod) trouble {
	t := trouble{}
	for _, look := range []func(*examination, *corev1.Pod) trouble{endedOf, nodeOf, leavingOf, schedulingOf, initOf, containersOf, gatesOf, addressOf} {
		if t = look(e, pod); t.what != "" {
			break
		}
	}
	if t.what == "" {
		t = unready(pod)
	}
	t.pod = pod
	return t
}

func endedOf(_ *examination, pod *corev1.Pod) trouble {
	if !ended(pod) {
		return trouble{}
	}
	t := trouble{kind: hasEnded, what: "ended (" + string(pod.Status.Phase) + ")", more: quote(pod.Status.Message),
		remedy: "see what was to run in their place, or whether the selector is meant for other pods"}
	if pod.Status.Reason != "" {
		t.what = fmt.Sprintf("ended (%s: %s)", pod.Status.Phase, pod.Status.Reason)
	}
	return t
}

func nodeOf(e *examination, pod *corev1.Pod) trouble {
	why := e.nodeTrouble(pod.Spec.NodeName)
	if why == "" {
		return trouble{}
	}
	return trouble{kind: nodeUnknown, what: why, remedy: e.elsewhere(pod)}
}

// elsewhere is how a pod gets away from a node that is lost. A bare pod that is
// deleted is gone for good, and of a StatefulSet two pods must not run at a time:
// an ordinary delete waits for the node, and a forced one does not ask it.
func (e *examination) elsewhere(pod *corev1.Pod) string {
	remedy := fmt.Sprintf("delete pod %s, so that another takes its place", pod.Name)
	owner := metav1.GetControllerOf(pod)
	switch node := e.node(pod.Spec.NodeName); {
	case node == nil && owner == nil:
		return fmt.Sprintf("make pod %s anew on a node that exists", pod.Name)
	case node == nil:
		return remedy
	case nodeReadiness(node).Status != corev1.ConditionUnknown:
		return fmt.Sprintf("repair node %s", node.Name)
	case owner == nil:
		remedy = "make the pod anew on another"
	case owner.Kind == "StatefulSet":
		remedy = "once it is surely off give it the taint " + corev1.TaintNodeOutOfService
	}
	return fmt.Sprintf("repair node %s, or %s", pod.Spec.NodeName, remedy)
}

func leavingOf(_ *examination, pod *corev1.Pod) trouble {
	if !terminating(pod) {
		return trouble{}
	}
	return trouble{kind: leaving, what: "being deleted", remedy: "see whether other pods are made in their place"}
}

// schedulingOf is a pod that has no node.
func schedulingOf(_ *examination, pod *corev1.Pod) trouble {
	if pod.Spec.NodeName != "" {
		return trouble{}
	}
	scheduled := podCondition(pod, corev1.PodScheduled)
	switch {
	case scheduled == nil || scheduled.Status == corev1.ConditionTrue:
		if pod.Status.Phase != corev1.PodPending {
			return trouble{}
		}
		return trouble{kind: unschedulable, what: "no node yet", remedy: "see whether the scheduler runs"}
	case scheduled.Reason == corev1.PodReasonSchedulingGated:
		return trouble{kind: unschedulable, what: "waiting for scheduling gates", remedy: "see what removes spec.schedulingGates"}
	}
	why, _, _ := strings.Cut(scheduled.Message, " preemption: ") // the pods that may not be taken away for it
	return trouble{kind: unschedulable, what: "fits no node: " + quote(why), remedy: roomFor(why)}
}

// roomFor is what helps against what the scheduler says.
func roomFor(why string) string {
	lower := strings.ToLower(why)
	says := func(word string) bool { return strings.Contains(lower, word) }
	switch insufficient, kept := says("insufficient"), says("taint") || says("affinity") || says("selector"); {
	case says("persistentvolumeclaim"):
		return "see why its PersistentVolumeClaims are not bound"
	case kept && !insufficient:
		return "change the pod's tolerations, affinity or nodeSelector, or the nodes"
	}
	return "make room, or change what the pod asks for"
}

// gatesOf are conditions that others have to set (KEP-580).
func gatesOf(_ *examination, pod *corev1.Pod) trouble {
	for _, gate := range pod.Spec.ReadinessGates {
		if condition := podCondition(pod, gate.ConditionType); condition == nil || condition.Status != corev1.ConditionTrue {
			return trouble{kind: gateClosed, what: fmt.Sprintf("waiting for readiness gate %s", gate.ConditionType),
				remedy: fmt.Sprintf("see whether what sets condition %s runs", gate.ConditionType)}
		}
	}
	return trouble{}
}

func addressOf(e *examination, pod *corev1.Pod) trouble {
	if len(e.addrs(pod)) > 0 {
		return trouble{}
	}
	return trouble{kind: starting, what: "no IP address yet", remedy: fmt.Sprintf("see kubectl -n %s describe pod %s", pod.Namespace, pod.Name)}
}

func unready(pod *corev1.Pod) trouble {
	t := trouble{kind: notReady, what: "not ready, without saying why", remedy: fmt.Sprintf("see kubectl -n %s describe pod %s", pod.Namespace, pod.Name)}
	if ready := podCondition(pod, corev1.PodReady); ready != nil && ready.Message != "" {
		t.what = "not ready: " + quote(ready.Message)
	}
	return t
}

// passing tells whether a pod among ready ones needs no mention: it leaves, has
// ended, or has been there for too short a time to be missed.
func (e *examination) passing(t trouble) bool {
	switch t.kind {
	case leaving, hasEnded:
		return true
	case crashing, imageMissing, notCreated, nodeUnknown:
		return false
	}
	return e.recent(since(t.pod))
}

// since is when the pod became what it is.
func since(pod *corev1.Pod) time.Time {
	latest := pod.CreationTimestamp.Time
	if ready := podCondition(pod, corev1.PodReady); ready != nil && ready.LastTransitionTime.After(latest) {
		latest = ready.LastTransitionTime.Time
	}
	if pod.DeletionTimestamp != nil {
		// The time is that of the end, with all the grace that there is.
		latest = pod.DeletionTimestamp.Time
	}
	return latest
}

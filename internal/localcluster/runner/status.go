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
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// observed is everything a Pod's status is made from.
type observed struct {
	pod         *corev1.Pod
	nodeIPs     []netip.Addr
	podIPs      []netip.Addr // empty until there is a sandbox
	sandbox     bool
	containers  []corev1.ContainerStatus // in the order of rolesOf
	plan        plan
	terminating bool // all containers were asked to end
	ended       bool // and did
	reason      string
	message     string
	startTime   time.Time
	now         time.Time
}

// podStatus is the Pod's status, with the conditions of others left as they
// are and transition times kept where a condition's status did not change.
func podStatus(o observed) corev1.PodStatus {
	old := o.pod.Status
	status := *old.DeepCopy()
	status.ObservedGeneration = o.pod.Generation
	status.Phase = podPhase(o)
	status.Reason, status.Message = o.reason, o.message
	start := stamp(o.startTime)
	status.StartTime = &start
	status.HostIP, status.HostIPs = "", nil
	for _, ip := range o.nodeIPs {
		status.HostIPs = append(status.HostIPs, corev1.HostIP{IP: ip.String()})
	}
	if len(o.nodeIPs) > 0 {
		status.HostIP = o.nodeIPs[0].String()
	}
	if len(o.podIPs) > 0 {
		status.PodIP, status.PodIPs = o.podIPs[0].String(), nil
		for _, ip := range o.podIPs {
			status.PodIPs = append(status.PodIPs, corev1.PodIP{IP: ip.String()})
		}
	}
	inits := len(o.pod.Spec.InitContainers)
	status.InitContainerStatuses = slices.Clone(o.containers[:inits])
	status.ContainerStatuses = slices.Clone(o.containers[inits:])
	status.QOSClass = old.QOSClass
	for _, condition := range podConditions(o, status.Phase) {
		setCondition(&status.Conditions, condition, o.now)
	}
	return status
}

func podPhase(o observed) corev1.PodPhase {
	old := o.pod.Status.Phase
	if old == corev1.PodFailed || old == corev1.PodSucceeded {
		return old // for good
	}
	switch {
	case o.ended || o.plan.finished:
		if o.plan.failed || o.reason != "" || anyFailed(o.containers) {
			return corev1.PodFailed
		}
		return corev1.PodSucceeded
	case !o.sandbox || !o.plan.initialized:
		return corev1.PodPending
	}
	for _, c := range o.containers[len(o.pod.Spec.InitContainers):] {
		if c.State.Running == nil && c.State.Terminated == nil && c.LastTerminationState.Terminated == nil {
			return corev1.PodPending
		}
	}
	return corev1.PodRunning
}

func anyFailed(containers []corev1.ContainerStatus) bool {
	return slices.ContainsFunc(containers, func(c corev1.ContainerStatus) bool {
		return c.State.Terminated != nil && c.State.Terminated.ExitCode != 0
	})
}

func podConditions(o observed, phase corev1.PodPhase) []corev1.PodCondition {
	generation := o.pod.Generation
	condition := func(kind corev1.PodConditionType, is bool, reason, message string) corev1.PodCondition {
		c := corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, ObservedGeneration: generation}
		if !is {
			c.Status, c.Reason, c.Message = corev1.ConditionFalse, reason, message
		}
		return c
	}
	initialized := o.plan.initialized || phase == corev1.PodSucceeded
	containers := condition(corev1.ContainersReady, true, "", "")
	switch unready := unreadyContainers(o); {
	case phase == corev1.PodSucceeded:
		containers = condition(corev1.ContainersReady, false, "PodCompleted", "")
	case phase == corev1.PodFailed:
		containers = condition(corev1.ContainersReady, false, "PodFailed", "")
	case len(unready) > 0:
		containers = condition(corev1.ContainersReady, false, "ContainersNotReady", "containers with unready status: "+list(unready))
	}
	ready := containers
	ready.Type = corev1.PodReady
	if gate := unmetGate(o.pod); gate != "" && containers.Status == corev1.ConditionTrue {
		ready = condition(corev1.PodReady, false, "ReadinessGatesNotReady", `corresponding condition of pod readiness gate "`+gate+`" is not "True"`)
	}
	incomplete := condition(corev1.PodInitialized, initialized, "ContainersNotInitialized", "containers with incomplete status")
	if initialized && phase == corev1.PodSucceeded {
		incomplete.Reason = "PodCompleted"
	}
	return []corev1.PodCondition{
		condition(corev1.PodReadyToStartContainers, o.sandbox, "", ""),
		incomplete, ready, containers,
		condition(corev1.PodScheduled, true, "", ""),
	}
}

// unreadyContainers are the main containers and sidecars that are not ready.
func unreadyContainers(o observed) []string {
	var names []string
	roles := rolesOf(o.pod)
	for i, c := range o.containers {
		if roles[i] != roleInit && !c.Ready {
			names = append(names, c.Name)
		}
	}
	return names
}

func list(names []string) string { return "[" + strings.Join(names, " ") + "]" }

// unmetGate is a readiness gate whose condition, set by someone else, is not
// true.
func unmetGate(pod *corev1.Pod) string {
	for _, gate := range pod.Spec.ReadinessGates {
		met := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == gate.ConditionType && c.Status == corev1.ConditionTrue
		})
		if !met {
			return string(gate.ConditionType)
		}
	}
	return ""
}

func setCondition(conditions *[]corev1.PodCondition, condition corev1.PodCondition, now time.Time) {
	condition.LastTransitionTime = stamp(now)
	for i, old := range *conditions {
		if old.Type != condition.Type {
			continue
		}
		if old.Status == condition.Status && !old.LastTransitionTime.IsZero() {
			condition.LastTransitionTime = old.LastTransitionTime
		}
		condition.LastProbeTime = old.LastProbeTime
		(*conditions)[i] = condition
		return
	}
	*conditions = append(*conditions, condition)
}

// containersOf are a Pod's containers, init containers first.
func containersOf(pod *corev1.Pod) []*corev1.Container {
	var all []*corev1.Container
	for i := range pod.Spec.InitContainers {
		all = append(all, &pod.Spec.InitContainers[i])
	}
	for i := range pod.Spec.Containers {
		all = append(all, &pod.Spec.Containers[i])
	}
	return all
}

// rolesOf are the roles of containersOf.
func rolesOf(pod *corev1.Pod) []role {
	var roles []role
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			roles = append(roles, roleSidecar)
		} else {
			roles = append(roles, roleInit)
		}
	}
	for range pod.Spec.Containers {
		roles = append(roles, roleMain)
	}
	return roles
}

// stamp is a time as the API keeps it, in whole seconds: a finer one would
// always differ from what was read back.
func stamp(t time.Time) metav1.Time { return metav1.NewTime(t).Rfc3339Copy() }

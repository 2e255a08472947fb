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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/localcluster/echo"
)

func runningStatus(name string, ready bool) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, Ready: ready, Started: new(true), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
}

func endedStatus(name string, code int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}}
}

func waitingStatus(name string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}}
}

func podOf(containers ...string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns", Generation: 3}}
	for _, name := range containers {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: name})
	}
	return pod
}

// conditions are name=status, or name=status(reason).
func conditionsOf(status corev1.PodStatus) map[string]string {
	all := map[string]string{}
	for _, c := range status.Conditions {
		all[string(c.Type)] = string(c.Status)
		if c.Reason != "" {
			all[string(c.Type)] += "(" + c.Reason + ")"
		}
	}
	return all
}

func TestPhaseAndConditions(t *testing.T) {
	type conditions = map[string]string
	gated := podOf("a")
	gated.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.com/lb"}}
	passed := gated.DeepCopy()
	passed.Status.Conditions = []corev1.PodCondition{{Type: "example.com/lb", Status: corev1.ConditionTrue}}
	unready := "False(ContainersNotReady)"
	for name, tc := range map[string]struct {
		o    observed
		want corev1.PodPhase
		is   conditions
	}{
		"no network yet": {
			observed{pod: podOf("a"), containers: []corev1.ContainerStatus{waitingStatus("a")}}, corev1.PodPending,
			conditions{"PodReadyToStartContainers": "False", "Initialized": "False(ContainersNotInitialized)", "Ready": unready, "ContainersReady": unready, "PodScheduled": "True"},
		},
		"running and ready": {
			observed{pod: podOf("a"), sandbox: true, plan: plan{initialized: true}, containers: []corev1.ContainerStatus{runningStatus("a", true)}}, corev1.PodRunning,
			conditions{"PodReadyToStartContainers": "True", "Initialized": "True", "Ready": "True", "ContainersReady": "True", "PodScheduled": "True"},
		},
		"one of two is not ready": {
			observed{pod: podOf("a", "b"), sandbox: true, plan: plan{initialized: true}, containers: []corev1.ContainerStatus{runningStatus("a", true), runningStatus("b", false)}}, corev1.PodRunning,
			conditions{"PodReadyToStartContainers": "True", "Initialized": "True", "Ready": unready, "ContainersReady": unready, "PodScheduled": "True"},
		},
		"a readiness gate holds": {
			observed{pod: gated, sandbox: true, plan: plan{initialized: true}, containers: []corev1.ContainerStatus{runningStatus("a", true)}}, corev1.PodRunning,
			conditions{"PodReadyToStartContainers": "True", "Initialized": "True", "Ready": "False(ReadinessGatesNotReady)", "ContainersReady": "True", "PodScheduled": "True"},
		},
		"a readiness gate is open": {
			observed{pod: passed, sandbox: true, plan: plan{initialized: true}, containers: []corev1.ContainerStatus{runningStatus("a", true)}}, corev1.PodRunning,
			conditions{"example.com/lb": "True", "PodReadyToStartContainers": "True", "Initialized": "True", "Ready": "True", "ContainersReady": "True", "PodScheduled": "True"},
		},
		"all succeeded": {
			observed{pod: podOf("a"), sandbox: true, plan: plan{initialized: true, finished: true}, containers: []corev1.ContainerStatus{endedStatus("a", 0)}}, corev1.PodSucceeded,
			conditions{"PodReadyToStartContainers": "True", "Initialized": "True(PodCompleted)", "Ready": "False(PodCompleted)", "ContainersReady": "False(PodCompleted)", "PodScheduled": "True"},
		},
		"one failed": {
			observed{pod: podOf("a", "b"), sandbox: true, plan: plan{initialized: true, finished: true, failed: true}, containers: []corev1.ContainerStatus{endedStatus("a", 0), endedStatus("b", 2)}}, corev1.PodFailed,
			conditions{"PodReadyToStartContainers": "True", "Initialized": "True", "Ready": "False(PodFailed)", "ContainersReady": "False(PodFailed)", "PodScheduled": "True"},
		},
		"terminating and still serving": {
			observed{pod: podOf("a"), sandbox: true, terminating: true, plan: plan{initialized: true}, containers: []corev1.ContainerStatus{runningStatus("a", true)}}, corev1.PodRunning,
			conditions{"PodReadyToStartContainers": "True", "Initialized": "True", "Ready": "True", "ContainersReady": "True", "PodScheduled": "True"},
		},
		"terminated": {
			observed{pod: podOf("a"), sandbox: true, terminating: true, ended: true, plan: plan{initialized: true}, containers: []corev1.ContainerStatus{endedStatus("a", 143)}}, corev1.PodFailed,
			conditions{"PodReadyToStartContainers": "True", "Initialized": "True", "Ready": "False(PodFailed)", "ContainersReady": "False(PodFailed)", "PodScheduled": "True"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := podStatus(tc.o)
			if got.Phase != tc.want || got.ObservedGeneration != 3 {
				t.Errorf("phase %s of generation %d, want %s", got.Phase, got.ObservedGeneration, tc.want)
			}
			if diff := cmp.Diff(tc.is, conditionsOf(got)); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTransitionTimesChangeWithTheStatusOnly(t *testing.T) {
	o := observed{pod: podOf("a"), sandbox: true, plan: plan{initialized: true}, containers: []corev1.ContainerStatus{runningStatus("a", false)}, now: now, startTime: now}
	first := podStatus(o)
	o.pod.Status, o.now = first, now.Add(time.Minute)
	if diff := cmp.Diff(first, podStatus(o)); diff != "" {
		t.Errorf("nothing changed but (-want +got):\n%s", diff)
	}
	o.containers[0].Ready = true
	for _, c := range podStatus(o).Conditions {
		want := now
		if c.Type == corev1.PodReady || c.Type == corev1.ContainersReady {
			want = o.now
		}
		if !c.LastTransitionTime.Time.Equal(want) {
			t.Errorf("%s changed at %s, want %s", c.Type, c.LastTransitionTime, want)
		}
	}
}

func TestContainerStatusOverItsRuns(t *testing.T) {
	pod := podOf("a")
	pod.UID = "u"
	c := newContainers(pod, nil)[0]
	shape := func() string {
		s := c.status(pod, c.phase == phaseExited && c.failures > 1)
		switch {
		case s.State.Running != nil && s.Ready:
			return "ready"
		case s.State.Running != nil:
			return "running"
		case s.State.Terminated != nil:
			return s.State.Terminated.Reason
		}
		return s.State.Waiting.Reason
	}
	var got []string
	note := func() { got = append(got, shape()) }
	note()
	c.begin(pod, finishedRun{}, nil, now)
	note()
	c.ready = true
	note()
	c.finish(ending{code: 1, reason: "Error", at: now.Add(time.Second)}, "")
	note()
	c.begin(pod, finishedRun{}, nil, now.Add(time.Second))
	c.finish(ending{code: 1, reason: "Error", at: now.Add(2 * time.Second)}, "")
	note()
	if diff := cmp.Diff([]string{"ContainerCreating", "running", "ready", "Error", "CrashLoopBackOff"}, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	s := c.status(pod, true)
	if s.RestartCount != 1 || s.LastTerminationState.Terminated.ExitCode != 1 {
		t.Errorf("restarts %d, last %v", s.RestartCount, s.LastTerminationState.Terminated)
	}
	c.begin(pod, finishedRun{}, nil, now)
	c.finish(ending{at: now.Add(settled)}, "")
	if c.failures != 1 {
		t.Errorf("%d failures are remembered after a long run, want this end alone", c.failures)
	}
}

func TestNodeStatus(t *testing.T) {
	config := Config{
		NodeName: "node-1", NodeIPs: []netip.Addr{netip.MustParseAddr("172.18.0.2"), netip.MustParseAddr("fd18::2")},
		PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.1.0/24"), netip.MustParsePrefix("fd00:10:244:1::/64")},
		Labels:   map[string]string{corev1.LabelTopologyZone: "zone-b"},
	}
	node := desiredNode(config)
	if node.Labels[corev1.LabelHostname] != "node-1" || node.Labels[corev1.LabelTopologyZone] != "zone-b" || len(node.Spec.PodCIDRs) != 2 || node.Spec.PodCIDR != "10.244.1.0/24" {
		t.Errorf("labels %v, pod CIDRs %v", node.Labels, node.Spec.PodCIDRs)
	}
	status := nodeStatus(config, corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: "Other"}}}, now)
	want := []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "172.18.0.2"}, {Type: corev1.NodeInternalIP, Address: "fd18::2"}, {Type: corev1.NodeHostName, Address: "node-1"}}
	if diff := cmp.Diff(want, status.Addresses); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	if pods := status.Allocatable.Pods().Value(); pods != 250 || status.DaemonEndpoints.KubeletEndpoint.Port != 10250 || len(status.Conditions) != 5 {
		t.Errorf("%d pods, kubelet port %d, conditions %v", pods, status.DaemonEndpoints.KubeletEndpoint.Port, status.Conditions)
	}
	later := nodeStatus(config, status, now.Add(time.Minute))
	for _, c := range later.Conditions {
		if c.Type != "Other" && (!c.LastTransitionTime.Time.Equal(now) || !c.LastHeartbeatTime.Time.Equal(now.Add(time.Minute))) {
			t.Errorf("%s: since %s, heard %s", c.Type, c.LastTransitionTime, c.LastHeartbeatTime)
		}
	}
}

func TestAPortUnderTwoNamesIsOpenedOnce(t *testing.T) {
	got := echoPorts(&corev1.Container{Ports: []corev1.ContainerPort{
		{Name: "web", ContainerPort: 80}, {Name: "http", ContainerPort: 80, Protocol: corev1.ProtocolTCP}, {Name: "udp", ContainerPort: 80, Protocol: corev1.ProtocolUDP},
	}})
	if diff := cmp.Diff([]echo.Port{{Number: 80, Protocol: "TCP"}, {Number: 80, Protocol: "UDP"}}, got); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
}

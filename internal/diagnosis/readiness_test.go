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
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func problemOf(want Reason, change func(*corev1.Pod), says ...string) outcome {
	return outcome{state: Problem, check: CheckReadiness, want: want, says: says, change: func(f *Facts) { f.eachPod(change) }}
}

// unfit is a pod of which the scheduler says that.
func unfit(why string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		unscheduled(pod)
		pod.Status.Conditions[0].Message = why
	}
}

func TestPodsNotReady(t *testing.T) {
	crash := func(pod *corev1.Pod) {
		notReadyNow(pod, waiting("CrashLoopBackOff", "back-off 5m0s"))
		pod.Status.ContainerStatuses[0].RestartCount = 12
		pod.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}
	}
	probe := func(change func(*corev1.Probe)) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			probeFails(pod)
			pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{}
			change(pod.Spec.Containers[0].ReadinessProbe)
		}
	}
	examined(t, map[string]outcome{
		"the readiness probe fails": problemOf(PodsNotReady, probeFails, "none of the 3 pods is ready: web-1, web-2 and web-3: readiness probe GET http :8080/healthz of container web fails",
			"kubectl -n shop describe pod web-1"),
		"the probe asks another port": problemOf(PodsNotReady, probe(func(p *corev1.Probe) {
			p.HTTPGet = &corev1.HTTPGetAction{Port: intstr.FromInt32(9090), Scheme: "HTTPS"}
		}),
			"GET https :9090/ of container web fails (the container declares http (8080))"),
		"the probe connects":       problemOf(PodsNotReady, probe(func(p *corev1.Probe) { p.TCPSocket = &corev1.TCPSocketAction{Port: intstr.FromString("http")} }), "probe connect tcp :http of container web fails;"),
		"the probe runs a command": problemOf(PodsNotReady, probe(func(p *corev1.Probe) { p.Exec = &corev1.ExecAction{Command: []string{"pg_isready", "-U", "x"}} }), "probe exec pg_isready -U x of"),
		"the probe checks gRPC":    problemOf(PodsNotReady, probe(func(p *corev1.Probe) { p.GRPC = &corev1.GRPCAction{Port: 9000, Service: new("shop")} }), "probe check grpc :9000 shop of"),
		"the startup probe has not passed": problemOf(PodsNotReady, func(pod *corev1.Pod) {
			probeFails(pod)
			pod.Spec.Containers[0].StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(8080)}}}
			pod.Status.ContainerStatuses[0].Started = new(false)
		}, "startup probe connect tcp :8080"),
		"the container ends again and again": problemOf(PodsNotReady, crash, "container web ends again and again (CrashLoopBackOff) with exit code 137 (OOMKilled)", "kubectl -n shop logs web-1 -c web --previous"),
		"the container has ended": problemOf(PodsNotReady, func(pod *corev1.Pod) {
			notReadyNow(pod, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}})
		}, "container web has ended with exit code 1;"),
		"the image can not be had": problemOf(PodsNotReady, func(pod *corev1.Pod) { notReadyNow(pod, waiting("ImagePullBackOff", "no such host")) },
			"the image example.org/web:1 of container web can not be had (ImagePullBackOff)", "correct the image of container web"),
		"what the container refers to is missing": problemOf(PodsNotReady, func(pod *corev1.Pod) {
			notReadyNow(pod, waiting("CreateContainerConfigError", `secret "db" not found`))
		},
			`container web can not be created (CreateContainerConfigError: secret "db" not found)`),
		"the container is being created": problemOf(PodsNotReady, func(pod *corev1.Pod) {
			notReadyNow(pod, waiting("ContainerCreating", ""))
			pod.Status.PodIP, pod.Status.PodIPs = "", nil
		}, "container web is being created"),
		"an init container does not get done": problemOf(PodsNotReady, func(pod *corev1.Pod) {
			pod.Spec.InitContainers = []corev1.Container{{Name: "migrate"}}
			pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "migrate", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
			notReadyNow(pod, waiting("PodInitializing", ""))
		}, "waiting for init container migrate", "logs web-1 -c migrate"),
		"an init container crashes": problemOf(PodsNotReady, func(pod *corev1.Pod) {
			pod.Spec.InitContainers = []corev1.Container{{Name: "migrate"}}
			pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "migrate", State: waiting("CrashLoopBackOff", "")}}
			notReadyNow(pod, waiting("PodInitializing", ""))
		}, "container migrate ends again and again"),
		"a sidecar is not ready": problemOf(PodsNotReady, func(pod *corev1.Pod) {
			podCondition(pod, corev1.PodReady).Status = corev1.ConditionFalse
			pod.Spec.InitContainers = []corev1.Container{{Name: "mesh", RestartPolicy: new(corev1.ContainerRestartPolicyAlways),
				ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"ready"}}}}}}
			pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "mesh", Started: new(true), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
		}, "readiness probe exec ready of container mesh fails"),
		"their volumes are not bound": problemOf(PodsNotReady, unfit("0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."),
			"has unbound immediate PersistentVolumeClaims; see why its PersistentVolumeClaims are not bound."),
		"they tolerate no node":            problemOf(PodsNotReady, unfit("0/2 nodes are available: 2 node(s) had untolerated taint {dedicated: db}."), "taint {dedicated: db}; change the pod's tolerations, affinity"),
		"they tolerate the full node only": problemOf(PodsNotReady, unfit("0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {dedicated: db}."), "make room, or change"),
		"they fit no node":                 problemOf(PodsNotReady, unscheduled, "fits no node: 0/2 nodes are available: 2 Insufficient cpu; make room"),
		"they wait for gates of scheduling": problemOf(PodsNotReady, func(pod *corev1.Pod) {
			unscheduled(pod)
			pod.Status.Conditions[0].Reason = corev1.PodReasonSchedulingGated
		}, "waiting for scheduling gates"),
		"nobody schedules": problemOf(PodsNotReady, func(pod *corev1.Pod) {
			unscheduled(pod)
			pod.Status.Conditions = nil
		}, "no node yet; see whether the scheduler runs"),
		"no kubelet starts them": problemOf(PodsNotReady, func(pod *corev1.Pod) {
			pod.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}}}
		}, "not started by its node yet"),
		"a readiness gate is closed": problemOf(PodsNotReady, func(pod *corev1.Pod) {
			podCondition(pod, corev1.PodReady).Status = corev1.ConditionFalse
			pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.org/lb"}}
		}, "waiting for readiness gate example.org/lb"),
		"they run, and have no probe": problemOf(PodsNotReady, func(pod *corev1.Pod) {
			probeFails(pod)
			pod.Spec.Containers[0].ReadinessProbe = nil
		}, "container web runs, and has no probe, but is not ready yet; see whether the kubelet of node n1"),
		"they do not say why":     problemOf(PodsNotReady, func(pod *corev1.Pod) { podCondition(pod, corev1.PodReady).Status = corev1.ConditionFalse }, "not ready, without saying why"),
		"they have ended":         problemOf(PodsNotReady, func(pod *corev1.Pod) { pod.Status.Phase, pod.Status.Reason = corev1.PodFailed, "Evicted" }, "ended (Failed: Evicted)"),
		"they have no address":    problemOf(PodsNotReady, func(pod *corev1.Pod) { pod.Status.PodIP, pod.Status.PodIPs = "", nil }, "no IP address yet"),
		"they are leaving":        problemOf(PodsNotReady, func(pod *corev1.Pod) { probeFails(pod); pod.DeletionTimestamp = new(ago(0)) }, "being deleted; see whether other pods are made"),
		"their node is not there": problemOf(NodeUnknown, func(pod *corev1.Pod) { pod.Spec.NodeName = "n9" }, "node n9 does not exist; make pod web-1 anew on a node that exists"),
		"their node has stopped reporting": {state: Problem, check: CheckReadiness, want: NodeUnknown, says: []string{"node n1 has stopped reporting; repair node n1, or make the pod anew on another"}, change: func(f *Facts) {
			f.eachPod(func(pod *corev1.Pod) { probeFails(pod); pod.Spec.NodeName = "n1" })
			f.Nodes[0].Status.Conditions[0].Status = corev1.ConditionUnknown
		}},
		"different troubles, the most useful first": {state: Problem, check: CheckReadiness, want: PodsNotReady,
			says: []string{"web-3: container web ends again", ", and web-1: fits no node", ", and 1 more"}, details: []string{"web-3: ", "12 restarts", "web-2: readiness probe"}, change: func(f *Facts) {
				unscheduled(f.Selected[0])
				probeFails(f.Selected[1])
				crash(f.Selected[2])
			}},
		"one of three crashes": {state: Warning, check: CheckReadiness, want: PodsNotReady, says: []string{"answers, but 1 of 3 pods is not ready: web-2: container web ends"}, change: func(f *Facts) { crash(f.Selected[1]) }},
		"only pods that leave answer": {state: Warning, check: CheckReadiness, want: OnlyTerminatingPods, says: []string{"only pods that are being deleted answer (web-1, web-2 and web-3)"}, change: func(f *Facts) {
			f.eachPod(func(pod *corev1.Pod) { pod.DeletionTimestamp = new(ago(0)) })
		}},
		"only pods that leave answer, the others crash": {state: Warning, check: CheckReadiness, want: OnlyTerminatingPods, says: []string{"and web-2: container web ends", "--previous"}, change: func(f *Facts) {
			f.eachPod(func(pod *corev1.Pod) { pod.DeletionTimestamp = new(ago(0)) })
			f.Selected[1].DeletionTimestamp = nil
			crash(f.Selected[1])
		}},
	})
}

// What was made just now is given time in words, whatever the verdict.
func TestPodsThatMayStillStart(t *testing.T) {
	made := func(d time.Duration, change func(*corev1.Pod)) func(*Facts) {
		return func(f *Facts) {
			f.eachPod(func(pod *corev1.Pod) { pod.CreationTimestamp = ago(d); change(pod) })
		}
	}
	const wait = "give them a minute, made just now as they were; then see kubectl -n shop describe pod web-1"
	for name, tc := range map[string]struct {
		change func(*Facts)
		waits  bool
	}{
		"made just now":              {made(5*time.Second, probeFails), true},
		"made a while ago":           {made(5*time.Minute, probeFails), false},
		"made just now, and failing": {made(5*time.Second, func(pod *corev1.Pod) { notReadyNow(pod, waiting("ImagePullBackOff", "")) }), false},
		"one of them made a while ago": {func(f *Facts) {
			made(5*time.Second, probeFails)(f)
			f.Selected[2].CreationTimestamp = ago(time.Hour)
		}, false},
	} {
		f := webFacts()
		tc.change(f)
		f.follow()
		if v := Examine(f).Verdict; v.State != Problem || strings.Contains(v.Sentence, wait) != tc.waits {
			t.Errorf("%s: %s %s", name, v.State, v.Sentence)
		}
	}
}

// What comes and goes beside ready pods is no news.
func TestReadyEnough(t *testing.T) {
	examined(t, map[string]outcome{
		"a Job's pod that has ended":    {state: OK, change: func(f *Facts) { f.Selected[0].Status.Phase = corev1.PodSucceeded; probeFails(f.Selected[0]) }},
		"an evicted pod":                {state: OK, check: CheckReadiness, details: []string{"Evicted"}, change: func(f *Facts) { f.Selected[0].Status.Phase, f.Selected[0].Status.Reason = corev1.PodFailed, "Evicted" }},
		"a pod that leaves":             {state: OK, change: func(f *Facts) { f.Selected[0].DeletionTimestamp = new(ago(0)) }},
		"a pod that leaves and is away": {state: OK, change: func(f *Facts) { f.Selected[0].DeletionTimestamp = new(ago(0)); probeFails(f.Selected[0]) }},
		"a pod that starts": {state: OK, check: CheckReadiness, details: []string{"web-1: readiness probe"}, change: func(f *Facts) {
			probeFails(f.Selected[0])
			f.Selected[0].CreationTimestamp = ago(5 * time.Second)
		}},
		"a pod that has been starting for long": {state: Warning, check: CheckReadiness, want: PodsNotReady, change: func(f *Facts) {
			probeFails(f.Selected[0])
			f.Selected[0].CreationTimestamp = ago(10 * time.Minute)
		}},
		"not ready and published all the same": {state: OK, check: CheckReadiness, details: []string{"web-1: readiness probe"}, change: func(f *Facts) {
			f.Service.Spec.PublishNotReadyAddresses = true
			f.eachPod(probeFails)
		}},
		"an init container that is done": {state: OK, change: func(f *Facts) {
			f.eachPod(func(pod *corev1.Pod) {
				pod.Spec.InitContainers = []corev1.Container{{Name: "migrate"}}
				pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "migrate", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}}
			})
		}},
		"pods that end time and again": {state: OK, check: CheckReadiness, details: []string{"web-2 is ready, and its container web has been restarted 700 times"}, change: func(f *Facts) {
			f.Selected[1].Status.ContainerStatuses[0].RestartCount = 700
		}},
		"nodes that could not be seen": {state: OK, change: func(f *Facts) { f.Nodes, f.Unseen = nil, map[Kind]string{Nodes: "forbidden"} }},
	})
}

func TestPodsThatHaveJustChanged(t *testing.T) {
	f := webFacts()
	e := &examination{Facts: f}
	if e.recent(time.Time{}) {
		t.Error("what has no time is recent")
	}
	if f.Now = (time.Time{}); e.recent(now) {
		t.Error("without a time, something is recent")
	}
}

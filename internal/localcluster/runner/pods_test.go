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

package runner_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/netns"
)

func TestPodsAnswerTheirNodeEachOtherAndThemselves(t *testing.T) {
	n := newNode(t)
	a := n.untilReady(n.pod("a", nil))
	b := n.untilReady(n.pod("b", nil))
	if len(a.Status.PodIPs) != 2 || a.Status.PodIP != a.Status.PodIPs[0].IP {
		t.Fatalf("podIP %s and podIPs %v, want one per family", a.Status.PodIP, a.Status.PodIPs)
	}
	for from, ns := range map[string]*netns.Namespace{"node": n.config.Namespace, "b": n.netnsOf(b), "a": n.netnsOf(a)} {
		for _, ip := range a.Status.PodIPs {
			body, _, err := get(ns, "http://"+net.JoinHostPort(ip.IP, "80")+"/hostname")
			if err != nil || strings.TrimSpace(body) != a.Name {
				t.Errorf("from %s to %s: %q, %v; want %q", from, ip.IP, body, err, a.Name)
			}
		}
	}
	body, _, err := get(n.netnsOf(b), "http://"+a.Status.PodIP+"/clientip")
	if err != nil || !strings.HasPrefix(body, b.Status.PodIP+":") {
		t.Errorf("a sees its client as %q, %v; want %s", body, err, b.Status.PodIP)
	}
}

func TestStatusIsWhatAKubeletReports(t *testing.T) {
	n := newNode(t)
	pod := n.untilReady(n.pod("web", nil))
	status := pod.Status
	if status.Phase != corev1.PodRunning || status.StartTime == nil || status.HostIP != n.config.NodeIPs[0].String() || len(status.HostIPs) != 2 {
		t.Errorf("phase %s, startTime %v, hostIPs %v", status.Phase, status.StartTime, status.HostIPs)
	}
	for _, want := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
		found := false
		for _, c := range status.Conditions {
			found = found || (c.Type == want && c.Status == corev1.ConditionTrue && !c.LastTransitionTime.IsZero())
		}
		if !found {
			t.Errorf("condition %s is not true in %v", want, status.Conditions)
		}
	}
	c := status.ContainerStatuses[0]
	if !c.Ready || c.Started == nil || !*c.Started || c.State.Running == nil || c.ContainerID == "" || c.Image != "example.com/any" {
		t.Errorf("container status %+v", c)
	}
}

func TestReadinessFollowsTheProbeAndTheSwitch(t *testing.T) {
	n := newNode(t)
	probed := n.pod("probed", func(p *corev1.Pod) { p.Spec.Containers[0].ReadinessProbe = httpProbe("/ready") })
	plain := n.pod("plain", nil)
	for _, pod := range []*corev1.Pod{probed, plain} {
		pod = n.untilReady(pod)
		url := "http://" + pod.Status.PodIP
		for _, on := range []bool{false, true} {
			if _, _, err := get(n.config.Namespace, fmt.Sprintf("%s/ready?set=%t", url, on)); err != nil {
				t.Fatal(err)
			}
			n.until(pod, fmt.Sprintf("ready=%t", on), func(p *corev1.Pod) bool { return ready(p) == on })
		}
	}
}

func TestADeletedPodAnswersUntilItsGracePeriodIsOver(t *testing.T) {
	n := newNode(t)
	pod := n.untilReady(n.pod("web", func(p *corev1.Pod) {
		grace := int64(300)
		p.Spec.TerminationGracePeriodSeconds = &grace
	}))
	if err := n.client.CoreV1().Pods(pod.Namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	body, _, err := get(n.config.Namespace, "http://"+pod.Status.PodIP+"/hostname")
	if err != nil || strings.TrimSpace(body) != pod.Name {
		t.Errorf("while terminating: %q, %v", body, err)
	}
	if got, ok := n.get(pod); !ok || !ready(got) || got.DeletionTimestamp == nil {
		t.Errorf("a terminating Pod that still answers should be ready and marked: %v", got)
	}
	sooner := int64(1) // moves the deadline
	if err := n.client.CoreV1().Pods(pod.Namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &sooner}); err != nil {
		t.Fatal(err)
	}
	n.untilGone(pod)
	n.eventually("its link to be gone", func() (bool, string) {
		_, _, err := get(n.config.Namespace, "http://"+pod.Status.PodIP+"/")
		return err != nil, "it answers"
	})
	if _, err := os.Stat(filepath.Join(n.config.NamespaceDir, pod.Namespace+"_"+pod.Name)); !os.IsNotExist(err) {
		t.Errorf("its namespace still has a name: %v", err)
	}
}

func TestAFailingLivenessProbeRestartsTheContainer(t *testing.T) {
	n := newNode(t)
	pod := n.untilReady(n.pod("web", func(p *corev1.Pod) { p.Spec.Containers[0].LivenessProbe = httpProbe("/healthz") }))
	if _, _, err := get(n.config.Namespace, "http://"+pod.Status.PodIP+"/healthz?set=false"); err != nil {
		t.Fatal(err)
	}
	pod = n.until(pod, "restarted", func(p *corev1.Pod) bool { return ready(p) && p.Status.ContainerStatuses[0].RestartCount == 1 })
	if pod.Status.ContainerStatuses[0].LastTerminationState.Terminated == nil {
		t.Error("the status does not tell how the earlier run ended")
	}
	if _, code, err := get(n.config.Namespace, "http://"+pod.Status.PodIP+"/healthz"); err != nil || code != 200 {
		t.Errorf("after the restart: %d, %v", code, err)
	}
}

func TestARestartedRunnerKeepsAddressesAndEchoContainers(t *testing.T) {
	n := newNode(t)
	kept := n.untilReady(n.pod("kept", nil))
	deleted := n.untilReady(n.pod("deleted", nil))
	program := n.until(n.pod("program", programPod("sleep", "1000")), "running", func(p *corev1.Pod) bool { return ready(p) })
	n.stop()
	if _, err := os.Stat(filepath.Join(n.config.NamespaceDir, "default_"+kept.Name)); !os.IsNotExist(err) {
		t.Errorf("a stopped runner left a namespace behind: %v", err)
	}
	if err := n.client.CoreV1().Pods("default").Delete(t.Context(), deleted.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	n.start()
	n.eventually("the kept Pod to answer again", func() (bool, string) {
		body, _, err := get(n.config.Namespace, "http://"+kept.Status.PodIP+"/hostname")
		return err == nil && strings.TrimSpace(body) == kept.Name, fmt.Sprint(body, err)
	})
	n.untilGone(deleted)
	n.until(program, "restarted", func(p *corev1.Pod) bool {
		return ready(p) && p.Status.ContainerStatuses[0].RestartCount == 1 && p.Status.PodIP == program.Status.PodIP
	})
	if got := n.untilReady(kept); got.Status.ContainerStatuses[0].RestartCount != 0 || got.Status.PodIP != kept.Status.PodIP {
		t.Errorf("restarts %d, address %s, want 0 and %s", got.Status.ContainerStatuses[0].RestartCount, got.Status.PodIP, kept.Status.PodIP)
	}
}

func TestHostNetworkPodsUseTheNode(t *testing.T) {
	n := newNode(t)
	pod := n.untilReady(n.pod("host", func(p *corev1.Pod) {
		p.Spec.HostNetwork = true
		p.Spec.Containers[0].Ports[0].ContainerPort = 8080
		p.Spec.Containers[0].Ports[0].HostPort = 8080
	}))
	if pod.Status.PodIP != n.config.NodeIPs[0].String() {
		t.Errorf("podIP %s, want the node's", pod.Status.PodIP)
	}
	if body, _, err := get(n.config.Namespace, "http://"+pod.Status.PodIP+":8080/hostname"); err != nil || strings.TrimSpace(body) != pod.Name {
		t.Errorf("%q, %v", body, err)
	}
}

func TestContainersOfOnePodShareItsNetwork(t *testing.T) {
	n := newNode(t)
	pod := n.untilReady(n.pod("two", func(p *corev1.Pod) {
		second := p.Spec.Containers[0].DeepCopy()
		second.Name, second.Ports[0].ContainerPort, second.Ports[0].Name = "second", 81, "other"
		p.Spec.Containers = append(p.Spec.Containers, *second)
		always := corev1.ContainerRestartPolicyAlways
		p.Spec.InitContainers = []corev1.Container{
			{Name: "once", Image: "example.com/init"},
			{Name: "sidecar", Image: "example.com/sidecar", RestartPolicy: &always, Ports: []corev1.ContainerPort{{ContainerPort: 82}}},
		}
	}))
	for _, port := range []string{"80", "81", "82"} {
		if _, _, err := get(n.config.Namespace, "http://"+pod.Status.PodIP+":"+port+"/"); err != nil {
			t.Error(err)
		}
	}
	if once := pod.Status.InitContainerStatuses[0]; once.State.Terminated == nil || !once.Ready {
		t.Errorf("init container %+v", once)
	}
}

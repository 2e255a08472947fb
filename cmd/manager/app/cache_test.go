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

package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

func TestPodsKeepWhatEndpointsAndRulesRead(t *testing.T) {
	ports := []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, HostPort: 80}}
	always := ptr.To(corev1.ContainerRestartPolicyAlways)
	kept := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "u", Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{
			NodeName: "node", HostNetwork: true, Hostname: "web-0", Subdomain: "web",
			Containers:     []corev1.Container{{Name: "c", Ports: ports}},
			InitContainers: []corev1.Container{{Name: "i", Ports: ports, RestartPolicy: always}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: "10.1.0.1"}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
	pod := kept.DeepCopy()
	pod.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
	pod.Annotations = map[string]string{"long": "text"}
	pod.Spec.Volumes = []corev1.Volume{{Name: "v"}}
	pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "E"}}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c"}}

	got, err := trimPod(pod)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&kept, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Why a pod is not ready is in the part of it that is left out of all others.
func TestPodsThatAreNotReadyKeepWhatSaysWhy(t *testing.T) {
	pod := func() *corev1.Pod {
		return &corev1.Pod{
			Spec: corev1.PodSpec{
				ReadinessGates: []corev1.PodReadinessGate{{ConditionType: "example.com/gate"}},
				Containers: []corev1.Container{{Name: "c", Image: "web:1", ReadinessProbe: &corev1.Probe{PeriodSeconds: 1}, StartupProbe: &corev1.Probe{PeriodSeconds: 2},
					LivenessProbe: &corev1.Probe{PeriodSeconds: 3}, Env: []corev1.EnvVar{{Name: "E"}}}},
			},
			Status: corev1.PodStatus{
				Phase: corev1.PodRunning,
				ContainerStatuses: []corev1.ContainerStatus{{
					Name: "c", Image: "web:1", ImageID: "sha256:1", ContainerID: "containerd://1", RestartCount: 3, Started: new(false),
					State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
					LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", ContainerID: "containerd://0"}},
				}},
				InitContainerStatuses:      []corev1.ContainerStatus{{Name: "i", ImageID: "sha256:2", Ready: true}},
				EphemeralContainerStatuses: []corev1.ContainerStatus{{Name: "e"}},
			},
		}
	}
	want := &corev1.Pod{
		Spec: corev1.PodSpec{
			ReadinessGates: []corev1.PodReadinessGate{{ConditionType: "example.com/gate"}},
			Containers:     []corev1.Container{{Name: "c", Image: "web:1", ReadinessProbe: &corev1.Probe{PeriodSeconds: 1}, StartupProbe: &corev1.Probe{PeriodSeconds: 2}}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning,
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: "c", Image: "web:1", RestartCount: 3, Started: new(false),
				State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}},
			}},
			InitContainerStatuses: []corev1.ContainerStatus{{Name: "i", Ready: true}},
		},
	}
	for status, kept := range map[corev1.ConditionStatus]bool{corev1.ConditionFalse: true, corev1.ConditionUnknown: true, corev1.ConditionTrue: false} {
		conditions := []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: status}}
		cached, expected := pod(), want.DeepCopy()
		cached.Status.Conditions, expected.Status.Conditions = conditions, conditions
		if !kept {
			expected.Spec = corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}
			expected.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: conditions}
		}
		if got, err := trimPod(cached); err != nil || !cmp.Equal(expected, got) {
			t.Errorf("%v: a pod whose condition Ready is %s (-want +got):\n%s", err, status, cmp.Diff(expected, got))
		}
	}
	ended := pod()
	ended.Status.Phase = corev1.PodFailed
	if _, err := trimPod(ended); err != nil || ended.Status.ContainerStatuses != nil || ended.Spec.ReadinessGates != nil {
		t.Errorf("%v: a pod that has ended has kept %+v", err, ended.Status)
	}
}

func TestAddressesKeepWhoTheyBelongTo(t *testing.T) {
	kept := networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: "10.0.0.7", UID: "u", Labels: map[string]string{networkingv1.LabelManagedBy: "ipallocator.k8s.io"}},
		Spec:       networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: "default", Name: "web"}},
	}
	address := kept.DeepCopy()
	address.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kube-apiserver"}}
	address.Labels[networkingv1.LabelIPAddressFamily] = "IPv4"
	got, err := trimAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&kept, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTombstonesPassTheTransforms(t *testing.T) {
	tombstone := cache.DeletedFinalStateUnknown{Key: "default/web"}
	for _, transform := range []func(any) (any, error){trimPod, trimNode, trimAddress} {
		if got, err := transform(tombstone); err != nil || got != any(tombstone) {
			t.Errorf("got %v and %v", got, err)
		}
	}
}

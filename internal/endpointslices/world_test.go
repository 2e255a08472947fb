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

package endpointslices

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func (w *world) targetPort() intstr.IntOrString {
	if w.IntN(2) == 0 {
		return intstr.FromInt32(int32(8080 + w.IntN(2)))
	}
	return intstr.FromString(w.one("web", "metrics", "absent"))
}

func (w *world) newPod() *corev1.Pod {
	w.next++
	pod := &corev1.Pod{}
	pod.Namespace, pod.Name, pod.UID = "shop", fmt.Sprintf("web-%d", w.next), types.UID(fmt.Sprint("pod-", w.next))
	pod.Spec.NodeName = w.one("node-0", "node-1", "node-2", "node-3", "node-1", "node-2", "gone", "")
	container := func(name string) corev1.Container {
		c := corev1.Container{Name: name}
		for range w.IntN(3) {
			c.Ports = append(c.Ports, corev1.ContainerPort{
				Name: w.one("web", "metrics"), Protocol: corev1.Protocol(w.one("TCP", "UDP")), ContainerPort: int32(8080 + w.IntN(3)),
			})
		}
		return c
	}
	pod.Spec.Containers = []corev1.Container{container("app"), container("side")}
	if w.IntN(3) == 0 {
		sidecar := container("sidecar")
		sidecar.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		pod.Spec.InitContainers = []corev1.Container{container("init"), sidecar}
	}
	if w.IntN(4) == 0 {
		pod.Spec.Hostname, pod.Spec.Subdomain = pod.Name, w.one("web", "other")
	}
	w.changePod(pod)
	return pod
}

func (w *world) changePod(pod *corev1.Pod) {
	pod.ResourceVersion = fmt.Sprint(w.Int())
	pod.Status.Phase = corev1.PodPhase(w.one("Running", "Running", "Running", "Pending", "Succeeded", "Failed"))
	pod.Status.Conditions = nil
	if w.IntN(6) > 0 {
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionStatus(w.one("True", "True", "False", "Unknown"))}}
	}
	if pod.DeletionTimestamp == nil && w.IntN(8) == 0 {
		pod.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	}
	v4, v6 := corev1.PodIP{IP: fmt.Sprintf("10.1.%d.%d", w.next/200, 1+w.next%200)}, corev1.PodIP{IP: fmt.Sprintf("FD00:0::%x", w.next)}
	pod.Status.PodIPs = [][]corev1.PodIP{{v4}, {v4, v6}, {v6, v4}, {v6}, nil}[w.IntN(5)]
	pod.Status.PodIP = ""
	if len(pod.Status.PodIPs) > 0 {
		pod.Status.PodIP = pod.Status.PodIPs[0].IP
	}
}

// touch gives references the versions of pods, as controllers of long ago did.
func (w *world) touch(existing []*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice {
	touched := slices.Clone(existing)
	for i, slice := range touched {
		if len(slice.Endpoints) > 0 && w.IntN(4) == 0 {
			touched[i] = slice.DeepCopy()
			touched[i].Endpoints[w.IntN(len(slice.Endpoints))].TargetRef.ResourceVersion = fmt.Sprint(w.IntN(1000))
		}
	}
	return touched
}

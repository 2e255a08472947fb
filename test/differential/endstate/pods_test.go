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

package endstate

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// newPod is there at once, or comes up in the steps that follow. A name may be
// used again, as those of a StatefulSet are.
func (h *history) newPod() {
	h.born++
	name := fmt.Sprintf("p%d", h.born)
	if old := fmt.Sprintf("p%d", 1+h.IntN(h.born)); h.pods[old] == nil && h.chance(50) {
		name = old
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: h.labels()},
		Spec: corev1.PodSpec{
			NodeName:    one(h, "node-a", "node-b", "node-c", "node-a", "node-b", "node-c", "node-d", "control-plane"),
			HostNetwork: h.chance(12),
			Containers:  []corev1.Container{h.container("app", 60), h.container("helper", 30)},
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		},
	}
	if h.chance(4) {
		pod.Spec.NodeName = one(h, "gone", "")
	}
	if h.chance(30) {
		sidecar := h.container("sidecar", 70)
		sidecar.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		pod.Spec.InitContainers = []corev1.Container{h.container("init", 70), sidecar}
	}
	if h.chance(30) {
		pod.Spec.Hostname, pod.Spec.Subdomain = one(h, name, "same"), one(h, "web", "api", "elsewhere")
	}
	h.keepToTheHost(pod)
	h.pods[name] = pod
	h.do(step{verb: create, object: pod.DeepCopy()})
	if h.chance(90) {
		h.setStatus(pod)
	}
}

// keepToTheHost gives containers on the host's network the host's ports.
func (h *history) keepToTheHost(pod *corev1.Pod) {
	if !pod.Spec.HostNetwork {
		return
	}
	taken := map[string]bool{}
	for _, some := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range some {
			for j := range some[i].Ports {
				port := &some[i].Ports[j]
				for key := ""; ; port.ContainerPort++ {
					if key = fmt.Sprint(port.ContainerPort, port.Protocol); !taken[key] {
						taken[key] = true
						break
					}
				}
				port.HostPort = port.ContainerPort
			}
		}
	}
}

func (h *history) container(name string, percent int) corev1.Container {
	c := corev1.Container{Name: name, Image: "none"}
	for _, port := range []string{"web", "metrics", "dns"} {
		if h.chance(percent) {
			c.Ports = append(c.Ports, corev1.ContainerPort{
				Name: port, ContainerPort: int32(8080 + h.IntN(3)), Protocol: one(h, corev1.ProtocolTCP, corev1.ProtocolTCP, corev1.ProtocolUDP),
			})
		}
	}
	return c
}

func (h *history) changePod(pod *corev1.Pod) {
	switch n := h.IntN(10); {
	case n < 6:
		h.setStatus(pod)
	case n < 8:
		pod.Labels = h.labels()
		h.do(patch(&corev1.Pod{}, pod.Name, "", replace("/metadata/labels", pod.Labels)))
	case pod.DeletionTimestamp == nil && pod.Spec.NodeName != "" && pod.Status.Phase == corev1.PodRunning && h.chance(60):
		// There is no kubelet that would end it.
		pod.DeletionTimestamp = new(metav1.Now())
		h.do(step{verb: remove, object: named(&corev1.Pod{}, pod.Name), grace: 30})
	default:
		h.do(step{verb: remove, object: named(&corev1.Pod{}, pod.Name)})
		delete(h.pods, pod.Name)
	}
}

func (h *history) setStatus(pod *corev1.Pod) {
	var number int
	_, _ = fmt.Sscanf(pod.Name, "p%d", &number)
	v4, v6 := corev1.PodIP{IP: fmt.Sprintf("10.9.0.%d", number)}, corev1.PodIP{IP: fmt.Sprintf("fd00:9::%x", number)}
	if pod.Spec.HostNetwork {
		v4, v6 = corev1.PodIP{IP: "192.168.7.1"}, corev1.PodIP{IP: "fd00:7::1"}
	}
	status := corev1.PodStatus{
		Phase:  one(h, corev1.PodRunning, corev1.PodRunning, corev1.PodRunning, corev1.PodRunning, corev1.PodRunning, corev1.PodPending),
		PodIPs: one(h, []corev1.PodIP{v4}, []corev1.PodIP{v4, v6}, []corev1.PodIP{v4, v6}, []corev1.PodIP{v6, v4}, []corev1.PodIP{v6}, nil),
	}
	if h.chance(10) {
		status.Phase = one(h, corev1.PodSucceeded, corev1.PodFailed)
	}
	if pod.Spec.NodeName == "" {
		status.PodIPs = nil // They come from a kubelet; the server refuses Endpoints of no node.
	}
	if len(status.PodIPs) > 0 {
		status.PodIP = status.PodIPs[0].IP
	}
	if h.chance(85) {
		status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodReady, Status: one(h, corev1.ConditionTrue, corev1.ConditionTrue, corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown),
			LastTransitionTime: metav1.Unix(1_700_000_000+int64(len(h.steps)), 0),
		}}
	}
	pod.Status = status
	h.do(patch(&corev1.Pod{}, pod.Name, "status", replace("/status", status)))
}

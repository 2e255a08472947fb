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
	"iter"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// ended pods get no endpoints any more.
func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// terminating pods get endpoints that are used while there are no others.
func terminating(pod *corev1.Pod) bool { return pod.DeletionTimestamp != nil }

func podCondition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

func saysReady(pod *corev1.Pod) bool {
	ready := podCondition(pod, corev1.PodReady)
	return ready != nil && ready.Status == corev1.ConditionTrue
}

// podAddrs are the pod's addresses; none before its network is set up.
func podAddrs(pod *corev1.Pod) []netip.Addr {
	ips := pod.Status.PodIPs
	if len(ips) == 0 {
		ips = []corev1.PodIP{{IP: pod.Status.PodIP}}
	}
	addrs := make([]netip.Addr, 0, len(ips))
	for _, ip := range ips {
		if addr, err := netip.ParseAddr(ip.IP); err == nil {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}

// addrs are podAddrs, read once.
func (e *examination) addrs(pod *corev1.Pod) []netip.Addr {
	addrs, known := e.podAddrs[pod]
	if !known {
		addrs = podAddrs(pod)
		e.podAddrs[pod] = addrs
	}
	return addrs
}

// publishable pods may be endpoints that take connections: they are ready or are
// published regardless.
func (e *examination) publishable(pod *corev1.Pod) bool {
	if ended(pod) || len(e.addrs(pod)) == 0 {
		return false
	}
	if e.Service.Spec.PublishNotReadyAddresses {
		return true
	}
	return saysReady(pod) && !terminating(pod) && !e.nodeMissing(pod)
}

// readyPods are those, or what still answers while it terminates (KEP-1669). They
// are found once.
func (e *examination) readyPods() []*corev1.Pod {
	if e.ready == nil {
		e.ready = e.findReadyPods()
	}
	return e.ready
}

func (e *examination) findReadyPods() []*corev1.Pod {
	var ready, leaving []*corev1.Pod
	for _, pod := range e.Selected {
		switch {
		case e.publishable(pod):
			ready = append(ready, pod)
		case terminating(pod) && saysReady(pod) && !ended(pod) && len(e.addrs(pod)) > 0:
			leaving = append(leaving, pod)
		}
	}
	if len(ready) > 0 {
		return ready
	}
	return leaving
}

// targets are the pods whose declarations count: the ready ones if there are
// some, so that one that starts beside them raises no alarm.
func (e *examination) targets() []*corev1.Pod {
	if ready := e.readyPods(); len(ready) > 0 {
		return ready
	}
	return slices.DeleteFunc(slices.Clone(e.Selected), ended)
}

// portContainers are the containers whose ports have names: restartable init
// containers (KEP-753) come after the others.
func portContainers(pod *corev1.Pod) iter.Seq[*corev1.Container] {
	return func(yield func(*corev1.Container) bool) {
		for i := range pod.Spec.Containers {
			if !yield(&pod.Spec.Containers[i]) {
				return
			}
		}
		for i := range pod.Spec.InitContainers {
			if restartable(&pod.Spec.InitContainers[i]) && !yield(&pod.Spec.InitContainers[i]) {
				return
			}
		}
	}
}

func restartable(container *corev1.Container) bool {
	return container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func podNames(pods []*corev1.Pod) []string {
	names := make([]string, 0, len(pods))
	for _, pod := range pods {
		names = append(names, pod.Name)
	}
	return names
}

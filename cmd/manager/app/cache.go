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
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// cacheOptions keep in memory what is read and no more: nobody reads
// managedFields from the cache, pods and nodes are cut down to what endpoints
// and rules need, and the only Secret is that of the certificate. What the roles
// name is asked for by its name.
func cacheOptions(options Options) cache.Options {
	named := func(name string) fields.Selector { return fields.OneTermEqualSelector("metadata.name", name) }
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:             {Transform: trimPod},
			&corev1.Node{}:            {Transform: trimNode},
			&networkingv1.IPAddress{}: {Transform: trimAddress},
			&corev1.Secret{}: {Namespaces: map[string]cache.Config{
				options.Namespace: {FieldSelector: named(certificateSecret)},
			}},
			&admissionregistrationv1.ValidatingWebhookConfiguration{}: {Field: named(options.Webhooks.ValidatingConfiguration)},
			&admissionregistrationv1.MutatingWebhookConfiguration{}:   {Field: named(options.Webhooks.MutatingConfiguration)},
		},
	}
}

// trimPod keeps identity, labels, ports, and status. A cluster has many pods,
// and most of each is environment, volumes and probes. What says why a pod is not
// ready is kept of those that are not.
func trimPod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	pod.ManagedFields = nil
	pod.Annotations = nil
	told := explained(pod)
	trimmed := corev1.PodSpec{
		NodeName:       pod.Spec.NodeName,
		HostNetwork:    pod.Spec.HostNetwork,
		Hostname:       pod.Spec.Hostname,
		Subdomain:      pod.Spec.Subdomain,
		Containers:     trimContainers(pod.Spec.Containers, told),
		InitContainers: trimContainers(pod.Spec.InitContainers, told),
	}
	if told {
		trimmed.ReadinessGates = pod.Spec.ReadinessGates
	}
	pod.Spec = trimmed
	pod.Status.ContainerStatuses = trimStatuses(pod.Status.ContainerStatuses, told)
	pod.Status.InitContainerStatuses = trimStatuses(pod.Status.InitContainerStatuses, told)
	pod.Status.EphemeralContainerStatuses = nil
	return pod, nil
}

// explained pods are those of which somebody may ask why they are not ready.
func explained(pod *corev1.Pod) bool {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return false
	}
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.PodReady {
			return pod.Status.Conditions[i].Status != corev1.ConditionTrue
		}
	}
	return true
}

func trimContainers(containers []corev1.Container, told bool) []corev1.Container {
	var trimmed []corev1.Container
	for i := range containers {
		c := &containers[i]
		kept := corev1.Container{Name: c.Name, Ports: c.Ports, RestartPolicy: c.RestartPolicy}
		if told {
			kept.Image, kept.ReadinessProbe, kept.StartupProbe = c.Image, c.ReadinessProbe, c.StartupProbe
		}
		trimmed = append(trimmed, kept)
	}
	return trimmed
}

// trimStatuses keeps in what state containers are and in which they ended.
func trimStatuses(statuses []corev1.ContainerStatus, told bool) []corev1.ContainerStatus {
	if !told {
		return nil
	}
	var trimmed []corev1.ContainerStatus
	for i := range statuses {
		s := &statuses[i]
		trimmed = append(trimmed, corev1.ContainerStatus{
			Name: s.Name, Image: s.Image, Ready: s.Ready, Started: s.Started, RestartCount: s.RestartCount,
			State: trimState(s.State), LastTerminationState: trimState(s.LastTerminationState),
		})
	}
	return trimmed
}

func trimState(state corev1.ContainerState) corev1.ContainerState {
	if ended := state.Terminated; ended != nil {
		state.Terminated = &corev1.ContainerStateTerminated{ExitCode: ended.ExitCode, Reason: ended.Reason}
	}
	return state
}

// trimNode drops the list of images, the largest part of a Node.
func trimNode(object any) (any, error) {
	node, ok := object.(*corev1.Node)
	if !ok {
		return object, nil
	}
	node.ManagedFields = nil
	node.Annotations = nil
	node.Status.Images = nil
	return node, nil
}

// trimAddress keeps who an address belongs to. There are as many as ClusterIPs.
func trimAddress(object any) (any, error) {
	address, ok := object.(*networkingv1.IPAddress)
	if !ok {
		return object, nil
	}
	address.ManagedFields = nil
	address.Annotations = nil
	delete(address.Labels, networkingv1.LabelIPAddressFamily)
	return address, nil
}

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
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// cacheOptions keep in memory what is read and no more: nobody reads
// managedFields from the cache, pods and nodes are cut down to what endpoints
// and rules need, and the only Secret is that of the certificate.
func cacheOptions(namespace, secret string) cache.Options {
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:             {Transform: trimPod},
			&corev1.Node{}:            {Transform: trimNode},
			&networkingv1.IPAddress{}: {Transform: trimAddress},
			&corev1.Secret{}: {Namespaces: map[string]cache.Config{
				namespace: {FieldSelector: fields.OneTermEqualSelector("metadata.name", secret)},
			}},
		},
	}
}

// trimPod keeps identity, labels, ports, and status. A cluster has many pods,
// and most of each is environment, volumes and probes.
func trimPod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	pod.ManagedFields = nil
	pod.Annotations = nil
	pod.Spec = corev1.PodSpec{
		NodeName:       pod.Spec.NodeName,
		HostNetwork:    pod.Spec.HostNetwork,
		Hostname:       pod.Spec.Hostname,
		Subdomain:      pod.Spec.Subdomain,
		Containers:     trimContainers(pod.Spec.Containers),
		InitContainers: trimContainers(pod.Spec.InitContainers),
	}
	pod.Status.ContainerStatuses = nil
	pod.Status.InitContainerStatuses = nil
	pod.Status.EphemeralContainerStatuses = nil
	return pod, nil
}

func trimContainers(containers []corev1.Container) []corev1.Container {
	var trimmed []corev1.Container
	for _, c := range containers {
		trimmed = append(trimmed, corev1.Container{Name: c.Name, Ports: c.Ports, RestartPolicy: c.RestartPolicy})
	}
	return trimmed
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

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

package controllers

import (
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/endpointslice"
	endpointsliceutil "k8s.io/endpointslice/util"
	utilnet "k8s.io/utils/net"

	"switchyard.dev/switchyard/internal/subsets"
)

const (
	endpointsManagedByLabel = "endpoints.kubernetes.io/managed-by"
	overCapacityTruncated   = "truncated"
)

// maxEndpointsAddresses is how many addresses an Endpoints object may carry; what
// needs more must read EndpointSlices (KEP-0752).
const maxEndpointsAddresses = 1000

// desiredEndpoints is what the Endpoints object of a Service with a selector
// should be, given its pods. current, which may be nil, contributes the identity
// and the annotations that are not ours; it is not modified.
func desiredEndpoints(current *corev1.Endpoints, service *corev1.Service, pods []*corev1.Pod) *corev1.Endpoints {
	packed, truncated := subsets.Truncate(subsets.Repack(podSubsets(service, pods)), maxEndpointsAddresses)
	return endpointsWith(current, service, packed, truncated)
}

// endpointsWith shares memory with current.
func endpointsWith(current *corev1.Endpoints, service *corev1.Service, packed []corev1.EndpointSubset, truncated bool) *corev1.Endpoints {
	desired := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: service.Namespace, Name: service.Name}}
	if current != nil {
		desired.ObjectMeta = current.ObjectMeta
		desired.Annotations = maps.Clone(current.Annotations)
	}
	desired.Subsets = packed
	desired.Labels = endpointsLabels(service)
	if truncated {
		setAnnotation(desired, corev1.EndpointsOverCapacity, overCapacityTruncated)
	} else {
		delete(desired.Annotations, corev1.EndpointsOverCapacity)
	}
	return desired
}

// setTriggerTime records what caused a write; it is no reason for a write itself.
func setTriggerTime(endpoints *corev1.Endpoints, trigger time.Time) {
	if trigger.IsZero() {
		delete(endpoints.Annotations, corev1.EndpointsLastChangeTriggerTime)
		return
	}
	setAnnotation(endpoints, corev1.EndpointsLastChangeTriggerTime, trigger.UTC().Format(time.RFC3339Nano))
}

func setAnnotation(endpoints *corev1.Endpoints, key, value string) {
	if endpoints.Annotations == nil {
		endpoints.Annotations = map[string]string{}
	}
	endpoints.Annotations[key] = value
}

func endpointsLabels(service *corev1.Service) map[string]string {
	labels := maps.Clone(service.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	delete(labels, corev1.IsHeadlessService)
	if !hasClusterIP(service) {
		labels[corev1.IsHeadlessService] = ""
	}
	labels[endpointsManagedByLabel] = EndpointsControllerName
	return labels
}

func hasClusterIP(service *corev1.Service) bool {
	return service.Spec.ClusterIP != "" && service.Spec.ClusterIP != corev1.ClusterIPNone
}

// podSubsets is one subset per pod and resolved port, before packing.
func podSubsets(service *corev1.Service, pods []*corev1.Pod) []corev1.EndpointSubset {
	var unpacked []corev1.EndpointSubset
	for _, pod := range pods {
		offer := offerOf(service, pod)
		switch {
		case offer == nil:
		case offer.None:
			unpacked = append(unpacked, subsetOf(offer.Address, nil, offer.Ready))
		default:
			for i := range offer.Ports {
				unpacked = append(unpacked, subsetOf(offer.Address, offer.Ports[i:i+1], offer.Ready))
			}
		}
	}
	return unpacked
}

// offerOf is what a pod adds to the Endpoints, or nil.
func offerOf(service *corev1.Service, pod *corev1.Pod) *subsets.Offer {
	if !endpointsliceutil.ShouldPodBeInEndpoints(pod, service.Spec.PublishNotReadyAddresses) {
		return nil
	}
	address, ok := podAddress(service, pod)
	if !ok {
		return nil
	}
	return &subsets.Offer{
		Address: address,
		Ready:   service.Spec.PublishNotReadyAddresses || endpointsliceutil.IsPodReady(pod),
		Ports:   podPorts(service, pod),
		None:    len(service.Spec.Ports) == 0 && service.Spec.ClusterIP == corev1.ClusterIPNone,
	}
}

func subsetOf(address corev1.EndpointAddress, ports []corev1.EndpointPort, ready bool) corev1.EndpointSubset {
	if ready {
		return corev1.EndpointSubset{Addresses: []corev1.EndpointAddress{address}, Ports: ports}
	}
	return corev1.EndpointSubset{NotReadyAddresses: []corev1.EndpointAddress{address}, Ports: ports}
}

// podPorts resolves each of the Service's ports on the pod; those that a name does
// not resolve are left out.
func podPorts(service *corev1.Service, pod *corev1.Pod) []corev1.EndpointPort {
	var resolved []corev1.EndpointPort
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		if number, err := endpointslice.FindPort(pod, port); err == nil {
			resolved = append(resolved, corev1.EndpointPort{
				Name: port.Name, Port: int32(number), Protocol: port.Protocol, AppProtocol: port.AppProtocol,
			})
		}
	}
	return resolved
}

// podAddress is the pod's address of the Service's primary family, if it has one.
func podAddress(service *corev1.Service, pod *corev1.Pod) (corev1.EndpointAddress, bool) {
	family := primaryFamily(service, pod)
	for _, podIP := range pod.Status.PodIPs {
		// Parsed and printed again, in case a runtime reports an odd spelling.
		ip := utilnet.ParseIPSloppy(podIP.IP)
		if ip == nil || utilnet.IsIPv6(ip) != (family == corev1.IPv6Protocol) {
			continue
		}
		address := corev1.EndpointAddress{
			IP:        ip.String(),
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		}
		// The API server takes no empty name. What points into a pod of the cache
		// might be written to.
		if node := pod.Spec.NodeName; node != "" {
			address.NodeName = &node
		}
		if endpointsliceutil.ShouldSetHostname(pod, service) {
			address.Hostname = pod.Spec.Hostname
		}
		return address, true
	}
	return corev1.EndpointAddress{}, false
}

// primaryFamily is the Service's first family. Services older than dual-stack say
// it by their ClusterIP only, and headless ones of that age not at all.
func primaryFamily(service *corev1.Service, pod *corev1.Pod) corev1.IPFamily {
	switch {
	case len(service.Spec.IPFamilies) > 0:
		return service.Spec.IPFamilies[0]
	case hasClusterIP(service):
		return familyOf(service.Spec.ClusterIP)
	default:
		return familyOf(pod.Status.PodIP)
	}
}

func familyOf(ip string) corev1.IPFamily {
	if utilnet.IsIPv6String(ip) {
		return corev1.IPv6Protocol
	}
	return corev1.IPv4Protocol
}

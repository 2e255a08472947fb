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
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	endpointsliceutil "k8s.io/endpointslice/util"
	netutils "k8s.io/utils/net"
)

// identity is what makes an endpoint the same one as before: everything else is
// changed in place (row E21).
type identity struct{ addresses, hostname, namespace, name string }

func identityOf(endpoint *discoveryv1.Endpoint) identity {
	var id identity
	if len(endpoint.Addresses) == 1 {
		id.addresses = endpoint.Addresses[0]
	} else {
		id.addresses = strings.Join(sorted(endpoint.Addresses), ",")
	}
	if endpoint.Hostname != nil {
		id.hostname = *endpoint.Hostname
	}
	if endpoint.TargetRef != nil {
		id.namespace, id.name = endpoint.TargetRef.Namespace, endpoint.TargetRef.Name
	}
	return id
}

// sameState compares what identity leaves out. A reference's resource version
// changes with every write to the pod and says nothing.
func sameState(a, b *discoveryv1.Endpoint) bool {
	return equal(a.NodeName, b.NodeName) && equal(a.Zone, b.Zone) &&
		equal(a.Conditions.Ready, b.Conditions.Ready) &&
		equal(a.Conditions.Serving, b.Conditions.Serving) &&
		equal(a.Conditions.Terminating, b.Conditions.Terminating) &&
		sameTarget(a.TargetRef, b.TargetRef)
}

func sameTarget(a, b *corev1.ObjectReference) bool {
	if a == nil || b == nil {
		return a == b
	}
	left, right := *a, *b
	left.ResourceVersion, right.ResourceVersion = "", ""
	return left == right
}

func equal[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// eligible pods run, and have an address (row E1).
func eligible(pod *corev1.Pod) bool { return endpointsliceutil.ShouldPodBeInEndpoints(pod, true) }

var yes, no = true, false

func flag(value bool) *bool {
	if value {
		return &yes
	}
	return &no
}

// endpointFor is the endpoint of a pod, whose node may be nil; it has no address
// if the pod has none of the family.
func endpointFor(service *corev1.Service, pod *corev1.Pod, node *corev1.Node, family discoveryv1.AddressType) discoveryv1.Endpoint {
	serving := endpointsliceutil.IsPodReady(pod)
	terminating := pod.DeletionTimestamp != nil
	endpoint := discoveryv1.Endpoint{
		Addresses: addressesOf(pod, family),
		Conditions: discoveryv1.EndpointConditions{
			Ready:       flag(service.Spec.PublishNotReadyAddresses || serving && !terminating),
			Serving:     flag(serving),
			Terminating: flag(terminating),
		},
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
	}
	if pod.Spec.NodeName != "" {
		endpoint.NodeName = &pod.Spec.NodeName
	}
	if node != nil {
		if zone := node.Labels[corev1.LabelTopologyZone]; zone != "" {
			endpoint.Zone = &zone
		}
	}
	if endpointsliceutil.ShouldSetHostname(pod, service) {
		endpoint.Hostname = &pod.Spec.Hostname
	}
	return endpoint
}

// addressesOf are parsed and printed again, in case a runtime reports an odd
// spelling (row E11).
func addressesOf(pod *corev1.Pod, family discoveryv1.AddressType) []string {
	var addresses []string
	for _, podIP := range pod.Status.PodIPs {
		if ip := netutils.ParseIPSloppy(podIP.IP); ip != nil && netutils.IsIPv6(ip) == (family == discoveryv1.AddressTypeIPv6) {
			addresses = append(addresses, ip.String())
		}
	}
	return addresses
}

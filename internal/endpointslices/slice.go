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
	"maps"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Families are the address types that a Service wants slices of (row E10). Those
// older than dual-stack say it by their ClusterIP, and headless ones of that age
// not at all: they get both.
func Families(service *corev1.Service) []discoveryv1.AddressType {
	var families []discoveryv1.AddressType
	for _, family := range service.Spec.IPFamilies {
		switch family {
		case corev1.IPv4Protocol:
			families = append(families, discoveryv1.AddressTypeIPv4)
		case corev1.IPv6Protocol:
			families = append(families, discoveryv1.AddressTypeIPv6)
		}
	}
	switch {
	case len(families) > 0:
		return families
	case !hasClusterIP(service):
		return []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6}
	case isIPv6(service.Spec.ClusterIP):
		return []discoveryv1.AddressType{discoveryv1.AddressTypeIPv6}
	}
	return []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4}
}

func hasClusterIP(service *corev1.Service) bool {
	return service.Spec.ClusterIP != "" && service.Spec.ClusterIP != corev1.ClusterIPNone
}

// owned tells a slice of this Service from one of an earlier Service of its name
// (row E17).
func owned(slice *discoveryv1.EndpointSlice, service *corev1.Service) bool {
	for _, owner := range slice.OwnerReferences {
		if owner.UID == service.UID && owner.Kind == "Service" && owner.APIVersion == "v1" {
			return true
		}
	}
	return false
}

// labelsFor are the Service's, but for those that slices have a meaning of their
// own for (row E16).
func labelsFor(service *corev1.Service, managedBy string) map[string]string {
	labels := maps.Clone(service.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	delete(labels, corev1.IsHeadlessService)
	if !hasClusterIP(service) {
		labels[corev1.IsHeadlessService] = ""
	}
	labels[discoveryv1.LabelServiceName] = service.Name
	labels[discoveryv1.LabelManagedBy] = managedBy
	return labels
}

// newSlice is one without endpoints.
func newSlice(service *corev1.Service, labels map[string]string, family discoveryv1.AddressType, ports []discoveryv1.EndpointPort) *discoveryv1.EndpointSlice {
	prefix := service.Name + "-"
	if len(validation.NameIsDNSSubdomain(prefix, true)) > 0 {
		prefix = service.Name
	}
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       service.Namespace,
			GenerateName:    prefix,
			Labels:          maps.Clone(labels),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(service, corev1.SchemeGroupVersion.WithKind("Service"))},
		},
		AddressType: family,
		Ports:       ports,
		Endpoints:   []discoveryv1.Endpoint{},
	}
}

// changed is a copy that shares with the slice in the cache what nobody changes:
// all that endpoints point to.
func changed(slice *discoveryv1.EndpointSlice, endpoints []discoveryv1.Endpoint, labels map[string]string) *discoveryv1.EndpointSlice {
	next := *slice
	next.Endpoints = endpoints
	next.Labels = maps.Clone(labels)
	next.Annotations = maps.Clone(slice.Annotations)
	return &next
}

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

package balancer

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// Class says which Services are ours to serve.
type Class struct {
	// Name is spec.loadBalancerClass.
	Name string
	// Default takes those that name no class as well.
	Default bool
}

// Serves reports whether a Service is of the class.
func (c Class) Serves(service *corev1.Service) bool {
	switch class := service.Spec.LoadBalancerClass; {
	case service.Spec.Type != corev1.ServiceTypeLoadBalancer:
		return false
	case class == nil:
		return c.Default
	default:
		return *class == c.Name
	}
}

// ServiceOf reads a Service in a namespace with these labels.
func ServiceOf(object *corev1.Service, namespace labels.Set, class Class) Service {
	service := Service{
		Key: types.NamespacedName{Namespace: object.Namespace, Name: object.Name}, UID: object.UID, Created: object.CreationTimestamp.Time,
		Served: class.Serves(object), Deleting: object.DeletionTimestamp != nil,
		Labels: object.Labels, NamespaceLabels: namespace,
		Families: object.Spec.IPFamilies, Policy: corev1.IPFamilyPolicySingleStack,
		Wish:       wishOf(object),
		SharingKey: object.Annotations[v1alpha1.SharingKeyAnnotation],
		Local:      object.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal,
		Selector:   object.Spec.Selector,
	}
	if object.Spec.IPFamilyPolicy != nil {
		service.Policy = *object.Spec.IPFamilyPolicy
	}
	var all bool
	if service.SharesWith, all = namesIn(object.Annotations[v1alpha1.SharingNamespacesAnnotation]); !all && service.Wish.Invalid == "" {
		service.Wish.Invalid = fmt.Sprintf("the annotation %s names more than %d namespaces: the others are not looked at",
			v1alpha1.SharingNamespacesAnnotation, maxHolders)
	}
	for _, port := range object.Spec.Ports {
		protocol := port.Protocol
		if protocol == "" {
			protocol = corev1.ProtocolTCP
		}
		service.Ports = append(service.Ports, Port{protocol, port.Port})
	}
	for _, ingress := range object.Status.LoadBalancer.Ingress {
		if addr, err := netip.ParseAddr(ingress.IP); err == nil {
			service.Status = append(service.Status, addr.Unmap())
		}
	}
	return service
}

// namesIn are the first names of a list with commas, and whether these are all. More
// than can share an address are of no use, and cost time at each look.
func namesIn(list string) (names []string, all bool) {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if len(names) == maxHolders {
			return names, false
		}
		names = append(names, name)
	}
	return names, true
}

// wishOf reads what a Service asks for. Our annotation goes before the field,
// which is deprecated and has one address only.
func wishOf(object *corev1.Service) Wish {
	wish := Wish{Pool: object.Annotations[v1alpha1.AddressPoolAnnotation]}
	where, texts := "spec.loadBalancerIP", []string{object.Spec.LoadBalancerIP}
	if list := object.Annotations[v1alpha1.LoadBalancerIPsAnnotation]; list != "" {
		where, texts = "the annotation "+v1alpha1.LoadBalancerIPsAnnotation, strings.SplitN(list, ",", 3)
	}
	for _, text := range texts {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		addr, err := netip.ParseAddr(text)
		twice := slices.ContainsFunc(wish.Addrs, func(other netip.Addr) bool { return other.BitLen() == addr.BitLen() })
		if err != nil || addr.Zone() != "" || addr.Is4In6() || twice {
			return Wish{Pool: wish.Pool, Invalid: fmt.Sprintf(
				"%s: %.100q is not one address, or one of each family with a comma between them: write 192.0.2.1,2001:db8::1",
				where, strings.Join(texts, ","))}
		}
		wish.Addrs = append(wish.Addrs, addr)
	}
	return wish
}

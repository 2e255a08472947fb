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
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func (h *history) newService(name string) {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: h.serviceLabels(), Annotations: h.annotations()},
		Spec: corev1.ServiceSpec{
			Selector: h.selector(), PublishNotReadyAddresses: h.chance(20), TrafficDistribution: h.distribution(),
		},
	}
	h.setFamilies(service)
	if h.chance(30) {
		service.Spec.ClusterIP = corev1.ClusterIPNone
	}
	service.Spec.Ports = h.ports(service)
	if h.chance(6) {
		service.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com", Selector: h.selector()}
	}
	h.services[name] = service
	h.do(step{verb: create, object: service.DeepCopy()})
}

func (h *history) selector() map[string]string {
	if h.chance(15) {
		return nil
	}
	labels := h.labels()
	if h.chance(20) {
		delete(labels, "app")
	}
	if len(labels) == 0 {
		return nil
	}
	return labels
}

func (h *history) serviceLabels() map[string]string {
	labels := map[string]string{"team": one(h, "red", "blue")}
	if h.chance(20) { // Some are the controllers' own.
		labels[one(h, corev1.IsHeadlessService, "kubernetes.io/service-name", "endpointslice.kubernetes.io/managed-by", "endpoints.kubernetes.io/managed-by")] = "mine"
	}
	return labels
}

func (h *history) annotations() map[string]string {
	annotations := map[string]string{"note": one(h, "one", "two")}
	if h.chance(15) {
		annotations[one(h, corev1.AnnotationTopologyMode, corev1.DeprecatedAnnotationTopologyAwareHints)] = one(h, "Auto", "auto", "Disabled")
	}
	return annotations
}

func (h *history) distribution() *string {
	if h.chance(65) {
		return nil
	}
	return new(one(h, corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone, corev1.ServiceTrafficDistributionPreferSameNode))
}

func (h *history) setFamilies(service *corev1.Service) {
	v4, v6 := corev1.IPv4Protocol, corev1.IPv6Protocol
	service.Spec.IPFamilies = one(h, []corev1.IPFamily{v4}, []corev1.IPFamily{v6}, []corev1.IPFamily{v4, v6}, []corev1.IPFamily{v6, v4})
	service.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicySingleStack)
	if len(service.Spec.IPFamilies) > 1 {
		service.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicyRequireDualStack)
	}
}

// ports are by number or name; names mean something else in every pod.
func (h *history) ports(service *corev1.Service) []corev1.ServicePort {
	n := 1 + h.IntN(3)
	if service.Spec.ClusterIP == corev1.ClusterIPNone && h.chance(30) {
		return []corev1.ServicePort{}
	}
	var ports []corev1.ServicePort
	for i := range n {
		port := corev1.ServicePort{
			Name: string(rune('a' + i)), Port: int32(80 + i), Protocol: one(h, corev1.ProtocolTCP, corev1.ProtocolTCP, corev1.ProtocolUDP),
			TargetPort: one(h, intstr.FromString("web"), intstr.FromString("metrics"), intstr.FromString("dns"), intstr.FromString("absent"),
				intstr.FromInt32(8080), intstr.FromInt32(8081)),
		}
		if h.chance(30) {
			port.AppProtocol = new(one(h, "http", "kubernetes.io/h2c"))
		}
		ports = append(ports, port)
	}
	return ports
}

func (h *history) changeService(service *corev1.Service) {
	name, spec := service.Name, &service.Spec
	change := func(operations ...operation) { h.do(patch(&corev1.Service{}, name, "", operations...)) }
	if spec.Type == corev1.ServiceTypeExternalName {
		if h.chance(50) {
			spec.Type, spec.IPFamilyPolicy = corev1.ServiceTypeClusterIP, new(corev1.IPFamilyPolicySingleStack)
			spec.Ports = h.ports(service)
			change(replace("/spec/type", spec.Type), replace("/spec/ports", spec.Ports))
		}
		return
	}
	switch h.IntN(11) {
	case 0, 1:
		spec.Selector = h.selector()
		if len(spec.Selector) > 0 {
			delete(h.endpoints, name) // They are the controllers' from now on.
		}
		change(replace("/spec/selector", spec.Selector))
	case 2, 3:
		spec.Ports = h.ports(service)
		change(replace("/spec/ports", spec.Ports))
	case 4:
		spec.PublishNotReadyAddresses = !spec.PublishNotReadyAddresses
		change(replace("/spec/publishNotReadyAddresses", spec.PublishNotReadyAddresses))
	case 5, 6: // The first family stays.
		if *spec.IPFamilyPolicy == corev1.IPFamilyPolicySingleStack {
			*spec.IPFamilyPolicy = corev1.IPFamilyPolicyRequireDualStack
		} else {
			*spec.IPFamilyPolicy = corev1.IPFamilyPolicySingleStack
		}
		change(replace("/spec/ipFamilyPolicy", *spec.IPFamilyPolicy))
	case 7:
		spec.TrafficDistribution = h.distribution()
		change(replace("/spec/trafficDistribution", spec.TrafficDistribution))
	case 8:
		service.Annotations = h.annotations()
		change(replace("/metadata/annotations", service.Annotations))
	case 9:
		service.Labels = h.serviceLabels()
		change(replace("/metadata/labels", service.Labels))
	case 10:
		service.Spec = corev1.ServiceSpec{
			Type: corev1.ServiceTypeExternalName, ExternalName: "example.com", Selector: spec.Selector, Ports: spec.Ports,
		}
		change(replace("/spec/type", spec.Type), replace("/spec/externalName", "example.com"), replace("/spec/trafficDistribution", nil))
	}
}

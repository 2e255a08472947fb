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
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// lone is a Service's name for which Endpoints are made before there is one.
const lone = "lone"

// onEndpoints does what people do to Endpoints of Services without a selector.
func (h *history) onEndpoints() {
	name := one(h, append(serviceNames, lone)...)
	if service := h.services[name]; service == nil && name != lone || service != nil && len(service.Spec.Selector) > 0 {
		return
	}
	if name == lone && h.services[lone] == nil && h.endpoints[lone] != nil && h.chance(50) {
		h.newService(lone)
		if len(h.services[lone].Spec.Selector) > 0 {
			delete(h.endpoints, lone) // They are the controllers' from now on.
		}
		return
	}
	if h.endpoints[name] != nil && h.chance(20) {
		h.do(step{verb: remove, object: named(&corev1.Endpoints{}, name)})
		delete(h.endpoints, name)
		return
	}
	h.endpoints[name] = h.handMade(name)
	h.do(step{verb: put, object: h.endpoints[name].DeepCopy()})
}

func (h *history) handMade(name string) *corev1.Endpoints {
	endpoints := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{"by": one(h, "ann", "bob")}, Annotations: map[string]string{"note": one(h, "one", "two")},
	}}
	if h.chance(15) {
		endpoints.Labels[discoveryv1.LabelSkipMirror] = one(h, "true", "true", "false")
	}
	if h.chance(8) {
		endpoints.Annotations[leader] = "{}"
	}
	if h.chance(30) {
		endpoints.Annotations[corev1.LastAppliedConfigAnnotation] = "{}"
	}
	for range h.IntN(4) {
		var subset corev1.EndpointSubset
		for i := range 1 + h.IntN(4) {
			address := corev1.EndpointAddress{IP: fmt.Sprintf(one(h, "10.8.0.%d", "10.8.0.%d", "fd00:8::%d"), 1+i)}
			if h.chance(20) {
				address.Hostname = fmt.Sprint("host-", i)
			}
			if h.chance(20) {
				address.NodeName = new("node-a")
			}
			if h.chance(20) {
				address.TargetRef = &corev1.ObjectReference{Kind: "Pod", Namespace: "elsewhere", Name: "pod", UID: "0"}
			}
			if h.chance(25) {
				subset.NotReadyAddresses = append(subset.NotReadyAddresses, address)
			} else {
				subset.Addresses = append(subset.Addresses, address)
			}
		}
		for i := range h.IntN(3) {
			subset.Ports = append(subset.Ports, corev1.EndpointPort{
				Name: string(rune('a' + i)), Port: int32(80 + h.IntN(2)), Protocol: one(h, corev1.ProtocolTCP, corev1.ProtocolUDP),
			})
		}
		endpoints.Subsets = append(endpoints.Subsets, subset)
	}
	return endpoints
}

// interfere does to the controllers' objects what has to be repaired, and makes
// slices that are nobody else's business.
func (h *history) interfere() {
	name := one(h, serviceNames...)
	service := h.services[name]
	if service == nil {
		return
	}
	if len(service.Spec.Selector) == 0 {
		h.do(step{verb: put, object: &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Name: "mine-" + name, Labels: map[string]string{
				discoveryv1.LabelServiceName: name, discoveryv1.LabelManagedBy: "me.example.com",
			}},
			AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.7.0.1"}}},
		}})
		return
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return
	}
	if h.chance(50) {
		h.do(step{verb: removeAll, object: &discoveryv1.EndpointSlice{}, labels: map[string]string{
			discoveryv1.LabelServiceName: name, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io",
		}})
		return
	}
	spoil := patch(&corev1.Endpoints{}, name, "", replace("/metadata/labels", map[string]string{"endpoints.kubernetes.io/managed-by": "endpoint-controller"}))
	spoil.lenient = true // It may not be there yet, or never.
	h.do(spoil)
}

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

package supervisor

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// sliceManager is who manages the EndpointSlices that lead to processes of
// the local cluster which are not pods.
const sliceManager = "switchyard-up"

// pointAtFirstNode gives the Service, which has no selector, an endpoint per
// IP family: the first node, on the Service's target ports.
func (s *Supervisor) pointAtFirstNode(ctx context.Context, namespace, name string) error {
	service := &corev1.Service{}
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, service); err != nil {
		return fmt.Errorf("reading Service %s/%s: %w", namespace, name, err)
	}
	node := s.cluster.ControlPlane()
	for _, addr := range node.IPs() {
		slice := sliceFor(service, node.Name, addr)
		if err := s.client.Create(ctx, slice); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating EndpointSlice %s/%s: %w", slice.Namespace, slice.Name, err)
		}
	}
	return nil
}

// sliceFor leads the Service to addr on that node.
func sliceFor(service *corev1.Service, node string, addr netip.Addr) *discoveryv1.EndpointSlice {
	family, suffix := discoveryv1.AddressTypeIPv4, "ipv4"
	if addr.Is6() {
		family, suffix = discoveryv1.AddressTypeIPv6, "ipv6"
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: service.Namespace,
			Name:      service.Name + "-" + suffix,
			Labels: map[string]string{
				discoveryv1.LabelServiceName: service.Name,
				discoveryv1.LabelManagedBy:   sliceManager,
			},
		},
		AddressType: family,
		Endpoints: []discoveryv1.Endpoint{{
			Addresses:  []string{addr.String()},
			Conditions: discoveryv1.EndpointConditions{Ready: new(true)},
			NodeName:   new(node),
		}},
	}
	for _, port := range service.Spec.Ports {
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{
			Name: new(port.Name), Protocol: new(port.Protocol), Port: new(port.TargetPort.IntVal),
		})
	}
	return slice
}

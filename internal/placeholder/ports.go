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

package placeholder

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"switchyard.dev/switchyard/allocator"
)

const (
	// Label marks the Services that hold reserved ports. Its value is what they
	// hold.
	Label = "switchyard.dev/placeholder"

	labelValue     = "nodeports"
	portsPrefix    = "reserved-nodeport-"
	managedByLabel = "app.kubernetes.io/managed-by"
	// proxyNameLabel hands a Service to the proxy of that name, which nobody has.
	proxyNameLabel = "service.kubernetes.io/service-proxy-name"
	proxyName      = "none.switchyard.dev"
)

// PortsName is the name of the Service that holds a port in the namespace of
// the manager: always the same for one port, so that replicas agree.
func PortsName(port int32) string {
	return fmt.Sprintf(portsPrefix+"%d", port)
}

// Ports is a Service that has ports and nothing else. The one that holds a port
// has only that, so that it is never updated: the API server writes down what an
// update takes and gives up before it stores the Service, and when the update is
// lost to another one, a port that nobody has stays taken until its repair,
// minutes later. What a create takes it gives back when the create fails.
func Ports(namespace string, ports ...int32) *corev1.Service {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace,
			Name:      PortsName(ports[0]),
			Labels:    map[string]string{Label: labelValue, managedByLabel: ManagedBy, proxyNameLabel: proxyName},
		},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort},
	}
	for _, port := range ports {
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{
			Name: allocator.PortNumber(port).ObjectName(), Protocol: corev1.ProtocolTCP,
			Port: port, TargetPort: intstr.FromInt32(port), NodePort: port,
		})
	}
	return service
}

// IsPorts tells whether a Service is one of ours that holds a port.
func IsPorts(service *corev1.Service) bool {
	return service.Labels[Label] == labelValue && service.Labels[managedByLabel] == ManagedBy
}

// IsPlaceholderKey tells a Service that holds a port by namespace and name alone.
func IsPlaceholderKey(key types.NamespacedName, namespace string) bool {
	return key.Namespace == namespace && strings.HasPrefix(key.Name, portsPrefix)
}

// IsPortsKey tells the Service that holds a port by namespace and name alone.
func IsPortsKey(key types.NamespacedName, namespace string, port int32) bool {
	return key.Namespace == namespace && key.Name == PortsName(port)
}

// NumbersOfPorts lists the ports that a Service holds, one as the Keeper makes them;
// none for all that are not ours.
func NumbersOfPorts(service *corev1.Service) []allocator.Number {
	if !IsPorts(service) {
		return nil
	}
	var numbers []allocator.Number
	for _, port := range service.Spec.Ports {
		if port.NodePort != 0 {
			numbers = append(numbers, allocator.PortNumber(port.NodePort))
		}
	}
	return numbers
}

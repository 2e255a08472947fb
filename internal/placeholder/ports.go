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
	"slices"
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
	portsPrefix    = "reserved-nodeports-"
	managedByLabel = "app.kubernetes.io/managed-by"
	// proxyNameLabel hands a Service to the proxy of that name, which nobody has.
	proxyNameLabel = "service.kubernetes.io/service-proxy-name"
	proxyName      = "none.switchyard.dev"

	// shardPorts is how many ports one Service holds at most. A Service costs a
	// ClusterIP, and an update of it is as long as its ports are many.
	shardPorts = 64
)

// PortsName is the name of the Service that holds a port in the namespace of
// the manager: always the same for one port, so that replicas agree.
func PortsName(port int32) string {
	first := port - port%shardPorts
	return fmt.Sprintf(portsPrefix+"%d-%d", first, first+shardPorts-1)
}

// Ports is a Service that holds ports, all of one PortsName.
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
		add(service, port)
	}
	return service
}

// IsPorts tells whether a Service is one of ours that holds ports.
func IsPorts(service *corev1.Service) bool {
	return service.Labels[Label] == labelValue && service.Labels[managedByLabel] == ManagedBy
}

// IsPlaceholderKey tells a Service that holds ports by namespace and name alone.
func IsPlaceholderKey(key types.NamespacedName, namespace string) bool {
	return key.Namespace == namespace && strings.HasPrefix(key.Name, portsPrefix)
}

// IsPortsKey tells the Service that holds a port by namespace and name alone.
func IsPortsKey(key types.NamespacedName, namespace string, port int32) bool {
	return key.Namespace == namespace && key.Name == PortsName(port)
}

// NumbersOfPorts lists the ports that a Service holds for reservations; none for
// all that are not ours.
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

func has(service *corev1.Service, port int32) bool {
	return slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.NodePort == port })
}

func add(service *corev1.Service, port int32) {
	service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{
		Name: allocator.PortNumber(port).ObjectName(), Protocol: corev1.ProtocolTCP,
		Port: port, TargetPort: intstr.FromInt32(port), NodePort: port,
	})
}

func remove(service *corev1.Service, port int32) {
	service.Spec.Ports = slices.DeleteFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.NodePort == port })
}

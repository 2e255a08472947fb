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
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/endpointslice"
)

// unresolved stands for a named port that a pod does not have (row E6).
const unresolved = -1

// numbers are what the Service's ports are on one pod, as a key.
func numbers(service *corev1.Service, pod *corev1.Pod, buffer []byte) []byte {
	buffer = buffer[:0]
	for i := range service.Spec.Ports {
		number, err := endpointslice.FindPort(pod, &service.Spec.Ports[i])
		if err != nil {
			number = unresolved
		}
		buffer = binary.BigEndian.AppendUint32(buffer, uint32(int32(number)))
	}
	return buffer
}

// endpointPorts are the ports of a slice for pods with these numbers.
func endpointPorts(service *corev1.Service, numbers []byte) []discoveryv1.EndpointPort {
	ports := []discoveryv1.EndpointPort{}
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		number := int32(binary.BigEndian.Uint32(numbers[4*i:]))
		if number == unresolved {
			continue
		}
		ports = append(ports, discoveryv1.EndpointPort{
			Name: &port.Name, Port: &number, Protocol: &port.Protocol, AppProtocol: port.AppProtocol,
		})
	}
	return ports
}

// portsKey is equal for equal lists of ports in whatever order (row E7).
type portsKey string

func keyOf(ports []discoveryv1.EndpointPort) portsKey {
	if len(ports) == 0 {
		return ""
	}
	texts := make([]string, len(ports))
	for i := range ports {
		texts[i] = portText(&ports[i])
	}
	if len(texts) > 1 {
		slices.Sort(texts)
	}
	return portsKey(strings.Join(texts, "\n"))
}

// portText tells nil from empty, as the library does.
func portText(port *discoveryv1.EndpointPort) string {
	number := "-"
	if port.Port != nil {
		number = strconv.Itoa(int(*port.Port))
	}
	return textOf(port.Name) + " " + number + " " + textOf(port.Protocol) + " " + textOf(port.AppProtocol)
}

func textOf[T ~string](value *T) string {
	if value == nil {
		return "-"
	}
	return strconv.Quote(string(*value))
}

func sorted(texts []string) []string {
	if slices.IsSorted(texts) {
		return texts
	}
	texts = slices.Clone(texts)
	slices.Sort(texts)
	return texts
}

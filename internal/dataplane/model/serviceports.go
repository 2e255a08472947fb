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

package model

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// portReader reads the ports of one Service and remembers what they use, since
// a number that appears twice could lead to only one of them.
type portReader struct {
	*problems
	names map[ServicePortName]bool
	ports map[portKey]bool
	// nodePorts says what each is used by.
	nodePorts map[portKey]string
}

type portKey struct {
	protocol Protocol
	port     uint16
}

// readPorts completes shared with what each port of svc adds to it.
func readPorts(svc *corev1.Service, shared ServicePort, found *problems) []ServicePort {
	reader := portReader{found, map[ServicePortName]bool{}, map[portKey]bool{}, map[portKey]string{}}
	if number := shared.Traffic.HealthCheckNodePort; number != 0 {
		reader.nodePorts[portKey{TCP, number}] = "spec.healthCheckNodePort" // which must never be translated
	}
	var ports []ServicePort
	for i := range svc.Spec.Ports {
		if port, ok := reader.read(svc, i, shared); ok && len(shared.ClusterIPs) > 0 {
			ports = append(ports, port)
		}
	}
	return ports
}

func (r *portReader) read(svc *corev1.Service, index int, shared ServicePort) (ServicePort, bool) {
	spec, field := svc.Spec.Ports[index], fmt.Sprintf("spec.ports[%d]", index)
	protocol, ok := readProtocol(string(spec.Protocol))
	if !ok {
		r.add(field+".protocol", "choose TCP, UDP or SCTP", "%q is not a protocol of Services", clip(string(spec.Protocol)))
		return shared, false
	}
	number, ok := parsePort(spec.Port)
	if !ok {
		r.add(field+".port", "choose 1-65535", "%d is not a port number", spec.Port)
		return shared, false
	}
	port := shared
	port.Name = ServicePortName{Namespace: svc.Namespace, Name: svc.Name, Port: spec.Name, Protocol: protocol}
	port.Port = number
	if r.names[port.Name] {
		r.add(field+".name", "give each port a name of its own", "%q is the name of an earlier %s port", clip(spec.Name), protocol)
		return shared, false
	}
	if r.ports[portKey{protocol, number}] {
		r.add(field+".port", "remove one of them", "%s port %d is used by an earlier port", protocol, number)
		return shared, false
	}
	r.names[port.Name], r.ports[portKey{protocol, number}] = true, true
	port.NodePort = r.readNodePort(field+".nodePort", protocol, spec.NodePort)
	return port, true
}

func (r *portReader) readNodePort(field string, protocol Protocol, number int32) uint16 {
	if number == 0 {
		return 0
	}
	port, ok := parsePort(number)
	if !ok {
		r.add(field, "choose a free port of the cluster's range (30000-32767 by default)", "%d is not a port number", number)
		return 0
	}
	if user, used := r.nodePorts[portKey{protocol, port}]; used {
		r.add(field, "remove one of them", "%s port %d is used by %s", protocol, port, user)
		return 0
	}
	r.nodePorts[portKey{protocol, port}] = "an earlier port"
	return port
}

// readProtocol applies the API's default, which objects written past the API
// server may lack.
func readProtocol(text string) (Protocol, bool) {
	if text == "" {
		return TCP, true
	}
	return ParseProtocol(text)
}

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

package validation

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validatePorts are V6, V7 and V8: each port by itself, and their names.
func validatePorts(svc *corev1.Service) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	for i := range svc.Spec.Ports {
		port, path := &svc.Spec.Ports[i], specPath.Child("ports").Index(i)
		errs = append(errs, validatePortName(path.Child("name"), port.Name, len(svc.Spec.Ports) > 1)...)
		if port.Name != "" && names.Has(port.Name) {
			errs = append(errs, field.Duplicate(path.Child("name"), port.Name))
		}
		names.Insert(port.Name)
		errs = append(errs, validatePort(path, port)...)
	}
	return errs
}

func validatePort(path *field.Path, port *corev1.ServicePort) field.ErrorList {
	errs := invalid(path.Child("port"), port.Port, validation.IsValidPortNum(int(port.Port)))
	errs = append(errs, validateProtocol(path.Child("protocol"), port.Protocol)...)
	errs = append(errs, validateTargetPort(path.Child("targetPort"), port.TargetPort)...)
	return append(errs, validateAppProtocol(path.Child("appProtocol"), port.AppProtocol)...)
}

// validatePortName is for the ports of Services and Endpoints.
func validatePortName(path *field.Path, name string, required bool) field.ErrorList {
	switch {
	case name != "":
		return invalid(path, name, validation.IsDNS1123Label(name))
	case required:
		return field.ErrorList{field.Required(path, "")}
	}
	return nil
}

func validateProtocol(path *field.Path, protocol corev1.Protocol) field.ErrorList {
	return oneOf(path, protocol, corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)
}

func validateTargetPort(path *field.Path, port intstr.IntOrString) field.ErrorList {
	switch port.Type {
	case intstr.Int:
		return invalid(path, port.IntValue(), validation.IsValidPortNum(port.IntValue()))
	case intstr.String:
		return invalid(path, port.StrVal, validation.IsValidPortName(port.StrVal))
	}
	return field.ErrorList{field.InternalError(path, fmt.Errorf("unknown type: %v", port.Type))}
}

func validateAppProtocol(path *field.Path, protocol *string) field.ErrorList {
	if protocol == nil {
		return nil
	}
	return invalid(path, *protocol, validation.IsQualifiedName(*protocol))
}

// portKey is what two ports of a Service may not have in common. It has the
// fields, and their order, that the server's message shows.
type portKey struct {
	Name        string
	Protocol    corev1.Protocol
	AppProtocol *string
	Port        int32
	TargetPort  intstr.IntOrString
	NodePort    int32
}

// validatePortUse is V12: NodePorts where they may be, and no port twice.
func validatePortUse(svc *corev1.Service) field.ErrorList {
	var forbidden, nodePorts, ports field.ErrorList
	seen := sets.New[portKey]()
	for i, port := range svc.Spec.Ports {
		path := specPath.Child("ports").Index(i)
		if port.NodePort != 0 {
			if svc.Spec.Type == corev1.ServiceTypeClusterIP {
				forbidden = append(forbidden, field.Forbidden(path.Child("nodePort"), "may not be used when `type` is 'ClusterIP'"))
			}
			nodePort := portKey{Protocol: port.Protocol, NodePort: port.NodePort}
			if seen.Has(nodePort) {
				nodePorts = append(nodePorts, field.Duplicate(path.Child("nodePort"), port.NodePort))
			}
			seen.Insert(nodePort)
		}
		key := portKey{Protocol: port.Protocol, Port: port.Port}
		if seen.Has(key) {
			ports = append(ports, field.Duplicate(path, key))
		}
		seen.Insert(key)
	}
	return append(append(forbidden, nodePorts...), ports...)
}

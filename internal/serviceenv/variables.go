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

package serviceenv

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Kubernetes is the Service that every pod sees, with or without service links.
var Kubernetes = types.NamespacedName{Namespace: corev1.NamespaceDefault, Name: "kubernetes"}

// Variable is one that a Service gives.
type Variable struct {
	Name, Value string
	Service     types.NamespacedName
}

// For is what a kubelet gives to the containers of a namespace that start now:
// the Services of the namespace if the pod has service links, and always
// default/kubernetes, which a Service of that name in the pod's own namespace
// hides. They are in order of the Services' names; a variable that several give
// is there several times, and which of them a pod gets is left to chance.
func For(services []*corev1.Service, namespace string, links bool) []Variable {
	visible := map[string]*corev1.Service{}
	for _, service := range services {
		if !hasClusterIP(service) {
			continue
		}
		ofCluster := service.Namespace == Kubernetes.Namespace && service.Name == Kubernetes.Name
		switch {
		case service.Namespace == namespace && (links || ofCluster):
			visible[service.Name] = service
		case ofCluster && visible[service.Name] == nil:
			visible[service.Name] = service
		}
	}
	names := make([]string, 0, len(visible))
	for name := range visible {
		names = append(names, name)
	}
	slices.Sort(names)
	var variables []Variable
	for _, name := range names {
		variables = append(variables, Of(visible[name])...)
	}
	return variables
}

// hasClusterIP leaves out headless Services and ExternalName.
func hasClusterIP(service *corev1.Service) bool {
	return service.Spec.Type != corev1.ServiceTypeExternalName && len(service.Spec.Ports) > 0 &&
		service.Spec.ClusterIP != "" && service.Spec.ClusterIP != corev1.ClusterIPNone
}

// Of is what a Service with a ClusterIP gives, in the kubelet's form and order:
// the host, the first port and each named one, then the variables that Docker
// links once had. The primary ClusterIP alone is told. A name that begins with a
// digit (allowed since 1.36) gives variables that a shell can not read.
func Of(service *corev1.Service) []Variable {
	name := types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
	prefix, host, ports := upper(service.Name), service.Spec.ClusterIP, service.Spec.Ports
	var variables []Variable
	add := func(variable, value string) {
		variables = append(variables, Variable{Name: variable, Value: value, Service: name})
	}
	add(prefix+"_SERVICE_HOST", host)
	add(prefix+"_SERVICE_PORT", decimal(ports[0].Port))
	for _, port := range ports {
		if port.Name != "" {
			add(prefix+"_SERVICE_PORT_"+upper(port.Name), decimal(port.Port))
		}
	}
	for i, port := range ports {
		protocol := port.Protocol
		if protocol == "" {
			protocol = corev1.ProtocolTCP
		}
		lower := strings.ToLower(string(protocol))
		url := lower + "://" + net.JoinHostPort(host, decimal(port.Port))
		if i == 0 {
			add(prefix+"_PORT", url)
		}
		link := fmt.Sprintf("%s_PORT_%d_%s", prefix, port.Port, protocol)
		add(link, url)
		add(link+"_PROTO", lower)
		add(link+"_PORT", decimal(port.Port))
		add(link+"_ADDR", host)
	}
	return variables
}

func upper(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

func decimal(n int32) string { return strconv.Itoa(int(n)) }

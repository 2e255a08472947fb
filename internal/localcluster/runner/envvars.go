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

package runner

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// kubernetesService is visible to every Pod, with or without service links.
const kubernetesService = "kubernetes"

// serviceEnv is the environment a kubelet gives a container that starts now:
// the Services of its namespace if the Pod has service links, and always
// default/kubernetes, which a Service of that name in the Pod's own namespace
// hides. In order of name.
func serviceEnv(services []*corev1.Service, namespace string, links bool) []corev1.EnvVar {
	visible := map[string]*corev1.Service{}
	for _, service := range services {
		if !hasClusterIP(service) {
			continue
		}
		ofCluster := service.Namespace == metaDefault && service.Name == kubernetesService
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
	var env []corev1.EnvVar
	for _, name := range names {
		env = append(env, envOfService(visible[name])...)
	}
	return env
}

const metaDefault = "default"

// hasClusterIP leaves out headless Services and ExternalName.
func hasClusterIP(service *corev1.Service) bool {
	return service.Spec.Type != corev1.ServiceTypeExternalName && len(service.Spec.Ports) > 0 &&
		service.Spec.ClusterIP != "" && service.Spec.ClusterIP != corev1.ClusterIPNone
}

// envOfService is the kubelet's form, in its order: the host, the first port
// and each named one, then the variables that Docker links once had. The
// primary ClusterIP alone is told. A name that begins with a digit (allowed
// since 1.36) gives variables that a shell can not read; so does the kubelet.
func envOfService(service *corev1.Service) []corev1.EnvVar {
	prefix, host, ports := envName(service.Name), service.Spec.ClusterIP, service.Spec.Ports
	env := []corev1.EnvVar{
		{Name: prefix + "_SERVICE_HOST", Value: host},
		{Name: prefix + "_SERVICE_PORT", Value: decimal(ports[0].Port)},
	}
	for _, port := range ports {
		if port.Name != "" {
			env = append(env, corev1.EnvVar{Name: prefix + "_SERVICE_PORT_" + envName(port.Name), Value: decimal(port.Port)})
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
			env = append(env, corev1.EnvVar{Name: prefix + "_PORT", Value: url})
		}
		link := fmt.Sprintf("%s_PORT_%d_%s", prefix, port.Port, protocol)
		env = append(env,
			corev1.EnvVar{Name: link, Value: url},
			corev1.EnvVar{Name: link + "_PROTO", Value: lower},
			corev1.EnvVar{Name: link + "_PORT", Value: decimal(port.Port)},
			corev1.EnvVar{Name: link + "_ADDR", Value: host},
		)
	}
	return env
}

func envName(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

func decimal(n int32) string { return strconv.Itoa(int(n)) }

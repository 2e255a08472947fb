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

package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// maxCommand is how many characters of a command are repeated.
const maxCommand = 60

// probeOf is a container that runs and is not ready: the probe that says so.
func probeOf(pod *corev1.Pod, container *corev1.Container, status *corev1.ContainerStatus) trouble {
	probe, kind := container.ReadinessProbe, "readiness"
	if container.StartupProbe != nil && (status.Started == nil || !*status.Started) {
		probe, kind = container.StartupProbe, "startup"
	}
	if probe == nil {
		return trouble{kind: starting, what: fmt.Sprintf("container %s runs, and has no probe, but is not ready yet", container.Name),
			remedy: fmt.Sprintf("see whether the kubelet of node %s works", pod.Spec.NodeName)}
	}
	t := trouble{kind: probeFailing, what: fmt.Sprintf("%s probe %s of container %s fails", kind, probePhrase(probe), container.Name),
		remedy: fmt.Sprintf("see kubectl -n %s describe pod %s for what it answers, or correct the %sProbe", pod.Namespace, pod.Name, kind)}
	if restarts := status.RestartCount; restarts > 0 {
		t.more = counted(int(restarts), "restart")
	}
	if hint := probePortHint(container, probe); hint != "" {
		t.what += " (" + hint + ")"
	}
	return t
}

// probePhrase is what a probe does: "GET http :8080/healthz".
func probePhrase(probe *corev1.Probe) string {
	switch {
	case probe.HTTPGet != nil:
		get := probe.HTTPGet
		scheme := strings.ToLower(cmp.Or(string(get.Scheme), string(corev1.URISchemeHTTP)))
		return fmt.Sprintf("GET %s %s:%s/%s", scheme, get.Host, get.Port.String(), strings.TrimPrefix(bounded(get.Path, maxCommand), "/"))
	case probe.TCPSocket != nil:
		return fmt.Sprintf("connect tcp %s:%s", probe.TCPSocket.Host, probe.TCPSocket.Port.String())
	case probe.GRPC != nil:
		text := fmt.Sprintf("check grpc :%d", probe.GRPC.Port)
		if service := probe.GRPC.Service; service != nil && *service != "" {
			text += " " + *service
		}
		return text
	case probe.Exec != nil:
		return "exec " + bounded(strings.Join(strings.Fields(strings.Join(probe.Exec.Command, " ")), " "), maxCommand)
	}
	return "without a handler"
}

// probesPort tells whether a probe of the pod connects to that port.
func probesPort(pod *corev1.Pod, number int32) bool {
	for container := range portContainers(pod) {
		for _, probe := range []*corev1.Probe{container.ReadinessProbe, container.LivenessProbe, container.StartupProbe} {
			if probe != nil && probedPort(container, probe) == number {
				return true
			}
		}
	}
	return false
}

// probedPort is the number that a probe connects to, 0 if there is none.
func probedPort(container *corev1.Container, probe *corev1.Probe) int32 {
	var port intstr.IntOrString
	switch {
	case probe.HTTPGet != nil:
		port = probe.HTTPGet.Port
	case probe.TCPSocket != nil:
		port = probe.TCPSocket.Port
	case probe.GRPC != nil:
		return probe.GRPC.Port
	}
	for _, p := range container.Ports {
		if port.Type == intstr.String && p.Name == port.StrVal {
			return p.ContainerPort
		}
	}
	return port.IntVal
}

// probePortHint tells of a probe that asks where the container does not say that
// it listens.
func probePortHint(container *corev1.Container, probe *corev1.Probe) string {
	var port intstr.IntOrString
	switch {
	case probe.HTTPGet != nil:
		port = probe.HTTPGet.Port
	case probe.TCPSocket != nil:
		port = probe.TCPSocket.Port
	default:
		return ""
	}
	named := func(p corev1.ContainerPort) bool {
		return port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal
	}
	if len(container.Ports) == 0 && port.Type == intstr.Int || slices.ContainsFunc(container.Ports, named) {
		return ""
	}
	var declared []string
	for _, p := range container.Ports {
		declared = append(declared, declaration{p.Name, p.ContainerPort, protocolOf(p.Protocol)}.String())
	}
	if len(declared) == 0 {
		return "the container declares no port of that name"
	}
	return "the container declares " + enumerate(declared, maxNames)
}

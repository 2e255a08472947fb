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
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// named lets the Service's port ask for a name, and pods declare that port.
func named(asked, declared string, number int32, protocol corev1.Protocol) func(*Facts) {
	return func(f *Facts) {
		f.Service.Spec.Ports[0].TargetPort = intstr.FromString(asked)
		f.eachPod(func(pod *corev1.Pod) {
			pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: declared, ContainerPort: number, Protocol: protocol}}
		})
	}
}

func more(port corev1.ServicePort) func(*Facts) {
	return func(f *Facts) { f.Service.Spec.Ports = append(f.Service.Spec.Ports, port) }
}

func TestPorts(t *testing.T) {
	examined(t, map[string]outcome{
		"a name":                       {state: OK, change: named("http", "http", 8080, corev1.ProtocolTCP)},
		"a name of an unsaid protocol": {state: OK, change: named("http", "http", 8080, "")},
		"a name of a sidecar": {state: OK, change: func(f *Facts) {
			f.Service.Spec.Ports[0].TargetPort = intstr.FromString("mesh")
			f.eachPod(func(pod *corev1.Pod) {
				pod.Spec.InitContainers = []corev1.Container{{Name: "mesh", RestartPolicy: new(corev1.ContainerRestartPolicyAlways), Ports: []corev1.ContainerPort{{Name: "mesh", ContainerPort: 15000}}}}
				pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "mesh", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
			})
		}},
		"a name with different numbers": {state: OK, change: func(f *Facts) {
			named("http", "http", 8080, "")(f)
			f.Selected[0].Spec.Containers[0].Ports[0].ContainerPort = 9090
		}},
		"no target port is the port": {state: OK, change: func(f *Facts) {
			named("", "http", 80, "")(f)
			f.Service.Spec.Ports[0].TargetPort = intstr.IntOrString{}
		}},
		"no port is declared": {state: OK, change: func(f *Facts) { f.eachPod(func(pod *corev1.Pod) { pod.Spec.Containers[0].Ports = nil }) }},
		"another port is declared": {state: OK, check: CheckPorts, says: []string{"answers, provided that something listens on TCP port 9999 of its pods, which no container declares: they declare http (8080)."}, details: []string{"port http (80) leads to TCP port 9999"}, change: func(f *Facts) {
			f.Service.Spec.Ports[0].TargetPort = intstr.FromInt32(9999)
		}},
		"a probe asks the port that is not declared": {state: OK, says: []string{"web answers."}, change: func(f *Facts) {
			f.Service.Spec.Ports[0].TargetPort = intstr.FromInt32(9999)
			f.Selected[2].Spec.Containers[0].ReadinessProbe.HTTPGet.Port = intstr.FromInt32(9999)
		}},
		"HTTP/3 beside HTTP": {state: OK, change: more(corev1.ServicePort{Name: "h3", Port: 80, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromInt32(8080)})},
		"a new pod that lacks the name is not ready yet": {state: OK, change: func(f *Facts) {
			named("http", "http", 8080, "")(f)
			f.Selected[0].Spec.Containers[0].Ports[0].Name = "web"
			probeFails(f.Selected[0])
			f.Selected[0].CreationTimestamp = ago(0)
		}},
		"a longer name": {state: Problem, check: CheckPorts, want: NamedPortNotFound,
			says:   []string{"no pod declares a TCP port named web, which port http (80) of the Service asks for; they have http-web (8080)", "change spec.ports[0].targetPort to http-web, or name the container port web."},
			change: named("web", "http-web", 8080, "")},
		"a typing error":          {state: Problem, check: CheckPorts, want: NamedPortNotFound, says: []string{"targetPort to http,"}, change: named("htpp", "http", 8080, "")},
		"another protocol":        {state: Problem, check: CheckPorts, want: NamedPortNotFound, says: []string{"they have dns as UDP", "change spec.ports[0].protocol to UDP"}, change: named("dns", "dns", 53, corev1.ProtocolUDP)},
		"the same number":         {state: Problem, check: CheckPorts, want: NamedPortNotFound, says: []string{"they have metrics (80)"}, change: named("front", "metrics", 80, "")},
		"a number without a name": {state: Problem, check: CheckPorts, want: NamedPortNotFound, says: []string{"they have 8080", "change spec.ports[0].targetPort to 8080"}, change: named("web", "", 8080, "")},
		"no port to name": {state: Problem, check: CheckPorts, want: NamedPortNotFound, says: []string{"they have no declared port", "to the number of a port"}, change: func(f *Facts) {
			f.Service.Spec.Ports[0].TargetPort = intstr.FromString("web")
			f.eachPod(func(pod *corev1.Pod) { pod.Spec.Containers[0].Ports = nil })
		}},
		"only an init container has it": {state: Problem, check: CheckPorts, want: NamedPortNotFound, says: []string{"only an init container has it"}, change: func(f *Facts) {
			f.Service.Spec.Ports[0].TargetPort = intstr.FromString("web")
			f.eachPod(func(pod *corev1.Pod) {
				pod.Spec.Containers[0].Ports = nil
				pod.Spec.InitContainers = []corev1.Container{{Name: "init", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}}}}
			})
		}},
		"one pod lacks it": {state: Warning, check: CheckPorts, want: NamedPortNotFound, says: []string{"1 of 3 pods does not declare a TCP port named http", "(web-2)", "they have web (8080)"}, change: func(f *Facts) {
			named("http", "http", 8080, "")(f)
			f.Selected[1].Spec.Containers[0].Ports[0].Name = "web"
		}},
		"one of two ports": {state: Warning, check: CheckPorts, want: NamedPortNotFound, says: []string{"port metrics (9090)", "change spec.ports[1].targetPort to the number of a port"},
			change: more(corev1.ServicePort{Name: "metrics", Port: 9090, TargetPort: intstr.FromString("metrics")})},
		"a number declared for UDP": {state: Warning, check: CheckPorts, want: ProtocolMismatch, says: []string{"answers only if something listens on TCP port 8080 of the pods all the same: port http (80) of the Service is for TCP, and the pods declare 8080 as UDP", "spec.ports[0].protocol"}, change: func(f *Facts) {
			f.eachPod(func(pod *corev1.Pod) {
				pod.Spec.Containers[0].Ports[0].Protocol, pod.Spec.Containers[0].ReadinessProbe = corev1.ProtocolUDP, nil
			})
		}},
		"a name that DNS does without": {state: Warning, check: CheckPorts, want: NamedPortNotFound, change: func(f *Facts) {
			headlessService(f)
			named("web", "metrics", 9090, "")(f)
		}},
		"a number declared for UDP, and DNS names no ports": {state: OK, check: CheckPorts, details: []string{"port http (80) of the Service is for TCP, and the pods declare 8080 as UDP"}, change: func(f *Facts) {
			headlessService(f)
			f.eachPod(func(pod *corev1.Pod) {
				pod.Spec.Containers[0].Ports[0].Protocol, pod.Spec.Containers[0].ReadinessProbe = corev1.ProtocolUDP, nil
			})
		}},
		"a number declared for UDP that a TCP probe asks": {state: OK, says: []string{"web answers."}, change: func(f *Facts) {
			f.eachPod(func(pod *corev1.Pod) { pod.Spec.Containers[0].Ports[0].Protocol = corev1.ProtocolUDP })
		}},
	})
}

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

	corev1 "k8s.io/api/core/v1"
)

// declaration is a port that a container says it listens on.
type declaration struct {
	name     string
	number   int32
	protocol corev1.Protocol
}

// String is "http-web (8080)", or "8080" of one without name.
func (d declaration) String() string {
	number := fmt.Sprint(d.number)
	if d.protocol != corev1.ProtocolTCP {
		number += " " + string(d.protocol)
	}
	if d.name == "" {
		return number
	}
	return d.name + " (" + number + ")"
}

// target is what a targetPort says to mean it.
func (d declaration) target() string {
	if d.name == "" {
		return fmt.Sprint(d.number)
	}
	return d.name
}

// maxDeclarations bounds the different ports that pods are searched for.
const maxDeclarations = 200

// declarationsOf are the different ones, those of most pods first.
func declarationsOf(pods []*corev1.Pod) []declaration {
	count := map[declaration]int{}
	for _, pod := range pods {
		for container := range portContainers(pod) {
			for _, p := range container.Ports {
				d := declaration{p.Name, p.ContainerPort, protocolOf(p.Protocol)}
				if count[d] > 0 || len(count) < maxDeclarations {
					count[d]++
				}
			}
		}
	}
	list := make([]declaration, 0, len(count))
	for d := range count {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b declaration) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a.number, b.number), cmp.Compare(a.name, b.name), cmp.Compare(a.protocol, b.protocol))
	})
	return list
}

func declarationsText(list []declaration) string {
	if len(list) == 0 {
		return "no declared port"
	}
	texts := make([]string, 0, len(list))
	for _, d := range list {
		texts = append(texts, d.String())
	}
	return enumerate(texts, maxNames)
}

// nearestPort is what a named target port was probably meant to be, and how to
// say that; no words if nothing is near. The only port of a Service may well be
// meant for the only one of the pods.
func nearestPort(declared []declaration, port *corev1.ServicePort, only bool) (declaration, string) {
	name, protocol := port.TargetPort.StrVal, protocolOf(port.Protocol)
	for _, d := range declared {
		if d.name == name && d.protocol != protocol {
			return d, fmt.Sprintf("%s as %s", name, d.protocol)
		}
	}
	alike := func(like func(declaration) bool) (declaration, string) {
		for _, d := range declared {
			if d.protocol == protocol && like(d) {
				return d, d.String()
			}
		}
		return declaration{}, ""
	}
	for _, like := range []func(declaration) bool{
		func(d declaration) bool { return d.name != "" && mistyped(d.name, name) },
		func(d declaration) bool { return d.name != "" && similar(d.name, name) },
		func(d declaration) bool { return d.number == port.Port },
		func(declaration) bool { return only && len(declared) == 1 },
	} {
		if d, because := alike(like); because != "" {
			return d, because
		}
	}
	return declaration{}, ""
}

// inInitContainer tells of a port of a container that has ended by the time that
// the pod is ready.
func inInitContainer(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool {
		return !restartable(&c) && slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == name })
	})
}

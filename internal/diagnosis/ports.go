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
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// portOutcome is how one port of the Service came out.
type portOutcome struct {
	// missing are pods without it, of all that count.
	missing []*corev1.Pod
	all     int
	step    Step
	// hint is a detail, and provided what it depends on.
	hint, provided string
}

// ports is about target ports: names that pods declare, and numbers that they
// declare for another protocol.
func (e *examination) ports() Step {
	pods := e.targets()
	if !e.selects() || len(e.Service.Spec.Ports) == 0 || len(pods) == 0 {
		return Step{}
	}
	step, without := Step{State: OK}, 0
	for i := range e.Service.Spec.Ports {
		outcome := e.port(i, pods)
		if outcome.hint != "" {
			step.Details = append(step.Details, outcome.hint)
		}
		if step.Provided == "" && step.State == OK {
			step.Provided = outcome.provided
		}
		switch {
		case outcome.step.State == "":
			continue
		case step.State == OK:
			details := step.Details
			step = outcome.step // with what this one is provided for, if it is
			step.Details = append(details, outcome.step.Details...)
		default:
			step.Details = append(step.Details, outcome.step.Message)
		}
		if len(outcome.missing) == outcome.all {
			without++
		}
	}
	switch {
	case step.State == OK:
		step.Message = fmt.Sprintf("%s found in the pods", countedOfPorts(len(e.Service.Spec.Ports)))
	case without == len(e.Service.Spec.Ports) && e.proxied():
		step.State = Problem // DNS names endpoints without ports, too
	}
	return step
}

func countedOfPorts(n int) string {
	if n == 1 {
		return "the target port is"
	}
	return fmt.Sprintf("%d target ports are", n)
}

// port is about one of the Service's ports in all pods.
func (e *examination) port(i int, pods []*corev1.Pod) portOutcome {
	port := &e.Service.Spec.Ports[i]
	if port.TargetPort.Type == intstr.String && port.TargetPort.StrVal != "" {
		return e.namedPort(i, port, pods)
	}
	return e.numberedPort(i, port, pods)
}

func (e *examination) namedPort(i int, port *corev1.ServicePort, pods []*corev1.Pod) portOutcome {
	outcome := portOutcome{all: len(pods)}
	for _, pod := range pods {
		if _, found := resolve(pod, port); !found {
			outcome.missing = append(outcome.missing, pod)
		}
	}
	if len(outcome.missing) == 0 {
		return outcome
	}
	name, protocol := port.TargetPort.StrVal, protocolOf(port.Protocol)
	declared := declarationsOf(outcome.missing)
	outcome.step = Step{State: Warning, Reason: NamedPortNotFound}
	what := fmt.Sprintf("a %s port named %s, which %s of the Service asks for", protocol, name, portName(port))
	if n := len(outcome.missing); n == outcome.all {
		outcome.step.Message = "no pod declares " + what
	} else {
		outcome.step.Message = fmt.Sprintf("%d of %s %s not declare %s (%s)",
			n, counted(outcome.all, "pod"), either(n, "does", "do"), what, enumerate(podNames(outcome.missing), maxNames))
	}
	guess, because := nearestPort(declared, port, len(e.Service.Spec.Ports) == 1)
	field := fmt.Sprintf("spec.ports[%d].targetPort", i)
	switch {
	case len(outcome.missing) < outcome.all:
		// The others have it: what the Service asks for is right for these.
		outcome.step.Message += "; they have " + declarationsText(declared)
		outcome.step.Remedy = fmt.Sprintf("name the container port %s in %s, as the others have it", name, enumerate(podNames(outcome.missing), maxNames))
	case because != "" && guess.name == name:
		outcome.step.Message += "; they have " + because
		outcome.step.Remedy = fmt.Sprintf("change spec.ports[%d].protocol to %s, or the protocol of container port %s to %s", i, guess.protocol, name, protocol)
	case because != "":
		outcome.step.Message += "; they have " + because
		outcome.step.Remedy = fmt.Sprintf("change %s to %s, or name the container port %s", field, guess.target(), name)
	case inInitContainer(outcome.missing[0], name):
		outcome.step.Message += "; only an init container has it, which runs no more once the pod is up"
		outcome.step.Remedy = fmt.Sprintf("change %s to the number of a port, or name a container port %s", field, name)
	default:
		outcome.step.Message += "; they have " + declarationsText(declared)
		outcome.step.Remedy = fmt.Sprintf("change %s to the number of a port, or name a container port %s", field, name)
	}
	return outcome
}

// numberedPort needs no declaration. It is a mistake only if the pods say that
// the number is for another protocol, and no other port of the Service says so.
func (e *examination) numberedPort(i int, port *corev1.ServicePort, pods []*corev1.Pod) portOutcome {
	outcome := portOutcome{all: len(pods)}
	number, protocol := targetNumber(port), protocolOf(port.Protocol)
	if protocol == corev1.ProtocolTCP && slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return probesPort(pod, number) }) {
		return outcome // something listens there
	}
	declared := declarationsOf(pods)
	var other corev1.Protocol
	undeclared := 0
	for _, d := range declared {
		switch {
		case d.number != number:
			undeclared++
		case d.protocol == protocol:
			return outcome
		default:
			other = d.protocol
		}
	}
	switch {
	case other != "" && !e.asksFor(number, other) && e.headless():
		outcome.hint = fmt.Sprintf("%s of the Service is for %s, and the pods declare %d as %s", portNumber(port), protocol, number, other)
	case other != "" && !e.asksFor(number, other):
		outcome.step = Step{State: Warning, Reason: ProtocolMismatch,
			Provided: fmt.Sprintf("something listens on %s port %d of the pods all the same", protocol, number),
			Message:  fmt.Sprintf("%s of the Service is for %s, and the pods declare %d as %s", portNumber(port), protocol, number, other),
			Remedy:   fmt.Sprintf("change spec.ports[%d].protocol to %s, or the protocol of container port %d to %s", i, other, number, protocol)}
	case undeclared > 0 && !e.headless():
		undeclared := fmt.Sprintf("which no container declares: they declare %s", declarationsText(declared))
		outcome.hint = fmt.Sprintf("%s leads to %s port %d, %s", portName(port), protocol, number, undeclared)
		outcome.provided = fmt.Sprintf("something listens on %s port %d of its pods, %s", protocol, number, undeclared)
	}
	return outcome
}

// asksFor tells whether another port of the Service is for that protocol.
func (e *examination) asksFor(number int32, protocol corev1.Protocol) bool {
	return slices.ContainsFunc(e.Service.Spec.Ports, func(p corev1.ServicePort) bool {
		return protocolOf(p.Protocol) == protocol && targetNumber(&p) == number
	})
}

// targetNumber is the target port of a number, 0 of a name.
func targetNumber(port *corev1.ServicePort) int32 {
	switch target := port.TargetPort; {
	case target.Type == intstr.String && target.StrVal != "":
		return 0
	case target.IntVal != 0:
		return target.IntVal
	}
	return port.Port
}

// resolve is the number that a port of the Service has in a pod: the first of its
// name and protocol over the containers, then over restartable init containers.
func resolve(pod *corev1.Pod, port *corev1.ServicePort) (int32, bool) {
	if number := targetNumber(port); number != 0 {
		return number, true
	}
	for container := range portContainers(pod) {
		for _, p := range container.Ports {
			if p.Name == port.TargetPort.StrVal && protocolOf(p.Protocol) == protocolOf(port.Protocol) {
				return p.ContainerPort, true
			}
		}
	}
	return 0, false
}

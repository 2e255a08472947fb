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
	discoveryv1 "k8s.io/api/discovery/v1"
)

// leaderAnnotation marks Endpoints that are the lock of an election.
const leaderAnnotation = "control-plane.alpha.kubernetes.io/leader"

// handMade is about the slices of a Service without selector.
func (e *examination) handMade() Step {
	ready := e.readyEndpoints()
	switch {
	case len(e.endpoints) == 0:
		return e.notMirrored()
	case len(ready) == 0:
		return e.noneOfSlicesReady()
	}
	step := Step{State: OK,
		Message: fmt.Sprintf("%s in %s, made by somebody else", countedReady(ready), counted(len(e.Slices), "EndpointSlice"))}
	if e.onlyNames(ready) {
		return Step{State: Problem, Reason: FamilyMismatch, Message: "its EndpointSlices hold names (addressType FQDN), which no node can be programmed with",
			Remedy: "give addresses, or use a Service of type ExternalName"}
	}
	if !e.portMismatch(&step, ready) && !e.unusedSlices(&step, ready) {
		e.leftover(&step)
	}
	return step
}

func (e *examination) onlyNames(ready []endpoint) bool {
	return e.proxied() && !slices.ContainsFunc(ready, func(p endpoint) bool { return p.slice.AddressType != discoveryv1.AddressTypeFQDN })
}

// notMirrored is an Endpoints object that has come to no slice.
func (e *examination) notMirrored() Step {
	step := Step{State: Problem, Reason: EndpointsNotMirrored, Message: "its Endpoints object has addresses, but no EndpointSlice has them",
		Remedy: "see whether the mirroring controller runs (kube-controller-manager, or switchyard-manager with --endpoints=selectorless)"}
	switch meta := e.Endpoints; {
	case meta == nil:
		return Step{}
	case meta.Labels[discoveryv1.LabelSkipMirror] == "true":
		step.Message += fmt.Sprintf(", since it has the label %s=true", discoveryv1.LabelSkipMirror)
		step.Remedy = "remove that label, or make an EndpointSlice"
	case meta.Annotations[leaderAnnotation] != "":
		step.Message += ", since it is the lock of a leader election"
		step.Remedy = "make an EndpointSlice"
	}
	return step
}

// leftOut are slices with a label by which kube-proxy and switchyard-node leave out
// what is not theirs. Controllers give it to those of headless Services and of
// Services that are left to another proxy; here somebody has.
func (e *examination) leftOut() Step {
	ready := e.readyEndpoints()
	if _, other := e.leftToOther(); other || !e.proxied() || len(ready) == 0 {
		return Step{}
	}
	var names []string
	label, used := "", false
	for _, p := range ready {
		switch found := leavesOut(p.slice.Labels); {
		case found == "":
			used = true
		case !slices.Contains(names, p.slice.Name):
			names, label = append(names, p.slice.Name), cmp.Or(label, found)
		}
	}
	if len(names) == 0 {
		return Step{}
	}
	step := Step{State: Problem, Reason: SlicesLeftOut,
		Message: fmt.Sprintf("%s %s the label %s, by which nodes leave %s out", slicesNamed(names),
			either(len(names), "has", "have"), label, either(len(names), "it", "them")),
		Remedy: "remove the label from " + either(len(names), "it", "them")}
	if used {
		step.State = Warning
	}
	return step
}

// leavesOut is the label that does, empty if there is none.
func leavesOut(labels map[string]string) string {
	for _, label := range []string{corev1.IsHeadlessService, proxyLabel} {
		if _, has := labels[label]; has {
			return label
		}
	}
	return ""
}

// portMismatch is a slice whose ports are not called like the Service's: names
// and protocols have to be the same, and a port without name is called "".
func (e *examination) portMismatch(step *Step, ready []endpoint) bool {
	if len(e.Service.Spec.Ports) == 0 {
		return false
	}
	var without []string
	for i := range e.Service.Spec.Ports {
		if port := &e.Service.Spec.Ports[i]; len(portsOf(ready, port)) == 0 {
			without = append(without, portName(port))
		}
	}
	if len(without) == 0 {
		return false
	}
	*step = Step{State: Warning, Reason: SlicePortMismatch,
		Message: fmt.Sprintf("no EndpointSlice has a port of the name and protocol of %s: they have %s", enumerate(without, maxNames), slicePorts(ready)),
		Remedy:  "give the ports of the EndpointSlices the names that they have in the Service"}
	if len(without) == len(e.Service.Spec.Ports) && e.proxied() {
		step.State = Problem
	}
	return true
}

// unusedSlices are those without any port of the Service beside others that have.
func (e *examination) unusedSlices(step *Step, ready []endpoint) bool {
	if len(e.Service.Spec.Ports) == 0 || !e.proxied() {
		return false
	}
	var names []string
	var unused []endpoint
	for _, p := range ready {
		if slices.ContainsFunc(e.Service.Spec.Ports, func(port corev1.ServicePort) bool { return len(portsOf([]endpoint{p}, &port)) > 0 }) {
			continue
		}
		unused = append(unused, p)
		if !slices.Contains(names, p.slice.Name) {
			names = append(names, p.slice.Name)
		}
	}
	if len(names) == 0 {
		return false
	}
	*step = Step{State: Warning, Reason: SlicePortMismatch,
		Message: fmt.Sprintf("%s %s no port of the name and protocol of the Service's, and what %s is not used: %s", slicesNamed(names),
			either(len(names), "has", "have"), either(len(names), "it names", "they name"), either(len(names), "it has ", "they have ")+slicePorts(unused)),
		Remedy: "give the ports of the EndpointSlices the names that they have in the Service"}
	return true
}

// slicesNamed is "EndpointSlice a", "EndpointSlices a and b".
func slicesNamed(names []string) string {
	return either(len(names), "EndpointSlice ", "EndpointSlices ") + enumerate(names, maxNames)
}

func slicePorts(ready []endpoint) string {
	var texts []string
	for _, p := range ready {
		for _, port := range p.slice.Ports {
			d := declaration{protocol: "TCP"}
			if port.Name != nil {
				d.name = *port.Name
			}
			if port.Port != nil {
				d.number = *port.Port
			}
			if port.Protocol != nil {
				d.protocol = protocolOf(*port.Protocol)
			}
			if text := d.String(); !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
		if len(texts) > maxDetails {
			break
		}
	}
	if len(texts) == 0 {
		return "no ports"
	}
	return enumerate(texts, maxNames)
}

// leftover are slices of the time when there was a selector. Nobody updates them.
func (e *examination) leftover(step *Step) {
	var left []string
	for _, slice := range e.Slices {
		if slice.Labels[discoveryv1.LabelManagedBy] == sliceController && len(slice.Endpoints) > 0 {
			left = append(left, slice.Name)
		}
	}
	if len(left) > 0 {
		*step = Step{State: Warning, Reason: LeftoverSlices,
			Message: fmt.Sprintf("%s %s left from when the Service had a selector, and nobody updates %s", slicesNamed(left),
				either(len(left), "is", "are"), either(len(left), "it", "them")),
			Remedy: "set spec.selector again, or delete " + either(len(left), "it", "them")}
	}
}

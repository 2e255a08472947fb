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
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Who manages slices: the label's values of the controllers that Kubernetes has,
// which Switchyard's take over.
const (
	sliceController  = "endpointslice-controller.k8s.io"
	mirrorController = "endpointslicemirroring-controller.k8s.io"
)

// slices is about EndpointSlices, which are all that nodes and DNS look at.
func (e *examination) slices() Step {
	if e.externalName() {
		return Step{}
	}
	if why, unseen := e.unseen(EndpointSlices); unseen && len(e.Slices) == 0 {
		return unknown(EndpointSlices, why)
	}
	step := e.leftOut()
	switch {
	case step.State != "":
	case e.selects():
		step = e.followed()
	default:
		step = e.handMade()
	}
	if step.State == OK && e.Endpoints != nil && e.Endpoints.Annotations[corev1.EndpointsOverCapacity] == "truncated" {
		step = Step{State: Warning, Reason: Truncated, Details: step.Details,
			Message: fmt.Sprintf("its Endpoints object is cut, and names %s", counted(countAddresses(e.Endpoints), "endpoint")),
			Remedy:  "have whoever reads Endpoints read EndpointSlices, which name all"}
	}
	return step
}

// countedReady is "3 ready endpoints": one of two families is in two slices.
func countedReady(ready []endpoint) string {
	names := make(map[string]bool, len(ready))
	for _, p := range ready {
		names[p.name()] = true
	}
	return counted(len(names), "ready endpoint")
}

func countAddresses(endpoints *corev1.Endpoints) int {
	n := 0
	for i := range endpoints.Subsets {
		n += len(endpoints.Subsets[i].Addresses) + len(endpoints.Subsets[i].NotReadyAddresses)
	}
	return n
}

// followed compares slices with the pods that they have to follow.
func (e *examination) followed() Step {
	ready := e.readyEndpoints()
	step := Step{State: OK, Message: fmt.Sprintf("%s in %s", countedReady(ready), counted(len(e.Slices), "EndpointSlice"))}
	if e.podsUnseen() {
		return e.unfollowed(step, ready)
	}
	for _, find := range []func(*examination, *Step, []endpoint) bool{missingEndpoints, stalePorts, staleEndpoints, foreignSlices} {
		if find(e, &step, ready) {
			break
		}
	}
	return step
}

// unfollowed is all that slices tell without the pods.
func (e *examination) unfollowed(step Step, ready []endpoint) Step {
	switch {
	case len(ready) > 0:
		e.portMismatch(&step, ready)
	case len(e.endpoints) > 0:
		return e.noneOfSlicesReady()
	case e.changedJustNow():
		return Step{State: Unknown, Reason: ChangedJustNow, Message: "it changed just now, and no EndpointSlice names an endpoint yet: ask again in a minute"}
	default:
		reason := EndpointsNotReady
		if len(e.Slices) == 0 {
			reason = SlicesMissing
		}
		return Step{State: Problem, Reason: reason, Message: "no EndpointSlice names an endpoint of it; why could not be seen, as Pods could not be read",
			Remedy: "ask with the right to list the pods of its namespace"}
	}
	return step
}

func (e *examination) noneOfSlicesReady() Step {
	names := make([]string, 0, maxNames+1)
	for _, p := range e.endpoints[:min(len(e.endpoints), maxNames)] {
		names = append(names, p.name())
	}
	return Step{State: Problem, Reason: EndpointsNotReady,
		Message: fmt.Sprintf("its EndpointSlices have %s, %s ready (%s)", counted(len(e.endpoints), "endpoint"),
			either(len(e.endpoints), "which is not", "none of them"), enumerateOf(names, len(e.endpoints))),
		Remedy: "see why, where these come from"}
}

// missingEndpoints are ready pods that slices do not name as such.
func missingEndpoints(e *examination, step *Step, ready []endpoint) bool {
	named := make(map[netip.Addr]bool, len(ready))
	for _, p := range ready {
		named[p.addr()] = true
	}
	families := e.wantedFamilies()
	var missing []string
	fresh := e.changedJustNow()
	pods, recent, found := e.readyPods(), 0, 0
	for _, pod := range pods {
		lacks, fresh := false, fresh || e.recent(since(pod))
		for _, addr := range e.addrs(pod) {
			if len(families) > 0 && !slices.Contains(families, familyOf(addr)) {
				continue
			}
			lacks = lacks || !named[addr]
			if named[addr] {
				found++
			}
		}
		switch {
		case lacks && fresh:
			recent++
		case lacks:
			missing = append(missing, pod.Name)
		}
	}
	switch {
	case len(missing) == 0 && recent == 0:
		return false
	case len(missing) == 0 && found > 0:
		step.Details = append(step.Details, fmt.Sprintf("%s changed just now and %s yet to be named", counted(recent, "pod"), either(recent, "has", "have")))
		return false
	case len(missing) == 0:
		*step = Step{State: Unknown, Reason: ChangedJustNow, Message: "it or its pods changed just now, and no EndpointSlice names them yet: ask again in a minute"}
	default:
		*step = e.notFollowing(missing, len(pods), found > 0)
	}
	return true
}

const slicesRemedy = "see whether the EndpointSlice controller runs (kube-controller-manager, or switchyard-manager with --endpoints=all)"

// notFollowing says what slices lack.
func (e *examination) notFollowing(missing []string, all int, someFound bool) Step {
	step := Step{State: Problem, Reason: SlicesStale, Remedy: slicesRemedy}
	names := enumerate(missing, maxNames)
	switch {
	case someFound:
		step.State = Warning
		step.Message = fmt.Sprintf("its EndpointSlices do not name %d of %s (%s)", len(missing), counted(all, "ready pod"), names)
	case len(e.Slices) == 0:
		step.Reason = SlicesMissing
		step.Message = fmt.Sprintf("%s ready (%s), but there is no EndpointSlice: no controller writes them", countedOf(len(missing), all), names)
	default:
		step.Message = fmt.Sprintf("%s ready (%s), but its EndpointSlices do not name %s as such",
			countedOf(len(missing), all), names, either(len(missing), "it", "them"))
	}
	return step
}

// stalePorts are slices that lead to other ports than the Service has now.
func stalePorts(e *examination, step *Step, ready []endpoint) bool {
	pods := e.readyPods()
	if len(pods) == 0 || len(ready) == 0 || e.changedJustNow() {
		return false
	}
	var stale []string
	for i := range e.Service.Spec.Ports {
		port := &e.Service.Spec.Ports[i]
		numbers := map[int32]bool{}
		for _, pod := range pods {
			if number, found := resolve(pod, port); found {
				numbers[number] = true
			}
		}
		have := portsOf(ready, port)
		if len(numbers) > 0 && !slices.ContainsFunc(have, func(number int32) bool { return numbers[number] }) {
			stale = append(stale, portName(port))
		}
	}
	if len(stale) == 0 {
		return false
	}
	*step = Step{State: Warning, Reason: SlicesStale, Remedy: slicesRemedy,
		Message: fmt.Sprintf("its EndpointSlices lead to another target port than %s has", enumerate(stale, maxNames))}
	if len(stale) == len(e.Service.Spec.Ports) && e.proxied() {
		step.State = Problem
	}
	return true
}

// portsOf are the numbers by which endpoints answer a port of the Service.
func portsOf(ready []endpoint, port *corev1.ServicePort) []int32 {
	var numbers []int32
	var last *discoveryv1.EndpointSlice
	for _, p := range ready {
		if p.slice == last {
			continue
		}
		last = p.slice
		for _, have := range p.slice.Ports {
			if matches(have, port) && have.Port != nil && !slices.Contains(numbers, *have.Port) {
				numbers = append(numbers, *have.Port)
			}
		}
	}
	return numbers
}

func matches(have discoveryv1.EndpointPort, port *corev1.ServicePort) bool {
	name, protocol := "", corev1.ProtocolTCP
	if have.Name != nil {
		name = *have.Name
	}
	if have.Protocol != nil {
		protocol = protocolOf(*have.Protocol)
	}
	return name == port.Name && protocol == protocolOf(port.Protocol)
}

// staleEndpoints are those of pods that the selector does not match, or that are
// not there, although a controller is to keep them up to date.
func staleEndpoints(e *examination, step *Step, ready []endpoint) bool {
	if e.changedJustNow() {
		return false
	}
	addrs := make(map[netip.Addr]bool, len(e.Selected))
	for _, pod := range e.Selected {
		for _, addr := range e.addrs(pod) {
			addrs[addr] = true
		}
	}
	var stale []string
	for _, p := range ready {
		if p.slice.Labels[discoveryv1.LabelManagedBy] == sliceController && !addrs[p.addr()] {
			stale = append(stale, p.name())
		}
	}
	if len(stale) == 0 {
		return false
	}
	*step = Step{State: Warning, Reason: SlicesStale, Remedy: slicesRemedy,
		Message: fmt.Sprintf("its EndpointSlices name %s that %s none of its pods (%s)",
			counted(len(stale), "endpoint"), either(len(stale), "is", "are"), enumerate(stale, maxNames))}
	return true
}

// foreignSlices add endpoints that the selector knows nothing of. Those of a
// controller with a name of its own are meant.
func foreignSlices(e *examination, step *Step, ready []endpoint) bool {
	var nobodys, mirrored []string
	for _, slice := range e.Slices {
		used := slices.ContainsFunc(slice.Endpoints, func(p discoveryv1.Endpoint) bool { return p.Conditions.Ready == nil || *p.Conditions.Ready })
		switch by := slice.Labels[discoveryv1.LabelManagedBy]; {
		case !used || by == sliceController:
		case by == mirrorController:
			mirrored = append(mirrored, slice.Name)
		case by == "":
			nobodys = append(nobodys, slice.Name)
		default:
			step.Details = append(step.Details, fmt.Sprintf("EndpointSlice %s is managed by %s", slice.Name, by))
		}
	}
	switch {
	case len(mirrored) > 0:
		*step = Step{State: Warning, Reason: LeftoverSlices, Details: step.Details, Remedy: "delete " + either(len(mirrored), "it", "them"),
			Message: fmt.Sprintf("%s %s left from when it had no selector, and %s still used", slicesNamed(mirrored),
				either(len(mirrored), "is", "are"), either(len(mirrored), "is", "are"))}
	case len(nobodys) > 0:
		*step = Step{State: Warning, Reason: ForeignSlices, Details: step.Details,
			Message: fmt.Sprintf("%s %s endpoints that the selector did not choose, and no controller is named for %s", slicesNamed(nobodys),
				either(len(nobodys), "adds", "add"), either(len(nobodys), "it", "them")),
			Remedy: "delete " + either(len(nobodys), "it", "them") + ", or name what manages it in the label " + discoveryv1.LabelManagedBy}
	}
	return len(mirrored)+len(nobodys) > 0
}

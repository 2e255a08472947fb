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
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// selector is about which pods are meant, or where endpoints come from otherwise.
func (e *examination) selector() Step {
	selector := e.Service.Spec.Selector
	if e.externalName() {
		return Step{}
	}
	if len(selector) == 0 {
		return e.noSelector()
	}
	if why, unseen := e.unseen(Pods); unseen && len(e.Selected) == 0 {
		if ready := e.readyEndpoints(); len(ready) > 0 {
			return Step{State: OK, Message: fmt.Sprintf("spec.selector %s matches pods, of which slices name %d", pairs(selector), len(ready))}
		}
		return unknown(Pods, why)
	}
	if len(e.Selected) == 0 {
		return e.butOthers(e.noMatchingPods())
	}
	return Step{State: OK, Message: fmt.Sprintf("spec.selector %s matches %s", pairs(selector), counted(len(e.Selected), "pod"))}
}

// noSelector is a Service whose endpoints are made by somebody else.
func (e *examination) noSelector() Step {
	switch why, unseen := e.unseen(EndpointSlices); {
	case len(e.endpoints) > 0:
		return Step{State: OK, Message: "it has no selector: its endpoints are made by somebody else"}
	case hasAddresses(e.Endpoints):
		return Step{State: OK, Message: "it has no selector: an Endpoints object names its endpoints"}
	case unseen:
		return unknown(EndpointSlices, why)
	}
	return Step{State: Problem, Reason: NoSelectorNoEndpoints, Message: "it has neither a selector nor endpoints",
		Remedy: fmt.Sprintf("set spec.selector, or make an EndpointSlice with the label kubernetes.io/service-name=%s", e.Name.Name)}
}

func hasAddresses(endpoints *corev1.Endpoints) bool {
	return endpoints != nil && slices.ContainsFunc(endpoints.Subsets, func(s corev1.EndpointSubset) bool {
		return len(s.Addresses)+len(s.NotReadyAddresses) > 0
	})
}

// noMatchingPods says which pods were probably meant.
func (e *examination) noMatchingPods() Step {
	selector := e.Service.Spec.Selector
	step := Step{State: Problem, Reason: NoMatchingPods,
		Message: fmt.Sprintf("no pod of namespace %s has %s", e.Name.Namespace, labelsWord(selector)),
		Remedy:  "change spec.selector or the labels of the pods"}
	if e.NamespaceDeleting {
		step.Message += ", and the namespace is being deleted, so that no pod can be made in it"
		step.Remedy = "make the Service and its pods in another namespace"
		return step
	}
	pods := slices.DeleteFunc(slices.Clone(e.Others), ended)
	if len(pods) == 0 {
		step.Message += ", nor are there others"
		step.Remedy = "see whether what makes the pods is scaled to zero, in another namespace, or fails to make them"
		return step
	}
	guesses := nearMisses(selector, pods)
	if len(guesses) == 0 {
		step.Remedy = "see whether what makes the pods is scaled to zero, or change spec.selector or the labels of the pods"
		return step
	}
	step.Message += ", but " + guesses[0].clause()
	step.Remedy = guesses[0].remedy()
	for _, guess := range guesses[1:] {
		step.Details = append(step.Details, guess.clause())
	}
	return step
}

// butOthers makes a warning of a problem with the Service's pods where somebody
// else than their controller has made endpoints, with which nodes are programmed.
func (e *examination) butOthers(step Step) Step {
	var names []string
	for _, p := range e.readyEndpoints() {
		if by := p.slice.Labels[discoveryv1.LabelManagedBy]; by != sliceController && p.ready() && !slices.Contains(names, p.slice.Name) {
			names = append(names, p.slice.Name)
		}
	}
	if len(names) > 0 {
		step.State = Warning
		step.Message += ", and all that answers is what " + slicesNamed(names) + either(len(names), " names", " name")
	}
	return step
}

func labelsWord(selector map[string]string) string {
	if len(selector) == 1 {
		return "the label " + pairs(selector)
	}
	return "all of the labels " + pairs(selector)
}

// pairs writes a selector as kubectl takes it.
func pairs(selector map[string]string) string {
	list := make([]string, 0, len(selector))
	for _, key := range slices.Sorted(maps.Keys(selector)) {
		list = append(list, key+"="+selector[key])
	}
	return enumerate(list, 2*maxNames)
}

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

package audit

import (
	"fmt"
	"net/netip"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/inventory"
)

// foreignPodsLabel switches the admission rule about foreign pods, for a namespace
// that is meant to lead to others.
const foreignPodsLabel = "rule.switchyard.dev/X9"

// endpoints finds addresses that have become another namespace's pods
// (CVE-2021-25740). The rule X9 judges them when they are written, and a pod may
// be given an address that was written before, or while no webhook answered. The
// slices of Kubernetes' own controller hold pods of their namespace alone.
func (a *auditor) endpoints() {
	if !a.Has(inventory.EndpointSlices, inventory.Pods, inventory.Namespaces) {
		return
	}
	for i := range a.Endpoints.Slices {
		slice := &a.Endpoints.Slices[i]
		if slice.Labels[discoveryv1.LabelServiceName] == "" || a.Namespaces[slice.Namespace].Get(foreignPodsLabel) == "off" {
			continue
		}
		if foreign := a.foreignPodsOf(slice); len(foreign) > 0 {
			a.foreignEndpoints(slice, foreign)
		}
	}
}

// foreignPod is a pod of another namespace and the address by which it is reached.
type foreignPod struct {
	addr netip.Addr
	pod  types.NamespacedName
}

func (a *auditor) foreignPodsOf(slice *discoveryv1.EndpointSlice) (foreign []foreignPod) {
	for _, endpoint := range slice.Endpoints {
		for _, text := range endpoint.Addresses {
			each(text, func(addr netip.Addr) {
				pods := a.Endpoints.Pods[addr]
				for _, pod := range pods {
					if pod.Namespace == slice.Namespace {
						return
					}
				}
				if len(pods) > 0 {
					foreign = append(foreign, foreignPod{addr, pods[0]})
				}
			})
		}
	}
	return foreign
}

func (a *auditor) foreignEndpoints(slice *discoveryv1.EndpointSlice, foreign []foreignPod) {
	service := types.NamespacedName{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}
	first, more := foreign[0], ""
	if n := len(foreign) - 1; n > 0 {
		more = fmt.Sprintf(", and to %d more of other namespaces", n)
	}
	a.find(Finding{
		Severity: Error, Kind: EndpointOfOthers, Number: first.addr.String(),
		Objects: []Object{
			{Kind: "EndpointSlice", Namespace: slice.Namespace, Name: slice.Name}, Service(service),
			{Kind: "Pod", Namespace: first.pod.Namespace, Name: first.pod.Name},
		},
		Message: fmt.Sprintf("who may reach Service %s is led to the pod %s%s, past what protects it (CVE-2021-25740)", service, first.pod, more),
		Remedy: fmt.Sprintf("take the addresses out of the EndpointSlice, or of the Endpoints that it mirrors; where this is meant, label namespace %s %s=off",
			slice.Namespace, foreignPodsLabel),
	})
}

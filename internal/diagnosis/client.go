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

	corev1 "k8s.io/api/core/v1"
)

// client is about who asks, where there is something to be said.
func (e *examination) client() Step {
	if e.Client == nil || e.Client.Pod == nil || !ended(e.Client.Pod) {
		return Step{}
	}
	return Step{State: Warning, Reason: ClientEnded, Remedy: "give one that runs to --from",
		Message: fmt.Sprintf("%s has ended (%s) and connects to nothing", e.who("the client"), e.Client.Pod.Status.Phase)}
}

// clientIsNode tells of a node, which stands for what runs on it in its own
// network: kubelets and their probes, and others that are no pods.
func (e *examination) clientIsNode() bool {
	return e.Client != nil && e.Client.Pod != nil && e.Client.Pod.Namespace == ""
}

// clientName is the client for machines.
func clientName(f *Facts) *ClientName {
	switch client := f.Client; {
	case client == nil:
		return f.ClientUnseen
	case client.Pod == nil:
		return &ClientName{Address: client.Address.String()}
	case client.Pod.Namespace == "":
		return &ClientName{Node: client.Pod.Spec.NodeName}
	default:
		return &ClientName{Pod: &Name{Namespace: client.Pod.Namespace, Name: client.Pod.Name}, Node: client.Pod.Spec.NodeName}
	}
}

// clientsNode says which node a client is, or is on.
func (e *examination) clientsNode() string {
	node := e.Client.Pod.Spec.NodeName
	if e.clientIsNode() {
		return "node " + node
	}
	return "node " + node + " of pod " + e.Client.Pod.Name
}

// onNodeOf tells of a client in the network of the node that the pod is on: what a
// node sends to its own pods, NetworkPolicies let through.
func (e *examination) onNodeOf(pod *corev1.Pod) bool {
	return e.Client != nil && e.Client.Pod != nil && e.Client.Pod.Spec.HostNetwork && pod != nil && pod.Spec.NodeName != "" &&
		pod.Spec.NodeName == e.Client.Pod.Spec.NodeName
}

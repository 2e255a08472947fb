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
)

// traffic is about policies that keep connections on the node on which they
// arrive (KEP-2086 for internal ones).
func (e *examination) traffic() Step {
	if !e.proxied() || !e.internalLocal() && !e.externalLocal() {
		return Step{}
	}
	ready := e.readyEndpoints()
	if len(ready) == 0 {
		return Step{}
	}
	local := map[string]bool{}
	for _, p := range e.endpoints {
		if p.answers() && p.node() != "" {
			local[p.node()] = true
		}
	}
	if e.internalLocal() && !e.clientOutside() {
		if step := e.internalPolicy(local); step.State != OK || !e.externalLocal() {
			return step
		}
	}
	if !e.externalLocal() {
		return Step{}
	}
	return e.externalPolicy(local)
}

func (e *examination) internalLocal() bool {
	policy := e.Service.Spec.InternalTrafficPolicy
	return policy != nil && *policy == corev1.ServiceInternalTrafficPolicyLocal
}

// externalLocal tells whether connections from outside stay on their node.
func (e *examination) externalLocal() bool {
	spec := &e.Service.Spec
	outside := len(nodePorts(spec)) > 0 || len(spec.ExternalIPs) > 0 || len(loadBalancerAddresses(e.Service)) > 0
	return spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal && outside
}

const (
	internalField = "spec.internalTrafficPolicy"
	externalField = "spec.externalTrafficPolicy"
)

func (e *examination) internalPolicy(local map[string]bool) Step {
	if e.Client != nil && e.Client.Pod != nil {
		node := e.Client.Pod.Spec.NodeName
		if node == "" {
			return Step{State: Unknown, Reason: NotSeen, Message: fmt.Sprintf("%s has no node yet, and %s is Local", e.who("the client"), internalField)}
		}
		if local[node] {
			return Step{State: OK, Message: "the client's node has an endpoint, as " + internalField + " Local needs"}
		}
		return Step{State: Problem, Reason: TrafficPolicyLocalWithoutLocalEndpoints,
			Message: fmt.Sprintf("%s is Local, and %s has no endpoint", internalField, e.clientsNode()), Remedy: policyRemedy(internalField)}
	}
	return e.localNodes(internalField, local, func(*corev1.Node) bool { return true })
}

// externalPolicy leaves to a load balancer that has been set up which nodes it
// asks: the health check tells it. Connections from pods do not leave the cluster.
func (e *examination) externalPolicy(local map[string]bool) Step {
	if e.Client != nil && e.Client.Pod != nil {
		return Step{State: OK, Message: externalField + " Local does not concern pods"}
	}
	step := e.localNodes(externalField, local, func(node *corev1.Node) bool {
		_, excluded := node.Labels[corev1.LabelNodeExcludeBalancers]
		return !excluded
	})
	if step.State == Problem && !e.clientOutside() {
		step.State = Warning // clients in the cluster are served
	}
	if step.State == Warning && len(loadBalancerAddresses(e.Service)) > 0 && len(e.Service.Spec.ExternalIPs) == 0 {
		step.Details = append([]string{step.Message + "; the load balancer's health check leaves these out"}, step.Details...)
		have := counted(len(local), "node") + either(len(local), " has", " have")
		step = Step{State: OK, Message: fmt.Sprintf("%s endpoints, as %s Local needs", have, externalField), Details: step.Details}
	}
	return step
}

func policyRemedy(field string) string {
	return fmt.Sprintf("run a pod on each node that is asked, or change %s to Cluster", field)
}

// localNodes compares the nodes with endpoints to those that may be asked.
func (e *examination) localNodes(field string, local map[string]bool, asked func(*corev1.Node) bool) Step {
	if len(local) == 0 {
		return Step{State: Problem, Reason: TrafficPolicyLocalWithoutLocalEndpoints,
			Message: fmt.Sprintf("%s is Local, and no endpoint is on a node of the cluster", field), Remedy: fmt.Sprintf("change %s to Cluster", field)}
	}
	if len(e.Nodes) == 0 {
		why, _ := e.unseen(Nodes)
		if why == "" {
			why = "there are none"
		}
		return unknown(Nodes, why)
	}
	var without []string
	all := 0
	for _, node := range e.Nodes {
		if !local[node.Name] && (!nodeReady(node) || controlPlaneOnly(node) || !asked(node)) {
			continue
		}
		all++
		if !local[node.Name] {
			without = append(without, node.Name)
		}
	}
	slices.Sort(without)
	if len(without) == 0 {
		return Step{State: OK, Message: fmt.Sprintf("each node has an endpoint, as %s Local needs", field)}
	}
	step := Step{State: Warning, Reason: TrafficPolicyLocalWithoutLocalEndpoints, Remedy: policyRemedy(field),
		Message: fmt.Sprintf("%s is Local, and %d of %s %s no endpoint (%s)",
			field, len(without), counted(all, "node"), either(len(without), "has", "have"), enumerate(without, maxNames))}
	if len(without) == all {
		step.State = Problem
	}
	if all == 1 {
		step.Message = fmt.Sprintf("%s is Local, and the only node has no endpoint (%s)", field, without[0])
	}
	for _, name := range without[min(len(without), maxNames):] {
		step.Details = append(step.Details, fmt.Sprintf("node %s has no endpoint of the Service", name))
	}
	return step
}

// controlPlaneOnly nodes run nobody's pods.
func controlPlaneOnly(node *corev1.Node) bool {
	_, labelled := node.Labels["node-role.kubernetes.io/control-plane"]
	return labelled && slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule })
}

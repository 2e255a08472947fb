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
	"net/netip"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// step says what comes of it all.
func (a *attempts) step(e *examination) Step {
	switch {
	case a.denied > 0:
		return a.deniedStep(e)
	case a.maybe > 0:
		why, _ := e.unseen(Namespaces)
		if why == "" {
			why = "nobody looked"
		}
		return Step{State: Unknown, Reason: NotSeen,
			Message: "whether NetworkPolicies let the client in could not be seen, as labels of namespaces could not be read: " + why}
	case len(a.ingress)+len(a.egress) == 0:
		return Step{State: OK, Message: "no NetworkPolicy selects its pods"}
	}
	return Step{State: OK, Message: "NetworkPolicies let " + e.who("somebody") + " in"}
}

func (a *attempts) deniedStep(e *examination) Step {
	step := Step{State: Warning, Reason: NetworkPolicyDenies}
	ports := either(len(a.deniedPorts), "port ", "ports ") + enumerate(a.deniedPorts, maxNames)
	if a.deniedPorts[0] == "all ports" {
		ports = "all ports"
	}
	where := fmt.Sprintf("%s of %s", ports, enumerate(a.kept, maxNames))
	into := slices.Sorted(maps.Keys(a.ingress))
	switch {
	case a.leavingFails:
		step.Message = fmt.Sprintf("%s not let %s out to %s", policiesDo(a.egress), e.who("the client"), where)
		step.Remedy = fmt.Sprintf("add an egress rule for %s to %s", ports, oneOf(a.egress))
	default:
		step.Message = fmt.Sprintf("%s not let %s in to %s", policiesDo(into), e.who("anybody"), where)
		step.Remedy = fmt.Sprintf("add an ingress rule for %s%s to %s", ports, e.fromClause(), oneOf(into))
	}
	if len(a.open) > 0 {
		step.Message += fmt.Sprintf(", but to %s %s", either(len(a.open), "port", "ports"), enumerate(a.open, maxNames))
		if slices.ContainsFunc(e.Service.Spec.Ports, func(p corev1.ServicePort) bool {
			return targetNumber(&p) != p.Port && slices.Contains(a.open, declaration{number: p.Port, protocol: protocolOf(p.Protocol)}.String())
		}) {
			step.Message += " (rules are about the ports of pods, not of Services)"
		}
	}
	if a.denied < a.tries {
		return step
	}
	step.State = Problem
	if e.clientOutside() && !e.externalLocal() {
		// It arrives with a node's address unless connections stay on their node.
		step.State = Warning
		step.Message += ", unless the addresses of nodes are let in, with which it arrives there"
	}
	return step
}

// policiesDo is "NetworkPolicy a does", "NetworkPolicies a and b do".
func policiesDo(names []string) string {
	return either(len(names), "NetworkPolicy ", "NetworkPolicies ") + enumerate(names, maxNames) + either(len(names), " does", " do")
}

func oneOf(names []string) string {
	return either(len(names), "", "one of ") + enumerate(names, maxNames)
}

// who is the client, or a word for anybody.
func (e *examination) who(anybody string) string {
	switch {
	case e.clientIsNode():
		return "node " + e.Client.Pod.Spec.NodeName
	case e.Client != nil && e.Client.Pod != nil:
		return fmt.Sprintf("pod %s/%s", e.Client.Pod.Namespace, e.Client.Pod.Name)
	case e.clientOutside():
		return e.Client.Address.String()
	}
	return anybody
}

// fromClause is whom a rule has to let in.
func (e *examination) fromClause() string {
	switch {
	case e.Client == nil:
		return ""
	case e.Client.Pod == nil || e.Client.Pod.Spec.HostNetwork:
		return " from " + e.who("")
	}
	lasting := maps.Clone(e.Client.Pod.Labels)
	maps.DeleteFunc(lasting, func(key, _ string) bool { return generated(key) })
	switch elsewhere := e.Client.Pod.Namespace != e.Name.Namespace; {
	case elsewhere && len(lasting) == 0:
		return " from namespace " + e.Client.Pod.Namespace
	case elsewhere:
		return fmt.Sprintf(" from namespace %s and the client's labels %s", e.Client.Pod.Namespace, pairs(lasting))
	case len(lasting) == 0:
		return " from the pods of its namespace"
	}
	return " from the client's labels " + pairs(lasting)
}

// generated labels are another pod's after the next rollout.
func generated(key string) bool {
	switch key {
	case appsv1.DefaultDeploymentUniqueLabelKey, appsv1.ControllerRevisionHashLabelKey, appsv1.DeprecatedTemplateGeneration,
		appsv1.StatefulSetPodNameLabel, appsv1.PodIndexLabel, "controller-uid", "job-name":
		return true
	}
	return strings.HasPrefix(key, "batch.kubernetes.io/")
}

// selecting are lines about the policies.
func (a *attempts) selecting() []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(a.ingress)) {
		lines = append(lines, fmt.Sprintf("NetworkPolicy %s selects %d of %s for ingress", name, a.ingress[name], counted(a.pods, "pod")))
	}
	for _, name := range a.egress {
		lines = append(lines, fmt.Sprintf("NetworkPolicy %s selects the client for egress", name))
	}
	return lines
}

func addrList(addr netip.Addr) []netip.Addr {
	if !addr.IsValid() {
		return nil
	}
	return []netip.Addr{addr.Unmap()}
}

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
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// networkPolicies is about NetworkPolicies that select the pods, and those that
// select the client. It goes by what they say: whether the cluster's network holds
// anybody to them is not known here.
func (e *examination) networkPolicies() Step {
	if e.externalName() {
		return Step{}
	}
	if why, unseen := e.unseen(NetworkPolicies); unseen && len(e.NetworkPolicies) == 0 {
		return unknown(NetworkPolicies, why)
	}
	if len(e.NetworkPolicies) == 0 {
		return Step{}
	}
	found := e.tryPolicies()
	switch why, unseen := e.unseen(NetworkPolicies); {
	case unseen && found.denied == 0:
		return unknown(NetworkPolicies, why)
	case found.tries == 0 && e.podsUnseen():
		return Step{State: Unknown, Reason: NotSeen, Message: "which pods NetworkPolicies select could not be seen, as Pods could not be read"}
	case found.tries == 0:
		return Step{}
	}
	step := found.step(e)
	step.Details = append(step.Details, found.selecting()...)
	return step
}

// attempts are what policies say about each pod and port.
type attempts struct {
	pods, tries int
	// kept are the pods that some port of is denied, noneOf how many tries were.
	kept        []string
	denied      int
	maybe       int
	deniedPorts []string
	// open are the ports that rules for the same two do let through.
	open         []string
	ingress      map[string]int
	egress       []string
	leavingFails bool
}

// tryPolicies tries each port of each pod, from the client if there is one.
func (e *examination) tryPolicies() *attempts {
	found := &attempts{ingress: map[string]int{}}
	into := e.isolations(e.Name.Namespace, ingressOf)
	from, client := e.clientParty()
	var out []isolation
	if client && from.pod != nil {
		out = selecting(e.isolations(from.pod.Namespace, egressOf), from.pod)
		for _, i := range out {
			found.egress = append(found.egress, i.policy)
		}
	}
	admitted := e.admittedFrom(into, from, client)
	for _, t := range e.policyTargets() {
		found.pods++
		var mine []isolation
		if t.to.pod != nil {
			mine = selecting(into, t.to.pod)
		}
		for _, i := range mine {
			found.ingress[i.policy]++
		}
		itself := client && samePod(t.to.pod, from.pod) || e.onNodeOf(t.to.pod)
		before := found.denied
		for _, port := range t.ports {
			in, leaves := admitted.into(mine, port), e.letOut(out, t.to, port)
			if itself {
				in, leaves = allowed, allowed
			}
			found.leavingFails = found.leavingFails || leaves == denied
			switch {
			case leaves == denied:
				found.noteOpen(out, func(_ string, _ int, r rule) bool { return e.admits(r, t.to) == allowed })
			case in == denied:
				found.noteOpen(mine, func(policy string, n int, _ rule) bool { return admitted[policy][n] == allowed })
			}
			found.try(min(in, leaves), port)
		}
		if found.denied > before {
			found.kept = append(found.kept, t.name)
		}
	}
	return found
}

func (a *attempts) try(result answer, port target) {
	a.tries++
	switch result {
	case maybe:
		a.maybe++
	case denied:
		a.denied++
		text := "all ports"
		if port.number != 0 {
			text = declaration{number: port.number, protocol: port.protocol}.String()
		}
		if len(a.deniedPorts) < maxDeclarations && !slices.Contains(a.deniedPorts, text) {
			a.deniedPorts = append(a.deniedPorts, text)
		}
	}
}

// noteOpen notes what those rules are for that mean both sides, and another port.
func (a *attempts) noteOpen(all []isolation, means func(policy string, n int, r rule) bool) {
	for _, i := range all {
		for n, r := range i.rules {
			if !means(i.policy, n, r) {
				continue
			}
			for _, port := range r.ports {
				if text := policyPort(port); !slices.Contains(a.open, text) && len(a.open) <= maxNames {
					a.open = append(a.open, text)
				}
			}
		}
	}
}

// policyPort is how a port of a rule is spoken of.
func policyPort(p networkingv1.NetworkPolicyPort) string {
	protocol := corev1.ProtocolTCP
	if p.Protocol != nil {
		protocol = protocolOf(*p.Protocol)
	}
	switch {
	case p.Port == nil:
		return "any of " + string(protocol)
	case p.Port.Type == intstr.String:
		return p.Port.StrVal
	}
	d := declaration{number: p.Port.IntVal, protocol: protocol}
	if p.EndPort != nil {
		return fmt.Sprintf("%d to %s", p.Port.IntVal, declaration{number: *p.EndPort, protocol: protocol})
	}
	return d.String()
}

// samePod is a client that is an endpoint itself. Nothing keeps a pod from itself.
func samePod(a, b *corev1.Pod) bool {
	return a != nil && b != nil && a.Namespace == b.Namespace && a.Name == b.Name
}

// clientParty is the client as policies see it. On the host's network it is the
// node, which reaches its own pods regardless; nothing is said about that.
func (e *examination) clientParty() (party, bool) {
	switch {
	case e.Client == nil:
		return party{}, false
	case e.Client.Pod != nil:
		return e.partyOf(e.Client.Pod), !e.Client.Pod.Spec.HostNetwork
	}
	return party{addrs: addrList(e.Client.Address)}, e.Client.Address.IsValid()
}

// admission says of each rule whether it is for the client.
type admission map[string][]answer

// admittedFrom looks at each rule once. Without a client a rule is for somebody.
func (e *examination) admittedFrom(into []isolation, from party, client bool) admission {
	all := admission{}
	for _, i := range into {
		for _, r := range i.rules {
			who := allowed
			if client {
				who = e.admits(r, from)
			}
			all[i.policy] = append(all[i.policy], who)
		}
	}
	return all
}

// into is what the policies of a pod say about one of its ports.
func (a admission) into(mine []isolation, port target) answer {
	best := answerOf(len(mine) == 0)
	for _, i := range mine {
		for n, r := range i.rules {
			if r.covers(port) {
				best = max(best, a[i.policy][n])
			}
		}
	}
	return best
}

// letOut is what the policies of the client say about where it wants to.
func (e *examination) letOut(out []isolation, to party, port target) answer {
	best := answerOf(len(out) == 0)
	for _, i := range out {
		for _, r := range i.rules {
			if best < allowed && r.covers(port) {
				best = max(best, e.admits(r, to))
			}
		}
	}
	return best
}

// policyTarget is one endpoint and its ports.
type policyTarget struct {
	name  string
	to    party
	ports []target
}

// policyTargets are the pods, or the addresses of endpoints that are none.
func (e *examination) policyTargets() []policyTarget {
	var all []policyTarget
	if !e.selects() {
		for _, p := range e.readyEndpoints() {
			all = append(all, policyTarget{p.name(), party{addrs: addrList(p.addr())}, e.portsIn(func(port *corev1.ServicePort) (int32, bool) {
				numbers := portsOf([]endpoint{p}, port)
				return append(numbers, 0)[0], len(numbers) > 0
			}, nil)})
		}
		return all
	}
	for _, pod := range e.targets() {
		to := e.partyOf(pod)
		ports := e.portsIn(func(port *corev1.ServicePort) (int32, bool) { return resolve(pod, port) }, pod)
		all = append(all, policyTarget{pod.Name, to, ports})
	}
	return all
}

// portsIn are the Service's ports that an endpoint has; any of one without ports.
func (e *examination) portsIn(find func(*corev1.ServicePort) (int32, bool), pod *corev1.Pod) []target {
	if len(e.Service.Spec.Ports) == 0 {
		return []target{{pod: pod}}
	}
	var ports []target
	for i := range e.Service.Spec.Ports {
		port := &e.Service.Spec.Ports[i]
		if number, found := find(port); found {
			ports = append(ports, target{pod, number, protocolOf(port.Protocol)})
		}
	}
	return ports
}

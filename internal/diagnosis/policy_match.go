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
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// answer is whether something is allowed, as far as is known.
type answer int

const (
	denied answer = iota
	maybe
	allowed
)

func answerOf(is bool) answer {
	if is {
		return allowed
	}
	return denied
}

// party is one end of a connection.
type party struct {
	// pod is nil for who is known by addresses only; so are pods on the host's network.
	pod   *corev1.Pod
	addrs []netip.Addr
}

func (e *examination) partyOf(pod *corev1.Pod) party {
	if pod.Spec.HostNetwork {
		return party{addrs: e.connecting(pod)}
	}
	return party{pod, e.connecting(pod)}
}

// connecting are the pod's addresses of the families that the Service has: no
// others take part in a connection.
func (e *examination) connecting(pod *corev1.Pod) []netip.Addr {
	families := e.wantedFamilies()
	of := slices.DeleteFunc(slices.Clone(e.addrs(pod)), func(a netip.Addr) bool { return !slices.Contains(families, familyOf(a)) })
	if len(of) == 0 {
		return e.addrs(pod) // which the check of families tells
	}
	return of
}

// rule is an ingress or egress rule of a policy.
type rule struct {
	ports []networkingv1.NetworkPolicyPort
	peers []peer
}

// peer is a NetworkPolicyPeer that has been read.
type peer struct {
	// namespace is that of the pods, unless there is a selector of namespaces.
	namespace  string
	namespaces labels.Selector
	pods       labels.Selector
	block      *networkingv1.IPBlock
}

// isolation is one direction of a policy: nothing but its rules is allowed to the
// pods that it selects.
type isolation struct {
	policy string
	pods   labels.Selector
	rules  []rule
}

func ingressOf(policy *networkingv1.NetworkPolicy) (isolation, bool) {
	types := policy.Spec.PolicyTypes
	i := isolation{policy: policy.Name, pods: read(&policy.Spec.PodSelector)}
	for _, r := range policy.Spec.Ingress {
		i.rules = append(i.rules, rule{r.Ports, peersOf(policy.Namespace, r.From)})
	}
	return i, len(types) == 0 || slices.Contains(types, networkingv1.PolicyTypeIngress)
}

func egressOf(policy *networkingv1.NetworkPolicy) (isolation, bool) {
	types := policy.Spec.PolicyTypes
	i := isolation{policy: policy.Name, pods: read(&policy.Spec.PodSelector)}
	for _, r := range policy.Spec.Egress {
		i.rules = append(i.rules, rule{r.Ports, peersOf(policy.Namespace, r.To)})
	}
	return i, slices.Contains(types, networkingv1.PolicyTypeEgress) || len(types) == 0 && len(policy.Spec.Egress) > 0
}

func peersOf(namespace string, all []networkingv1.NetworkPolicyPeer) []peer {
	peers := make([]peer, 0, len(all))
	for _, p := range all {
		one := peer{namespace: namespace, pods: labels.Everything(), block: p.IPBlock}
		if p.PodSelector != nil {
			one.pods = read(p.PodSelector)
		}
		if p.NamespaceSelector != nil {
			one.namespaces = read(p.NamespaceSelector)
		}
		if p.PodSelector == nil && p.NamespaceSelector == nil {
			one.pods = labels.Nothing()
		}
		peers = append(peers, one)
	}
	return peers
}

// read makes a selector that selects nothing of one that makes no sense.
func read(selector *metav1.LabelSelector) labels.Selector {
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return labels.Nothing()
	}
	return s
}

// admits tells whether a rule is for that party; one without peers is for all.
func (e *examination) admits(r rule, who party) answer {
	best := answerOf(len(r.peers) == 0)
	for _, p := range r.peers {
		best = max(best, e.matchesPeer(p, who))
	}
	return best
}

func (e *examination) matchesPeer(p peer, who party) answer {
	switch {
	case p.block != nil:
		return answerOf(slices.ContainsFunc(who.addrs, func(addr netip.Addr) bool { return inBlock(p.block, addr) }))
	case who.pod == nil || !p.pods.Matches(labels.Set(who.pod.Labels)):
		return denied
	case p.namespaces == nil:
		return answerOf(who.pod.Namespace == p.namespace)
	}
	return e.matchesNamespace(p.namespaces, who.pod.Namespace)
}

func inBlock(block *networkingv1.IPBlock, addr netip.Addr) bool {
	within := func(text string) bool {
		prefix, err := netip.ParsePrefix(text)
		return err == nil && prefix.Contains(addr)
	}
	return within(block.CIDR) && !slices.ContainsFunc(block.Except, within)
}

// matchesNamespace knows one label of each namespace without having seen it.
func (e *examination) matchesNamespace(selector labels.Selector, namespace string) answer {
	if set, seen := e.Namespaces[namespace]; seen {
		return answerOf(selector.Matches(labels.Merge(set, labels.Set{corev1.LabelMetadataName: namespace})))
	}
	requirements, selectable := selector.Requirements()
	if selectable && slices.ContainsFunc(requirements, func(r labels.Requirement) bool { return r.Key() != corev1.LabelMetadataName }) {
		return maybe
	}
	return answerOf(selector.Matches(labels.Set{corev1.LabelMetadataName: namespace}))
}

// target is a port of a pod; number 0 is any.
type target struct {
	pod      *corev1.Pod
	number   int32
	protocol corev1.Protocol
}

// covers tells whether a rule is for that port; one without ports is for all.
func (r rule) covers(t target) bool {
	return len(r.ports) == 0 || t.number == 0 || slices.ContainsFunc(r.ports, t.within)
}

func (t target) within(p networkingv1.NetworkPolicyPort) bool {
	protocol := corev1.ProtocolTCP
	if p.Protocol != nil {
		protocol = protocolOf(*p.Protocol)
	}
	switch {
	case protocol != t.protocol:
		return false
	case p.Port == nil:
		return true
	case p.Port.Type == intstr.String:
		return t.named(p.Port.StrVal)
	case p.EndPort != nil:
		return p.Port.IntVal <= t.number && t.number <= *p.EndPort
	}
	return p.Port.IntVal == t.number
}

// named tells whether the pod has given its port that name.
func (t target) named(name string) bool {
	if t.pod == nil {
		return false
	}
	for container := range portContainers(t.pod) {
		for _, p := range container.Ports {
			if p.Name == name && p.ContainerPort == t.number && protocolOf(p.Protocol) == t.protocol {
				return true
			}
		}
	}
	return false
}

// isolations are those of a namespace in one direction.
func (e *examination) isolations(namespace string, direction func(*networkingv1.NetworkPolicy) (isolation, bool)) []isolation {
	var found []isolation
	for _, policy := range e.NetworkPolicies {
		if policy.Namespace != namespace {
			continue
		}
		if i, concerned := direction(policy); concerned {
			found = append(found, i)
		}
	}
	return found
}

// selecting are those that isolate the pod.
func selecting(all []isolation, pod *corev1.Pod) []isolation {
	var mine []isolation
	for _, i := range all {
		if i.pods.Matches(labels.Set(pod.Labels)) {
			mine = append(mine, i)
		}
	}
	return mine
}

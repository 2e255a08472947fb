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
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// dnsNamespace is where the cluster's DNS usually is.
const dnsNamespace = "kube-system"

// dnsDenied is a client whose policies do not let it ask for names. It is told
// only if no rule could be meant for DNS, wherever that is.
func (e *examination) dnsDenied() Step {
	if e.Client == nil || e.Client.Pod == nil || e.Client.Pod.Spec.HostNetwork {
		return Step{}
	}
	out := selecting(e.isolations(e.Client.Pod.Namespace, egressOf), e.Client.Pod)
	if len(out) == 0 {
		return Step{}
	}
	var names []string
	for _, i := range out {
		names = append(names, i.policy)
		if slices.ContainsFunc(i.rules, e.mayBeForDNS) {
			return Step{}
		}
	}
	return Step{State: Warning, Reason: DNSDenied, Message: policiesDo(names) + " not let " + e.who("the client") + " ask the cluster's DNS",
		Remedy: "add an egress rule for UDP and TCP port 53 to " + oneOf(names)}
}

// mayBeForDNS gives a rule the benefit of the doubt.
func (e *examination) mayBeForDNS(r rule) bool {
	named, covered := false, len(r.ports) == 0
	for _, p := range r.ports {
		named = named || p.Port != nil && forDNS(p)
		covered = covered || forDNS(p)
	}
	if !covered {
		return false
	}
	if len(r.peers) == 0 || named {
		return true
	}
	for _, p := range r.peers {
		switch {
		case p.block != nil:
			return true
		case speaksOfDNS(p.namespaces) || speaksOfDNS(p.pods):
			return true
		case p.namespaces == nil && e.Client.Pod.Namespace == dnsNamespace:
			return true
		case p.namespaces != nil && e.matchesNamespace(p.namespaces, dnsNamespace) != denied:
			return true
		}
	}
	return false
}

func forDNS(p networkingv1.NetworkPolicyPort) bool {
	if p.Port != nil && p.Port.Type == intstr.String {
		return strings.Contains(p.Port.StrVal, "dns") || p.Port.StrVal == "domain"
	}
	return slices.ContainsFunc(dnsPorts, func(number int32) bool {
		return target{number: number, protocol: corev1.ProtocolUDP}.within(p) || target{number: number, protocol: corev1.ProtocolTCP}.within(p)
	})
}

// dnsPorts are what the pods of DNS servers listen on, to which policies hold
// whoever asks the Service's port 53.
var dnsPorts = []int32{53, 5353, 1053, 8053}

// speaksOfDNS tells of labels like k8s-app=kube-dns or a namespace openshift-dns.
func speaksOfDNS(selector labels.Selector) bool {
	return selector != nil && strings.Contains(selector.String(), "dns")
}

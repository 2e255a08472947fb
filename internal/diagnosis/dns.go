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

// dns is about the Service's name: what has to be answered for it, whether the
// client may ask, and whether there is anybody to ask.
func (e *examination) dns() Step {
	if slices.ContainsFunc(endpointChecks, e.failed) {
		return e.name() // that nobody answers to it follows
	}
	if step := e.dnsDenied(); step.State != "" {
		return step
	}
	if e.DNSServer != nil && e.DNSServer.Ready == 0 && e.asksCluster() {
		return e.nobodyToAsk()
	}
	return e.name()
}

// nobodyToAsk is a cluster whose DNS server is down. Without any endpoint it may be
// another that pods ask: clusters whose nodes answer themselves keep the Service.
func (e *examination) nobodyToAsk() Step {
	server := e.DNSServer.Service.String()
	step := e.name()
	if e.DNSServer.Endpoints == 0 {
		if step.State != "" {
			step.Details = append(step.Details, fmt.Sprintf("Service %s has no endpoints: names are answered if something else does", server))
		}
		return step
	}
	return Step{State: Warning, Reason: DNSNotReady, Details: step.Details,
		Message: fmt.Sprintf("no endpoint of %s, the cluster's DNS server, is ready to say what its name is", server),
		Remedy:  "see `switchyard why " + server + "`"}
}

// asksCluster tells of a client that asks the cluster's DNS server, as pods do that
// are not told otherwise. The server itself needs no name.
func (e *examination) asksCluster() bool {
	switch {
	case e.Name == e.DNSServer.Service, e.clientOutside(), e.clientIsNode():
		return false
	case e.Client == nil:
		return true
	}
	switch spec := &e.Client.Pod.Spec; spec.DNSPolicy {
	case corev1.DNSDefault, corev1.DNSNone:
		return false
	case corev1.DNSClusterFirstWithHostNet:
		return true
	default:
		return !spec.HostNetwork
	}
}

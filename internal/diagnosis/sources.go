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
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const rangesField = "spec.loadBalancerSourceRanges"

// sources is about whom loadBalancerSourceRanges let in. Pods are not held to
// them: they are for the load balancer's addresses.
func (e *examination) sources() Step {
	texts := e.Service.Spec.LoadBalancerSourceRanges
	inside := e.Client != nil && e.Client.Pod != nil
	if typeOf(e.Service) != corev1.ServiceTypeLoadBalancer || len(texts) == 0 || inside {
		return Step{}
	}
	var ranges []netip.Prefix
	var invalid []string
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			invalid = append(invalid, bounded(text, maxCommand))
			continue
		}
		ranges = append(ranges, prefix.Masked())
	}
	step := Step{State: OK, Message: fmt.Sprintf("%s lets in %s", rangesField, enumerate(texts, maxNames))}
	switch {
	case len(ranges) == 0:
		step = Step{State: Problem, Reason: InvalidSourceRanges, Remedy: "write ranges as in 192.0.2.0/24",
			Message: fmt.Sprintf("%s has no valid range (%s), so the load balancer's addresses are closed to all", rangesField, enumerate(invalid, maxNames))}
		if !e.clientOutside() || len(e.heldToNoRanges()) > 0 {
			step.State = Warning
		}
	case e.clientOutside():
		e.clientInRanges(&step, ranges)
	default:
		e.rangesOfFamilies(&step, ranges)
	}
	if len(invalid) > 0 && len(ranges) > 0 {
		step.Details = append(step.Details, "not valid, and without effect: "+enumerate(invalid, maxNames))
	}
	return step
}

func (e *examination) clientInRanges(step *Step, ranges []netip.Prefix) {
	client := e.Client.Address.Unmap()
	own := slices.DeleteFunc(slices.Clone(ranges), func(p netip.Prefix) bool { return familyOf(p.Addr()) != familyOf(client) })
	if len(own) == 0 || slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Contains(client) }) {
		return
	}
	given := loadBalancerAddresses(e.Service)
	if len(given) == 0 {
		return // what is pending lets nobody in
	}
	*step = Step{State: Problem, Reason: SourceNotAllowed, Remedy: "add a range that holds the client",
		Message: fmt.Sprintf("load balancer %s is closed to %s: %s has %s", enumerate(given, maxNames), client, rangesField,
			enumerate(e.Service.Spec.LoadBalancerSourceRanges, maxNames))}
	if open := e.heldToNoRanges(); len(open) > 0 {
		step.State = Warning
		step.Message += ", to which " + enumerate(open, maxNames) + either(len(open), " is", " are") + " not held"
	}
}

// heldToNoRanges are the other ways in: source ranges are for the load balancer's
// addresses alone.
func (e *examination) heldToNoRanges() []string {
	var open []string
	for _, port := range nodePorts(&e.Service.Spec) {
		open = append(open, "NodePort "+port)
	}
	for _, ip := range e.Service.Spec.ExternalIPs {
		open = append(open, "external IP "+ip)
	}
	return open
}

// rangesOfFamilies tells of ranges that say nothing about the Service's addresses:
// a family without ranges is open.
func (e *examination) rangesOfFamilies(step *Step, ranges []netip.Prefix) {
	families := e.wantedFamilies()
	if len(families) == 0 || slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return slices.Contains(families, familyOf(p.Addr())) }) {
		return
	}
	*step = Step{State: Warning, Reason: InvalidSourceRanges,
		Message: fmt.Sprintf("%s has no range of %s, so it keeps nobody out", rangesField, enumerate(families, maxNames)),
		Remedy:  fmt.Sprintf("add ranges of %s", enumerate(families, maxNames))}
}

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

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// families is about endpoints of each address family that the Service has.
func (e *examination) families() Step {
	wanted := e.wantedFamilies()
	switch {
	case e.externalName() || len(wanted) == 0:
		return Step{}
	case e.clientLacks(wanted):
		return Step{State: Problem, Reason: FamilyMismatch, Remedy: familyRemedy,
			Message: fmt.Sprintf("the Service is %s, and %s has no such address", enumerate(wanted, maxNames), e.who("the client"))}
	}
	step := e.endpointFamilies(wanted)
	if other := e.otherFamilyOutside(wanted); gravity(other.State) > gravity(step.State) {
		return other
	}
	return step
}

const familyRemedy = "set spec.ipFamilyPolicy to PreferDualStack, if the cluster has both families"

// otherFamilyOutside is a client outside of a family that the Service has not. A
// load balancer may stand between the two.
func (e *examination) otherFamilyOutside(wanted []corev1.IPFamily) Step {
	if !e.clientOutside() || slices.Contains(wanted, familyOf(e.Client.Address)) || e.failed(CheckAddresses) {
		return Step{}
	}
	step := Step{State: Problem, Reason: FamilyMismatch, Remedy: familyRemedy,
		Message: fmt.Sprintf("the Service is %s, and %s is no such address", enumerate(wanted, maxNames), e.Client.Address)}
	if len(loadBalancerAddresses(e.Service)) > 0 {
		step.State = Warning
		step.Message += ", unless the load balancer translates"
	}
	return step
}

// endpointFamilies asks the pods, or the slices.
func (e *examination) endpointFamilies(wanted []corev1.IPFamily) Step {
	if !e.selects() || e.podsUnseen() {
		return e.sliceFamilies(wanted)
	}
	var pods []*corev1.Pod
	for _, pod := range e.targets() {
		if len(e.addrs(pod)) > 0 {
			pods = append(pods, pod)
		}
	}
	if len(pods) == 0 {
		return Step{}
	}
	return e.familyStep(wanted, func(family corev1.IPFamily) (without []string, all int) {
		for _, pod := range pods {
			if !slices.ContainsFunc(e.addrs(pod), func(a netip.Addr) bool { return familyOf(a) == family }) {
				without = append(without, pod.Name)
			}
		}
		return without, len(pods)
	})
}

// podsUnseen tells that slices are all that is known of endpoints.
func (e *examination) podsUnseen() bool {
	_, unseen := e.unseen(Pods)
	return unseen && len(e.Selected) == 0
}

// clientLacks tells of a client without an address of the Service's families.
func (e *examination) clientLacks(wanted []corev1.IPFamily) bool {
	if e.Client == nil || e.Client.Pod == nil {
		return false
	}
	addrs := podAddrs(e.Client.Pod)
	return len(addrs) > 0 && !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return slices.Contains(wanted, familyOf(a)) })
}

// wantedFamilies are the Service's, in its order; older Services say them by
// their ClusterIPs only.
func (e *examination) wantedFamilies() []corev1.IPFamily {
	if families := e.Service.Spec.IPFamilies; len(families) > 0 {
		return families
	}
	var families []corev1.IPFamily
	for _, ip := range clusterIPs(&e.Service.Spec) {
		if addr, err := netip.ParseAddr(ip); err == nil && !slices.Contains(families, familyOf(addr)) {
			families = append(families, familyOf(addr))
		}
	}
	return families
}

func familyOf(addr netip.Addr) corev1.IPFamily {
	if addr.Unmap().Is4() {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

// familyStep counts, for each family, who is without it.
func (e *examination) familyStep(wanted []corev1.IPFamily, count func(corev1.IPFamily) ([]string, int)) Step {
	step := Step{State: OK, Message: "its endpoints have addresses of " + enumerate(wanted, maxNames)}
	empty, of, such := 0, enumerate(wanted, maxNames), "such"
	for i, family := range wanted {
		without, all := count(family)
		if len(without) == 0 {
			continue
		}
		an := "such an"
		if len(wanted) > 1 {
			such, an = string(family), "an "+string(family)
		}
		message := fmt.Sprintf("the Service is %s, and %d of %s %s no %s address (%s)", of, len(without), counted(all, "endpoint"),
			either(len(without), "has", "have"), such, enumerate(without, maxNames))
		if len(without) == all {
			empty++
			message = fmt.Sprintf("the Service is %s, and none of its endpoints has %s address (%s)", of, an, enumerate(without, maxNames))
		}
		if step.State == OK {
			step = Step{State: Warning, Reason: FamilyMismatch, Message: message, Details: step.Details,
				Remedy: fmt.Sprintf("give the endpoints %s addresses", family) + withoutFamily(i, len(wanted))}
		} else {
			step.Details = append(step.Details, message)
		}
	}
	switch {
	case empty == len(wanted):
		step.State = Problem
		step.Remedy = fmt.Sprintf("create the Service anew with the spec.ipFamilies of its endpoints, or give these %s addresses", wanted[0])
	case e.headless() && step.State == Warning:
		// A name without addresses of one family is what clients are used to.
		step = Step{State: OK, Message: "its endpoints have addresses of one of its families", Details: []string{step.Message}}
	}
	return step
}

// withoutFamily is what is left to do about a family of the Service: the first one
// is for good.
func withoutFamily(i, all int) string {
	switch {
	case all == 1:
		return ""
	case i == 0:
		return ", or create the Service anew with the spec.ipFamilies of its endpoints"
	}
	return ", or set spec.ipFamilyPolicy to SingleStack"
}

// sliceFamilies asks the slices, where nobody else knows.
func (e *examination) sliceFamilies(wanted []corev1.IPFamily) Step {
	ready := e.readyEndpoints()
	if len(ready) == 0 || e.onlyNames(ready) {
		return Step{} // names are for the check of slices
	}
	return e.familyStep(wanted, func(family corev1.IPFamily) ([]string, int) {
		if slices.ContainsFunc(ready, func(p endpoint) bool { return p.slice.AddressType == discoveryv1.AddressType(family) }) {
			return nil, len(ready)
		}
		names := make([]string, 0, len(ready))
		for _, p := range ready {
			names = append(names, p.Addresses[0])
		}
		return names, len(ready)
	})
}

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
)

// dns is about the Service's name: what is answered for it, and whether the
// client may ask.
func (e *examination) dns() Step {
	if slices.ContainsFunc(endpointChecks, e.failed) {
		return e.name() // that nobody answers to it follows
	}
	if step := e.dnsDenied(); step.State != "" {
		return step
	}
	if e.DNS == nil {
		return e.name()
	}
	name := strings.TrimSuffix(e.DNS.Name, ".")
	if e.DNS.Problem != "" || len(e.DNS.Addresses) == 0 && e.DNS.CNAME == "" {
		return e.noAnswer(name)
	}
	if e.externalName() {
		return e.answersWithTarget(name)
	}
	return e.rightAddresses(name)
}

func (e *examination) noAnswer(name string) Step {
	step := Step{State: Problem, Reason: DNSNoAnswer, Message: fmt.Sprintf("its name %s has no address", name),
		Remedy: "see whether the cluster's DNS runs and may read Services and EndpointSlices"}
	if e.DNS.Problem != "" {
		step.Message = fmt.Sprintf("its name %s is not answered: %s", name, quote(e.DNS.Problem))
	}
	if e.DNS.Server != "" {
		step.Message += " (asked " + e.DNS.Server + ")"
	}
	if e.externalName() {
		step.Remedy = fmt.Sprintf("see whether %s exists, or change spec.externalName", e.Service.Spec.ExternalName)
	}
	return step
}

func (e *examination) answersWithTarget(name string) Step {
	same := func(text string) string { return strings.ToLower(strings.TrimSuffix(text, ".")) }
	if e.DNS.CNAME == "" || same(e.DNS.CNAME) == same(e.Service.Spec.ExternalName) {
		return Step{State: OK, Message: fmt.Sprintf("its name %s leads to %s", name, e.Service.Spec.ExternalName)}
	}
	return Step{State: Warning, Reason: DNSWrongAnswer,
		Message: fmt.Sprintf("its name %s leads to %s instead of %s", name, e.DNS.CNAME, e.Service.Spec.ExternalName),
		Remedy:  "wait until the answer is no longer kept, or see what else answers for the name"}
}

// rightAddresses compares the answer with the ClusterIPs, or with the endpoints of
// a headless Service. Addresses may be left out: one family was asked for, or an
// answer has no room for more.
func (e *examination) rightAddresses(name string) Step {
	want := map[netip.Addr]bool{}
	if e.headless() {
		for _, p := range e.readyEndpoints() {
			for _, text := range p.Addresses {
				if addr, err := netip.ParseAddr(text); err == nil {
					want[addr.Unmap()] = true
				}
			}
		}
		if _, unseen := e.unseen(EndpointSlices); unseen {
			return Step{State: OK, Message: fmt.Sprintf("its name %s has %s", name, addressesWord(e.DNS.Addresses))}
		}
	} else {
		for _, text := range clusterIPs(&e.Service.Spec) {
			if addr, err := netip.ParseAddr(text); err == nil {
				want[addr.Unmap()] = true
			}
		}
	}
	wrong := slices.DeleteFunc(slices.Clone(e.DNS.Addresses), func(addr netip.Addr) bool { return want[addr.Unmap()] })
	if len(wrong) == 0 || len(want) == 0 {
		return Step{State: OK, Message: fmt.Sprintf("its name %s has %s", name, addressesWord(e.DNS.Addresses))}
	}
	step := Step{State: Warning, Reason: DNSWrongAnswer,
		Message: fmt.Sprintf("its name %s has %s, which %s not the Service's", name, addressesWord(wrong), either(len(wrong), "is", "are")),
		Remedy:  "wait until the answer is no longer kept, or see what else answers for the name"}
	if len(wrong) == len(e.DNS.Addresses) {
		step.State = Problem
	}
	return step
}

func addressesWord(addrs []netip.Addr) string {
	texts := make([]string, 0, len(addrs))
	for _, addr := range addrs {
		texts = append(texts, addr.String())
	}
	return either(len(texts), "address ", "addresses ") + enumerate(texts, maxNames)
}

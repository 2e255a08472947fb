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

package balancer

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// verdictOf says what a Service has, and why it lacks what it lacks.
func (b *Book) verdictOf(e *entry, refusals []*refusal) Decision {
	d := Decision{Service: e.Key, UID: e.UID, Reason: ReasonAssigned}
	for _, family := range e.wanted() {
		if addr, has := e.addrs[family]; has {
			d.Addrs = append(d.Addrs, addr)
		}
	}
	var messages []string
	for _, addr := range d.Addrs {
		messages = append(messages, addr.String())
	}
	assigned := "the Service has " + strings.Join(messages, ", ")
	if len(refusals) == 0 {
		d.Satisfied, d.Message = true, assigned
		return d
	}
	messages = nil
	for _, why := range refusals {
		if !slices.Contains(messages, why.message) {
			messages = append(messages, why.message)
		}
	}
	d.Reason, d.Message = refusals[0].reason, strings.Join(messages, "; ")
	if e.Policy == corev1.IPFamilyPolicyPreferDualStack && b.isGranted(e, d.Addrs) {
		d.Satisfied, d.Reason, d.Message = true, ReasonAssigned, assigned+"; "+d.Message
	}
	return d
}

// isGranted reports whether a Service has an address and all that it asks for.
func (b *Book) isGranted(e *entry, addrs []netip.Addr) bool {
	has := func(addr netip.Addr) bool { return slices.Contains(addrs, addr) }
	missing := func(addr netip.Addr) bool { return !has(addr) }
	other := func(addr netip.Addr) bool { return !b.asWished(e, addr) }
	return len(addrs) > 0 && e.Wish.Invalid == "" && !slices.ContainsFunc(e.Wish.Addrs, missing) && !slices.ContainsFunc(addrs, other)
}

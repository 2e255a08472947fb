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

package ruleset

import (
	"fmt"
	"net/netip"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// localPods are the elements of LocalPods: the sources that a ClusterIP does
// not masquerade. "All sources" and "no source" need no rules of their own,
// they are a set of everything and an empty set.
func localPods(node policy.Node) []Element {
	prefixes := node.LocalPods
	switch {
	case node.MasqueradeAll:
		return nil
	case len(prefixes) == 0:
		prefixes = []netip.Prefix{everything(node.Family)}
	}
	var elements []Element
	for i, p := range prefixes {
		if !covered(prefixes, i) {
			elements = append(elements, rangeElement(p.Masked()))
		}
	}
	return elements
}

// isLocalPod says whether LocalPods names addr; without any it does not.
func isLocalPod(node policy.Node, addr netip.Addr) bool {
	for _, p := range node.LocalPods {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// covered is true if another prefix contains the i-th: ranges in a set must
// not overlap.
func covered(prefixes []netip.Prefix, i int) bool {
	p := prefixes[i].Masked()
	for j, other := range prefixes {
		bigger := other.Bits() < p.Bits() || other.Bits() == p.Bits() && j < i
		if j != i && bigger && other.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

func everything(family model.Family) netip.Prefix {
	if family == model.IPv4 {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

func rangeElement(p netip.Prefix) Element {
	e := Element{Set: LocalPods, Key: addrKey(p.Addr())}
	if after := lastOf(p).Next(); after.IsValid() {
		e.Data = addrKey(after)
	}
	return e
}

func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// inRange says whether addr is in the range of e.
func inRange(e Element, addr netip.Addr) bool {
	k := addrKey(addr)
	return e.Key <= k && (e.Data == "" || k < e.Data)
}

// rangeText writes a range as the prefix it is, or, if a foreign hand wrote
// it, by its ends.
func rangeText(e Element) string {
	first, ok := netip.AddrFromSlice([]byte(e.Key))
	if !ok {
		return fmt.Sprintf("%x", e.Key)
	}
	for bits := 0; bits <= first.BitLen(); bits++ {
		if p := netip.PrefixFrom(first, bits); p.Masked() == p && rangeElement(p) == e {
			return p.String()
		}
	}
	return fmt.Sprintf("%s-%x", first, e.Data)
}

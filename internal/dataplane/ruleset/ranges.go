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
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// rangeSets are the sets whose elements are nothing but ranges of addresses.
var rangeSets = map[string]bool{LocalPods: true, Unmasqueraded: true, ServiceCIDRs: true}

// disjoint is what prefixes cover, none of them inside another: the kernel
// refuses ranges that overlap.
func disjoint(prefixes []netip.Prefix) []netip.Prefix {
	sorted := make([]netip.Prefix, len(prefixes))
	for i, p := range prefixes {
		sorted[i] = p.Masked()
	}
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	kept := sorted[:0]
	for _, p := range sorted {
		if len(kept) == 0 || !kept[len(kept)-1].Overlaps(p) {
			kept = append(kept, p)
		}
	}
	return kept
}

func rangeElements(set string, prefixes []netip.Prefix) []Element {
	var elements []Element
	for _, p := range disjoint(prefixes) {
		elements = append(elements, rangeElement(set, p))
	}
	return elements
}

func everything(family model.Family) netip.Prefix {
	if family == model.IPv4 {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

func rangeElement(set string, p netip.Prefix) Element {
	e := Element{Set: set, Key: addrKey(p.Addr())}
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

// rangeText writes a range as the prefix it is, or, if a foreign hand wrote
// it, by its ends.
func rangeText(e Element) string {
	first, ok := netip.AddrFromSlice([]byte(e.Key))
	if !ok {
		return fmt.Sprintf("%x", e.Key)
	}
	if p, ok := prefixOf(first, func(p netip.Prefix) bool { return rangeElement(e.Set, p) == e }); ok {
		return prefixText(p)
	}
	return fmt.Sprintf("%s-%x", first, e.Data)
}

// prefixOf is the prefix that begins with first and is the one.
func prefixOf(first netip.Addr, is func(netip.Prefix) bool) (p netip.Prefix, ok bool) {
	for bits := 0; bits <= first.BitLen(); bits++ {
		if p := netip.PrefixFrom(first, bits); p.Masked() == p && is(p) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// prefixText writes a single address without a length, as nft does.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

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

package routes

import (
	"cmp"
	"net/netip"
	"slices"
)

// Usable are the prefixes that may be announced, in order and each once, and
// apart from them those that nobody may: a default route, and what is no unicast
// address beyond a link.
func Usable(prefixes []netip.Prefix) (usable, refused []netip.Prefix) {
	for _, p := range prefixes {
		p = plain(p)
		if announceable(p) {
			usable = append(usable, p)
		} else {
			refused = append(refused, p)
		}
	}
	return sorted(usable), sorted(refused)
}

// plain has no host bits, and no IPv4 address in the form of an IPv6 one.
func plain(p netip.Prefix) netip.Prefix {
	if addr := p.Addr(); addr.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(addr.Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// shortest are the least bits of a prefix: shorter ones are no Services' but
// take in much of the Internet by mistake.
const shortest = 8

func announceable(p netip.Prefix) bool {
	addr := p.Addr()
	switch {
	case !p.IsValid() || p.Bits() < shortest:
		return false
	case addr.Is4():
		first := addr.As4()[0]
		return first != 0 && first < 224 && !addr.IsLoopback() && !addr.IsLinkLocalUnicast()
	}
	first := addr.As16()[0]
	return first>>5 == 1 || first>>1 == 0x7e // 2000::/3 and fc00::/7
}

func sorted(prefixes []netip.Prefix) []netip.Prefix {
	slices.SortFunc(prefixes, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return slices.Compact(prefixes)
}

// split has the IPv4 prefixes first, then the IPv6 ones.
func split(prefixes []netip.Prefix) [2][]netip.Prefix {
	var families [2][]netip.Prefix
	for _, p := range prefixes {
		i := 0
		if p.Addr().Is6() {
			i = 1
		}
		families[i] = append(families[i], p)
	}
	return families
}

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

package model

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	netutils "k8s.io/utils/net"
)

// parseAddr reads an address the way the API server does: objects stored by
// old releases may have leading zeros in IPv4 octets, which netip refuses.
func parseAddr(text string) (netip.Addr, error) {
	ip, ok := netip.AddrFromSlice(netutils.ParseIPSloppy(text))
	if !ok {
		return netip.Addr{}, fmt.Errorf("%q is not an IP address", clip(text))
	}
	addr := ip.Unmap()
	if what := special(addr); what != "" {
		return netip.Addr{}, fmt.Errorf("%s is %s", addr, what)
	}
	return addr, nil
}

// special says why no packet can be translated to or from addr, or nothing.
// Capturing such an address would take traffic away from the node itself.
func special(addr netip.Addr) string {
	switch {
	case addr.IsUnspecified():
		return "the unspecified address"
	case addr.IsLoopback():
		return "a loopback address"
	case addr.IsLinkLocalUnicast():
		return "a link-local address"
	case addr.IsMulticast():
		return "a multicast address"
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "the broadcast address"
	}
	return ""
}

// parsePrefix reads one entry of loadBalancerSourceRanges, which may carry
// spaces and host bits.
func parsePrefix(text string) (netip.Prefix, error) {
	_, network, err := netutils.ParseCIDRSloppy(strings.TrimSpace(text))
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a CIDR", clip(text))
	}
	ip, _ := netip.AddrFromSlice(network.IP)
	bits, _ := network.Mask.Size()
	return PlainPrefix(netip.PrefixFrom(ip, bits)), nil
}

// PlainPrefix is p without host bits, and in IPv4 if it is written as a range
// of IPv4-mapped IPv6 addresses: packets have no such addresses.
func PlainPrefix(p netip.Prefix) netip.Prefix {
	p = p.Masked()
	if p.Addr().Is4In6() {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// parsePort reads a port number of the API; ok is false, and port 0, outside
// 1-65535.
func parsePort(number int32) (port uint16, ok bool) {
	if number < 1 || number > 65535 {
		return 0, false
	}
	return uint16(number), true
}

// sortedSet sorts addrs and drops duplicates.
func sortedSet(addrs []netip.Addr) []netip.Addr {
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs)
}

// ofFamily is the addresses of one family, in their order.
func ofFamily(addrs []netip.Addr, family Family) []netip.Addr {
	var found []netip.Addr
	for _, addr := range addrs {
		if FamilyOf(addr) == family {
			found = append(found, addr)
		}
	}
	return found
}

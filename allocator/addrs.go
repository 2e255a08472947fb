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

package allocator

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Addrs is a range of ClusterIPs.
type Addrs = Range[netip.Addr]

// NewAddrs is an empty range over the usable addresses of a service CIDR: IPv4
// without network and broadcast address, IPv6 without the network address (which
// is the subnet-router anycast address, RFC 4291 2.6.1). IPv6 prefixes are at
// least 64 bits long.
func NewAddrs(prefix netip.Prefix) (*Addrs, error) {
	prefix = prefix.Masked()
	if !prefix.IsValid() {
		return nil, fmt.Errorf("service CIDR %s is not valid", prefix)
	}
	host := prefix.Addr().BitLen() - prefix.Bits()
	if host > 64 {
		return nil, fmt.Errorf("service CIDR %s is too large: the shortest IPv6 prefix is /64", prefix)
	}
	last := ^uint64(0) >> (64 - host) // the offset of the last address of the network
	reserved := uint64(1)
	if prefix.Addr().Is4() {
		reserved = 2
	}
	if last < reserved {
		return nil, fmt.Errorf("service CIDR %s has no usable address", prefix)
	}
	size := last + 1 - reserved
	return newRange[netip.Addr](addrSpace{prefix}, size, min(addrBand(cidrSize(last)), size)), nil
}

// cidrSize counts the addresses of a network whose last offset is given; the
// bands do not grow past 4096, so the one size that overflows may be rounded.
func cidrSize(last uint64) uint64 {
	if last == ^uint64(0) {
		return last
	}
	return last + 1
}

// addrSpace counts offset 0 from the address after the network address.
type addrSpace struct{ prefix netip.Prefix }

func (s addrSpace) offset(addr netip.Addr) (uint64, bool) {
	if !s.prefix.Contains(addr) {
		return 0, false
	}
	distance := low64(addr) - low64(s.prefix.Addr())
	if distance == 0 {
		return 0, false
	}
	if addr.Is4() && distance == ^uint64(0)>>(64-(32-s.prefix.Bits())) {
		return 0, false
	}
	return distance - 1, true
}

func (s addrSpace) number(offset uint64) netip.Addr {
	low := low64(s.prefix.Addr()) + offset + 1
	if s.prefix.Addr().Is4() {
		var bytes [4]byte
		binary.BigEndian.PutUint32(bytes[:], uint32(low))
		return netip.AddrFrom4(bytes)
	}
	bytes := s.prefix.Addr().As16()
	binary.BigEndian.PutUint64(bytes[8:], low)
	return netip.AddrFrom16(bytes)
}

func (s addrSpace) text(addr netip.Addr) string { return addr.String() }

// String is the CIDR.
func (s addrSpace) String() string { return s.prefix.String() }

// high64 is the first half of an IPv6 address, 0 for IPv4.
func high64(addr netip.Addr) uint64 {
	if addr.Is4() {
		return 0
	}
	bytes := addr.As16()
	return binary.BigEndian.Uint64(bytes[:8])
}

func low64(addr netip.Addr) uint64 {
	if addr.Is4() {
		bytes := addr.As4()
		return uint64(binary.BigEndian.Uint32(bytes[:]))
	}
	bytes := addr.As16()
	return binary.BigEndian.Uint64(bytes[8:])
}

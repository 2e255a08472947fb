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

package runner

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"net/netip"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// errNoAddress is returned when every address of the node's pod CIDRs is used.
var errNoAddress = errors.New("no free Pod address on this node")

// firstIndex is that of the first Pod: 0 is the network, 1 the gateway.
const firstIndex = 2

// addresses gives out Pod addresses. A Pod has the same index in each of the
// node's prefixes, so that 10.244.1.7 and fd00:10:244:1::7 belong together.
type addresses struct {
	prefixes []netip.Prefix

	mu   sync.Mutex
	used map[uint32]bool
	next uint32 // a freed address rests as long as possible
}

func newAddresses(prefixes []netip.Prefix) *addresses {
	return &addresses{prefixes: prefixes, used: map[uint32]bool{}, next: firstIndex}
}

// size is one more than the last usable index: IPv4's broadcast address and
// anything beyond the smallest prefix are left out.
func (a *addresses) size() uint32 {
	size := uint32(1 << 16)
	for _, prefix := range a.prefixes {
		hostBits := prefix.Addr().BitLen() - prefix.Bits()
		if hostBits < bits.Len32(size)-1 {
			size = 1 << hostBits
		}
	}
	return size - 1
}

// take gives the next free index.
func (a *addresses) take() (uint32, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	size := a.size()
	for range size {
		index := a.next
		if a.next++; a.next >= size {
			a.next = firstIndex
		}
		if index >= firstIndex && index < size && !a.used[index] {
			a.used[index] = true
			return index, nil
		}
	}
	return 0, errNoAddress
}

// claim takes the index of a Pod that already reported its addresses. It
// reports false if they are not this node's or are taken.
func (a *addresses) claim(ips []corev1.PodIP) (uint32, bool) {
	if len(ips) == 0 {
		return 0, false
	}
	ip, err := netip.ParseAddr(ips[0].IP)
	if err != nil {
		return 0, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, prefix := range a.prefixes {
		if !prefix.Contains(ip) {
			continue
		}
		index := indexOf(prefix, ip)
		if index < firstIndex || index >= a.size() || a.used[index] {
			return 0, false
		}
		a.used[index] = true
		return index, true
	}
	return 0, false
}

func (a *addresses) release(index uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.used, index)
}

// at is the address with an index in each prefix.
func (a *addresses) at(index uint32) []netip.Addr {
	ips := make([]netip.Addr, 0, len(a.prefixes))
	for _, prefix := range a.prefixes {
		ips = append(ips, addressAt(prefix, index))
	}
	return ips
}

func (a *addresses) gateways() []netip.Addr { return a.at(1) }

func addressAt(prefix netip.Prefix, index uint32) netip.Addr {
	b := prefix.Masked().Addr().AsSlice()
	last := b[len(b)-4:]
	binary.BigEndian.PutUint32(last, binary.BigEndian.Uint32(last)+index)
	ip, _ := netip.AddrFromSlice(b)
	return ip
}

// indexOf is the inverse of addressAt; too large an offset gives an index
// that is out of range.
func indexOf(prefix netip.Prefix, ip netip.Addr) uint32 {
	base, b := prefix.Masked().Addr().AsSlice(), ip.AsSlice()
	last := len(b) - 4
	if string(b[:last]) != string(base[:last]) {
		return ^uint32(0)
	}
	return binary.BigEndian.Uint32(b[last:]) - binary.BigEndian.Uint32(base[last:])
}

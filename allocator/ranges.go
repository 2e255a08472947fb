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
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// ServiceCIDR is one prefix that ClusterIPs come from (KEP-1880). While it is
// being removed it is not Ready: addresses in it stay valid, new ones are not
// taken from it.
type ServiceCIDR struct {
	Prefix netip.Prefix
	Ready  bool
}

// ranges are all the ranges of a cluster: one of ports, and any number of
// service CIDRs per family, which may overlap.
type ranges struct {
	ports       *Ports
	portWindows *windows
	addrs       []addrRange
}

type addrRange struct {
	*Addrs
	cidr    ServiceCIDR
	windows *windows
}

func newRanges(ports *Ports, cidrs []ServiceCIDR) (ranges, error) {
	all := ranges{ports: ports}
	for _, cidr := range cidrs {
		addrs, err := NewAddrs(cidr.Prefix)
		if err != nil {
			return ranges{}, err
		}
		all.addrs = append(all.addrs, addrRange{Addrs: addrs, cidr: cidr})
	}
	slices.SortFunc(all.addrs, func(a, b addrRange) int { return a.cidr.Prefix.Compare(b.cidr.Prefix) })
	return all, nil
}

// contains reports whether a new Service may ask for the number.
func (r *ranges) contains(n Number) bool {
	if n.IsPort() {
		return r.ports.Contains(n.Port)
	}
	return slices.ContainsFunc(r.addrs, func(a addrRange) bool { return a.Contains(n.Addr) })
}

// portSpan is the server's range of ports, as a set.
func (r *ranges) portSpan() spanSet[orderedPort] {
	first, last := r.ports.space.number(0), r.ports.space.number(r.ports.bits.size-1)
	return spanSet[orderedPort]{{orderedPort(first), orderedPort(last)}}
}

// openSpans are the addresses that a new Service may get.
func (r *ranges) openSpans() spanSet[netip.Addr] {
	var open []span[netip.Addr]
	for _, a := range r.addrs {
		if a.cidr.Ready {
			open = append(open, a.whole())
		}
	}
	return newSpanSet(open)
}

// mark makes the ranges agree with whether the number is in use; a number
// outside of them is nowhere to be marked.
func (r *ranges) mark(n Number, used bool) {
	if n.IsPort() {
		markIn(r.ports, n.Port, used)
		return
	}
	for _, a := range r.addrs {
		markIn(a.Addrs, n.Addr, used)
	}
}

func markIn[N any](r *Range[N], number N, used bool) {
	if used {
		_ = r.Allocate(number) // taken already, or not of this range: both are fine
		return
	}
	r.Release(number)
}

// nextPort takes a free port of the first stage that has one.
func (r *ranges) nextPort(tx *Transaction, stages []stage) (int32, bool) {
	for _, s := range stages {
		if port, ok := r.ports.allocateIn(r.portWindows.at(s)); ok {
			r.ports.taken(tx, port)
			return port, true
		}
	}
	return 0, false
}

// nextAddr takes a free address: each stage of all CIDRs of the family, from a
// random one on, before the next stage of any; so static bands come after all
// dynamic ones. Where CIDRs overlap, the address is taken in each of them.
func (r *ranges) nextAddr(tx *Transaction, family corev1.IPFamily, stages []stage) (netip.Addr, bool) {
	open := r.open(family)
	for _, s := range stages {
		for i, start := 0, randomIndex(len(open)); i < len(open); i++ {
			chosen := open[(start+i)%len(open)]
			if addr, ok := chosen.allocateIn(chosen.windows.at(s)); ok {
				chosen.taken(tx, addr)
				r.takeElsewhere(tx, addr)
				return addr, true
			}
		}
	}
	return netip.Addr{}, false
}

func (r *ranges) takeElsewhere(tx *Transaction, addr netip.Addr) {
	for _, a := range r.addrs {
		_ = a.AllocateIn(tx, addr) // taken already, or not of this CIDR: both are fine
	}
}

func randomIndex(n int) int {
	if n < 2 {
		return 0
	}
	return int(random(uint64(n)))
}

func (r *ranges) open(family corev1.IPFamily) []addrRange {
	var open []addrRange
	for _, a := range r.addrs {
		if a.cidr.Ready && familyOf(a.cidr.Prefix.Addr()) == family {
			open = append(open, a)
		}
	}
	return open
}

// describe names where a number of this kind and family may lie.
func (r *ranges) describe(n Number) string {
	if n.IsPort() {
		return r.ports.String()
	}
	return r.describeFamily(familyOf(n.Addr))
}

func (r *ranges) describeFamily(family corev1.IPFamily) string {
	var names []string
	for _, a := range r.addrs {
		if familyOf(a.cidr.Prefix.Addr()) == family {
			names = append(names, a.String())
		}
	}
	if names == nil {
		return fmt.Sprintf("any service CIDR, there is none for %s", family)
	}
	return strings.Join(names, ", ")
}

func familyOf(addr netip.Addr) corev1.IPFamily {
	if addr.Is4() {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

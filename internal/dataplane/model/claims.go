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
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// claim is a destination that packets can have. Only one Service can own it;
// the API server prevents that for ClusterIPs and NodePorts, but not for
// other addresses, and not in a restored or repaired cluster.
type claim struct {
	// addr is not valid for a port of the node.
	addr     netip.Addr
	protocol Protocol
	port     uint16
}

// String names a claim as users write it.
func (c claim) String() string {
	if !c.addr.IsValid() {
		return fmt.Sprintf("%s nodePort %d", c.protocol, c.port)
	}
	return fmt.Sprintf("%s %s", c.protocol, netip.AddrPortFrom(c.addr, c.port))
}

func (c claim) compare(o claim) int {
	return cmp.Or(c.addr.Compare(o.addr), cmp.Compare(c.protocol, o.protocol), cmp.Compare(c.port, o.port))
}

// claims is who wants each destination, who gets it first: the Service whose
// ClusterIP it is, which the API server gave to it alone, then the oldest, so
// that a newcomer never takes traffic away from whoever has it. Most have
// exactly one claimant. Within one Service nothing is claimed twice.
//
// Were an older Service to keep an external IP that becomes another one's
// ClusterIP, whoever may write externalIPs could take Services' traffic before
// they exist (CVE-2020-8554).
type claims map[claim][]*service

// before orders Services by who gets a destination that both want.
func (c claim) before(s, o *service) int {
	return cmp.Or(falseFirst(!s.hasClusterIP(c.addr), !o.hasClusterIP(c.addr)), s.created.Compare(o.created),
		cmp.Compare(s.object.Namespace, o.object.Namespace), cmp.Compare(s.object.Name, o.object.Name))
}

// hasClusterIP is false for an address that is not valid.
func (s *service) hasClusterIP(addr netip.Addr) bool {
	return len(s.ports) > 0 && slices.Contains(s.ports[0].ClusterIPs, addr) // all ports have the same
}

// claims lists all destinations of svc, sorted.
func (s *service) claims() []claim {
	list := make([]claim, 0, 2*len(s.ports))
	for i := range s.ports {
		port := &s.ports[i]
		for _, addrs := range [][]netip.Addr{port.ClusterIPs, port.ExternalIPs, port.LoadBalancerIPs} {
			for _, addr := range addrs {
				list = append(list, claim{addr, port.Name.Protocol, port.Port})
			}
		}
		if port.NodePort != 0 {
			list = append(list, claim{protocol: port.Name.Protocol, port: port.NodePort})
		}
		if port.Traffic.HealthCheckNodePort != 0 {
			list = append(list, claim{protocol: TCP, port: port.Traffic.HealthCheckNodePort})
		}
	}
	slices.SortFunc(list, claim.compare) // one address may be both external and a load balancer's
	return slices.Compact(list)
}

func (c claims) add(key claim, who *service) {
	at, _ := slices.BinarySearchFunc(c[key], who, key.before)
	c[key] = slices.Insert(c[key], at, who)
}

func (c claims) remove(key claim, who *service) {
	c[key] = slices.DeleteFunc(c[key], func(s *service) bool { return s == who })
	if len(c[key]) == 0 {
		delete(c, key)
	}
}

// owner is the claimant that gets the destination, of which there is one.
func (c claims) owner(key claim) *service { return c[key][0] }

// claim enters svc, which is new, and everything that is its own.
func (s *Store) claim(svc *service) {
	svc.touch(s.dirty)
	s.vips.count(svc, 1)
	for _, key := range svc.claims() {
		s.contend(key, func() { s.claims.add(key, svc) })
	}
}

// disclaim undoes claim; nil has claimed nothing.
func (s *Store) disclaim(svc *service) {
	if svc == nil {
		return
	}
	svc.touch(s.dirty)
	s.vips.count(svc, -1)
	for _, key := range svc.claims() {
		s.contend(key, func() { s.claims.remove(key, svc) })
	}
}

// contend applies change to the claims of key and makes whoever owned it and
// whoever owns it now look at it again. The others lost it before and after,
// so that a crowd on one address costs no more than a look at each.
func (s *Store) contend(key claim, change func()) {
	crowd := len(s.claims[key])
	var concerned [2]*service
	if crowd > 0 {
		concerned[0] = s.claims.owner(key)
	}
	change()
	if crowd = max(crowd, len(s.claims[key])); crowd < 2 {
		return
	}
	if len(s.claims[key]) > 0 {
		concerned[1] = s.claims.owner(key)
	}
	for _, svc := range concerned {
		if svc != nil {
			svc.touch(s.dirty)
			s.reports.touch(kindService, svc.object.Namespace, svc.object.Name)
		}
	}
}

// resolve is a port of svc without the destinations that another one owns.
func (s *Store) resolve(svc *service, index int) ServicePort {
	port := svc.ports[index]
	lost := func(addr netip.Addr, protocol Protocol, number uint16) bool {
		list := s.claims[claim{addr, protocol, number}]
		return len(list) > 1 && list[0] != svc
	}
	without := func(addrs []netip.Addr) []netip.Addr {
		lostAddr := func(addr netip.Addr) bool { return lost(addr, port.Name.Protocol, port.Port) }
		if !slices.ContainsFunc(addrs, lostAddr) {
			return addrs // shared with the Service's other ports
		}
		return slices.DeleteFunc(slices.Clone(addrs), lostAddr)
	}
	port.ClusterIPs = without(port.ClusterIPs)
	port.ExternalIPs = without(port.ExternalIPs)
	port.LoadBalancerIPs = without(port.LoadBalancerIPs)
	if lost(netip.Addr{}, port.Name.Protocol, port.NodePort) {
		port.NodePort = 0
	}
	if lost(netip.Addr{}, TCP, port.Traffic.HealthCheckNodePort) {
		port.Traffic.HealthCheckNodePort = 0
	}
	return port
}

// contests tells the owner of svc about every destination it shares.
func (s *Store) contests(svc *service) []Problem {
	found := &problems{object: svc.object}
	for _, key := range svc.claims() {
		s.contest(key, svc, found)
	}
	return found.all()
}

func (s *Store) contest(key claim, svc *service, found *problems) {
	if len(s.claims[key]) < 2 {
		return
	}
	const remedy = "change or delete one of the two"
	owner, byClusterIP := s.claims.owner(key), s.claims.owner(key).hasClusterIP(key.addr)
	switch {
	case owner != svc && byClusterIP:
		found.add("spec", remedy, "%s belongs to Service %s/%s, whose ClusterIP it is, and leads there", key, owner.object.Namespace, owner.object.Name)
	case owner != svc:
		found.add("spec", remedy, "%s belongs to the older Service %s/%s and leads there", key, owner.object.Namespace, owner.object.Name)
	default:
		// The next in line stands for all: a list would grow with their number.
		other, whom := s.claims[key][1].object, "the newer "
		if byClusterIP {
			whom = ""
		}
		found.add("spec", remedy, "%s is also claimed by %sService %s/%s, which gets nothing of it", key, whom, other.Namespace, other.Name)
	}
}

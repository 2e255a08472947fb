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
	"time"
)

// claim is a destination that packets can have. Only one ServicePort can own
// it; the API server prevents that for ClusterIPs and NodePorts, but not for
// other addresses, and not in a restored or repaired cluster.
type claim struct {
	// addr is not valid for a NodePort.
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

// claims is who wants each destination, who gets it first: the oldest Service,
// so that a newcomer never takes traffic away from whoever has it. Most have
// exactly one claimant.
type claims map[claim][]claimant

type claimant struct {
	created time.Time
	name    ServicePortName
}

func (c claimant) compare(o claimant) int {
	return cmp.Or(c.created.Compare(o.created), c.name.Compare(o.name))
}

// claimsOf lists all destinations of port.
func claimsOf(port ServicePort) []claim {
	var list []claim
	for _, addrs := range [][]netip.Addr{port.ClusterIPs, port.ExternalIPs, port.LoadBalancerIPs} {
		for _, addr := range addrs {
			list = append(list, claim{addr, port.Name.Protocol, port.Port})
		}
	}
	if port.NodePort != 0 {
		list = append(list, claim{protocol: port.Name.Protocol, port: port.NodePort})
	}
	slices.SortFunc(list, claim.compare) // one address may be both external and a load balancer's
	return slices.Compact(list)
}

func (c claim) compare(o claim) int {
	if order := c.addr.Compare(o.addr); order != 0 {
		return order
	}
	return int(c.port) - int(o.port) // the protocol is the same within one ServicePort
}

// add lets who claim key.
func (c claims) add(key claim, who claimant) {
	at, _ := slices.BinarySearchFunc(c[key], who, claimant.compare)
	c[key] = slices.Insert(c[key], at, who)
}

// remove takes the claim back.
func (c claims) remove(key claim, who claimant) {
	at, held := slices.BinarySearchFunc(c[key], who, claimant.compare)
	if !held {
		return
	}
	if c[key] = slices.Delete(c[key], at, at+1); len(c[key]) == 0 {
		delete(c, key)
	}
}

// owner is the claimant that gets the destination, of which there is one.
func (c claims) owner(key claim) ServicePortName { return c[key][0].name }

// contend applies change to the claims of key and makes whoever owned it and
// whoever owns it now look at it again. The others lost it before and after,
// so that a crowd on one address costs no more than a look at each.
func (s *Store) contend(key claim, change func()) {
	crowd := len(s.claims[key])
	var concerned []ServicePortName
	if crowd > 0 {
		concerned = append(concerned, s.claims.owner(key))
	}
	change()
	if crowd = max(crowd, len(s.claims[key])); crowd < 2 {
		return
	}
	if len(s.claims[key]) > 0 {
		concerned = append(concerned, s.claims.owner(key))
	}
	for _, name := range concerned {
		s.dirty[name] = struct{}{}
		s.reports.touch(Object{Kind: "Service", Namespace: name.Namespace, Name: name.Name})
	}
}

// resolve takes away from port the destinations that another one owns.
func (s *Store) resolve(port ServicePort) ServicePort {
	lost := func(addr netip.Addr, number uint16) bool {
		key := claim{addr, port.Name.Protocol, number}
		return len(s.claims[key]) > 1 && s.claims.owner(key) != port.Name
	}
	without := func(addrs []netip.Addr) []netip.Addr {
		if !slices.ContainsFunc(addrs, func(addr netip.Addr) bool { return lost(addr, port.Port) }) {
			return addrs // shared with the Service's other ports
		}
		return slices.DeleteFunc(slices.Clone(addrs), func(addr netip.Addr) bool { return lost(addr, port.Port) })
	}
	port.ClusterIPs = without(port.ClusterIPs)
	port.ExternalIPs = without(port.ExternalIPs)
	port.LoadBalancerIPs = without(port.LoadBalancerIPs)
	if port.NodePort != 0 && lost(netip.Addr{}, port.NodePort) {
		port.NodePort = 0
	}
	return port
}

// contests tells the owner of svc about every destination it shares.
func (s *Store) contests(svc *service) []Problem {
	found := &problems{object: svc.object}
	for _, port := range svc.ports {
		for _, key := range claimsOf(port) {
			s.contest(key, port.Name, found)
		}
	}
	return found.list
}

func (s *Store) contest(key claim, name ServicePortName, found *problems) {
	if len(s.claims[key]) < 2 {
		return
	}
	const remedy = "change or delete one of the two"
	if owner := s.claims.owner(key); owner != name {
		found.add("spec", remedy, "%s belongs to the older Service %s/%s and leads there", key, owner.Namespace, owner.Name)
		return
	}
	// The next in line stands for all: a list would grow with their number.
	other := s.claims[key][1].name
	found.add("spec", remedy, "%s is also claimed by the newer Service %s/%s, which gets nothing of it", key, other.Namespace, other.Name)
}

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

package speaker

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/announce"
	"switchyard.dev/switchyard/internal/dataplane/model"
)

// bars are the addresses that are somebody else's whatever a Lease and a Service's
// status say: to answer for them would cut off who has them.
type bars struct {
	// local are configured on an interface of this node: its kernel answers.
	local map[netip.Addr]struct{}
	// nodes are the InternalIPs of each Node; counted are how many Nodes have one.
	nodes   map[string][]netip.Addr
	counted map[netip.Addr]int
}

// why is empty for an address that may be announced.
func (b *bars) why(addr netip.Addr) string {
	if b.counted[addr] > 0 {
		return "it is an InternalIP of a Node"
	}
	if _, local := b.local[addr]; local {
		return "it is configured on an interface of this node"
	}
	return ""
}

// setNode takes the addresses of a Node, none for one that is gone, and says
// whether they are others than before.
func (b *bars) setNode(name string, addrs []netip.Addr) bool {
	was := b.nodes[name]
	if slices.Equal(was, addrs) {
		return false
	}
	for _, a := range was {
		if b.counted[a]--; b.counted[a] == 0 {
			delete(b.counted, a)
		}
	}
	for _, a := range addrs {
		b.counted[a]++
	}
	b.nodes[name] = addrs
	if len(addrs) == 0 {
		delete(b.nodes, name)
	}
	return true
}

// setNode takes a Node, nil for one that is gone.
func (s *Speaker) setNode(name string, node *corev1.Node) {
	if name == s.Node {
		s.node = node
	}
	if s.bars.setNode(name, internalIPs(node)) {
		s.review()
	}
}

// useLocal takes the addresses of this node's interfaces if there is news of them.
func (s *Speaker) useLocal() {
	if local := s.local.Load(); local != nil && local != s.usedLocal {
		s.usedLocal, s.bars.local = local, *local
		s.review()
	}
}

// review looks at all addresses anew.
func (s *Speaker) review() {
	for addr, place := range s.places {
		s.place(addr, place)
	}
}

// place tells the elector where an address can be reached from this node's point of
// view: nowhere if it is somebody else's.
func (s *Speaker) place(addr netip.Addr, place announce.Place) {
	s.places[addr] = place
	why := s.bars.why(addr)
	if why != "" {
		place = announce.Place{}
	}
	s.elector.SetPlace(addr, place)
	if why == s.barred[addr] {
		return
	}
	s.setBarred(addr, why)
	if why == "" {
		s.log.Info("An address may be announced again", "address", addr.String())
		return
	}
	s.log.Info("Not announcing an address that is somebody else's", "address", addr.String(), "reason", why)
	for _, h := range s.holders[addr] {
		s.Recorder.Eventf(reference(h), corev1.EventTypeWarning, "AddressNotAnnounced", "Node %s does not answer for %s: %s", s.Node, addr, why)
	}
}

func (s *Speaker) setBarred(addr netip.Addr, why string) {
	s.barred[addr] = why
	if why == "" {
		delete(s.barred, addr)
	}
	n := map[model.Family]int{model.IPv4: 0, model.IPv6: 0}
	for a := range s.barred {
		n[model.FamilyOf(a)]++
	}
	for family, count := range n {
		s.Metrics.Barred(family, count)
	}
}

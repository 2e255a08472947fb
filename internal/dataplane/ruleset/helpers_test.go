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
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

var families = []model.Family{model.IPv4, model.IPv6}

// ip is 10.a.0.b or fd00:a::b.
func ip(family model.Family, a, b int) netip.Addr {
	if family == model.IPv4 {
		return netip.AddrFrom4([4]byte{10, byte(a), byte(b >> 8), byte(b)})
	}
	return netip.MustParseAddr(fmt.Sprintf("fd00:%x::%x", a, b))
}

const (
	podNet     = 1
	otherNet   = 2
	serviceNet = 96
	nodeNet    = 100
	publicNet  = 200
)

func testNode(family model.Family) policy.Node {
	pods := netip.PrefixFrom(ip(family, podNet, 0), map[model.Family]int{model.IPv4: 16, model.IPv6: 64}[family])
	return policy.Node{
		Family:        family,
		NodePortAddrs: []netip.Addr{ip(family, nodeNet, 1), ip(family, nodeNet, 2)},
		LocalPods:     []netip.Prefix{pods},
	}
}

// endpoints are hosts of a network, all at port 8080.
func endpoints(family model.Family, net int, hosts ...int) []netip.AddrPort {
	var list []netip.AddrPort
	for _, h := range hosts {
		list = append(list, netip.AddrPortFrom(ip(family, net, h), 8080))
	}
	return list
}

// clusterIP is ServicePort default/name with only a ClusterIP, port 80.
func clusterIP(family model.Family, name string, host int, protocol model.Protocol, to []netip.AddrPort) policy.Decision {
	return policy.Decision{
		Name:      model.ServicePortName{Namespace: "default", Name: name, Protocol: protocol},
		Family:    family,
		Port:      80,
		ClusterIP: ip(family, serviceNet, host),
		Cluster:   to,
		Near:      to,
		Known:     to,
	}
}

// everyKind has a ServicePort of every kind.
func everyKind(family model.Family) []policy.Decision {
	web := clusterIP(family, "web", 10, model.TCP, endpoints(family, podNet, 1, 2, 3))
	web.ExternalIPs = []netip.Addr{ip(family, publicNet, 1)}
	web.NodePort = 30080
	dns := clusterIP(family, "dns", 11, model.UDP, append(endpoints(family, podNet, 1), endpoints(family, otherNet, 1)...))
	sctp := clusterIP(family, "sctp", 12, model.SCTP, endpoints(family, otherNet, 2))
	empty := clusterIP(family, "empty", 13, model.TCP, nil)
	empty.ExternalIPs = []netip.Addr{ip(family, publicNet, 2)}
	empty.NodePort = 30081
	return []policy.Decision{dns, empty, sctp, web}
}

// kernel is what the kernel would hold. Like the kernel, it takes no element
// twice and deletes none that is not there.
type kernel struct {
	testing.TB
	elements Elements
	// leaving are the keys that the plan at work deletes or leads to another id.
	leaving map[string]bool
}

func newKernel(tb testing.TB) *kernel { return &kernel{TB: tb, elements: Elements{}} }

func (k *kernel) carryOut(p Plan) {
	k.Helper()
	k.begin(p)
	for _, e := range p.Edits {
		k.edit(e)
	}
}

// begin takes note of what p is about to do.
func (k *kernel) begin(p Plan) {
	k.leaving = map[string]bool{}
	for _, e := range p.Edits {
		leaves := e.Operation == Delete || e.Operation == Replace && (readNumber(e.Old)^readNumber(e.Data))&IDMask != 0
		k.leaving[e.Key] = k.leaving[e.Key] || leaves && (e.Set == Frontends || e.Set == NodePorts)
	}
}

func (k *kernel) edit(e Edit) {
	k.Helper()
	data, held := k.elements[e.Set][e.Key]
	if held == (e.Operation == Add) {
		k.Fatalf("operation %d of %s %x: held is %v", e.Operation, e.Set, e.Key, held)
	}
	if e.Operation == Replace && (data != e.Old || data == e.Data) {
		k.Fatalf("replacing %s %x: held %x, thought %x", e.Set, e.Key, data, e.Old)
	}
	if e.Operation == Delete {
		delete(k.elements[e.Set], e.Key)
	} else {
		k.elements.Add(e.Element)
	}
	k.leadsSomewhere()
}

func (k *kernel) filled(id, slot uint32) bool {
	for _, protocol := range []model.Protocol{model.TCP, model.UDP, model.SCTP} {
		if _, ok := k.elements[Endpoints][endpointKey(protocol, id, slot)]; ok {
			return true
		}
	}
	return false
}

// leadsSomewhere checks, between any two edits, that every frontend leads to a
// class and every class to enough endpoints: a transaction may end anywhere.
func (k *kernel) leadsSomewhere() {
	k.Helper()
	for _, set := range []string{Frontends, NodePorts} {
		for key, id := range k.elements[set] {
			n := readNumber(id)
			if _, ok := k.elements[Classes][number(n&ClassMask)]; !ok {
				k.Fatalf("%s %x leads to %x, which has no class", set, key, n)
			}
			if routeClass(n) >= firstTimeout {
				k.sticks(set, key, n)
			}
			slots := routeClass(n).slots()
			for slot := range min(slots, max(1, slots/4)) { // which the last draw is from
				if !k.filled(n&IDMask, slot) {
					k.Fatalf("%s %x leads to %x, whose slot %d is empty", set, key, n, slot)
				}
			}
		}
	}
}

// sticks checks that a way with affinity has a chain, and a draw that hits. A
// port that leaves the list may miss the endpoints that come.
func (k *kernel) sticks(set, way string, route uint32) {
	k.Helper()
	if k.leaving[way] {
		return
	}
	chain := k.elements[Classes][number(route&ClassMask)]
	if _, ok := k.elements[StickyChains][chain]; !ok {
		k.Fatalf("%s %x leads to %s, which does not exist", set, way, chain)
	}
	id := route & IDMask
	protocol, port := model.Protocol(way[len(way)-8]), binary.BigEndian.Uint16([]byte(way[len(way)-4:]))
	slots := routeClass(readNumber(k.elements[Spreads][number(id)])).slots()
	for slot := range max(1, slots/4) {
		pin := readNumber(k.elements[Draws][drawKey(id, slot)])
		if _, ok := k.elements[Sticky][stickyKey(protocol, port, pin)]; slots == 0 || !ok {
			k.Fatalf("%s %x leads to %x: of %d slots the draw of %d leads nowhere", set, way, id, slots, slot)
		}
	}
}

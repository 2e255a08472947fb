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
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

func TestWhatBecomesOfAPacket(t *testing.T) {
	for _, family := range families {
		pod, foreign, public := ip(family, podNet, 77), ip(family, otherNet, 77), ip(family, publicNet, 77)
		nodeIP := ip(family, nodeNet, 1)
		at := func(net, host int, port uint16) netip.AddrPort {
			return netip.AddrPortFrom(ip(family, net, host), port)
		}
		tcp := func(a netip.AddrPort) Frontend { return Frontend{model.TCP, a} }
		web := func(masqueraded bool) []Target {
			var list []Target
			for _, e := range endpoints(family, podNet, 1, 2, 3) {
				list = append(list, Target{e, masqueraded})
			}
			return list
		}
		hairpin := web(false)
		hairpin[1].Masqueraded = true
		dns := []Target{{at(podNet, 1, 8080), false}, {at(otherNet, 1, 8080), false}}
		for name, tc := range map[string]struct {
			packet Packet
			want   Trace
		}{
			"pod to ClusterIP":               {Packet{Source: pod, To: tcp(at(serviceNet, 10, 80))}, Trace{Targets: web(false)}},
			"foreign pod to ClusterIP":       {Packet{Source: foreign, To: tcp(at(serviceNet, 10, 80))}, Trace{Targets: web(true)}},
			"node to ClusterIP":              {Packet{Source: nodeIP, To: tcp(at(serviceNet, 10, 80)), FromHost: true}, Trace{Targets: web(true)}},
			"node as a pod address":          {Packet{Source: pod, To: tcp(at(serviceNet, 10, 80)), FromHost: true}, Trace{Targets: web(true)}},
			"an endpoint to its own Service": {Packet{Source: ip(family, podNet, 2), To: tcp(at(serviceNet, 10, 80))}, Trace{Targets: hairpin}},
			"UDP":                            {Packet{Source: pod, To: Frontend{model.UDP, at(serviceNet, 11, 80)}}, Trace{Targets: dns}},
			"SCTP":                           {Packet{Source: pod, To: Frontend{model.SCTP, at(serviceNet, 12, 80)}}, Trace{Targets: []Target{{at(otherNet, 2, 8080), false}}}},
			"external IP from outside":       {Packet{Source: public, To: tcp(at(publicNet, 1, 80))}, Trace{Targets: web(true)}},
			"external IP from a pod":         {Packet{Source: pod, To: tcp(at(publicNet, 1, 80))}, Trace{Targets: web(true)}},
			"NodePort from outside":          {Packet{Source: public, To: tcp(at(nodeNet, 1, 30080))}, Trace{Targets: web(true)}},
			"NodePort on the second address": {Packet{Source: public, To: tcp(at(nodeNet, 2, 30080))}, Trace{Targets: web(true)}},
			"NodePort on a foreign address":  {Packet{Source: public, To: tcp(at(nodeNet, 3, 30080))}, Trace{}},
			"NodePort on the ClusterIP":      {Packet{Source: pod, To: tcp(at(serviceNet, 10, 30080))}, Trace{Refused: true}},
			"NodePort of another protocol":   {Packet{Source: public, To: Frontend{model.UDP, at(nodeNet, 1, 30080)}}, Trace{}},
			"Service port on the node":       {Packet{Source: public, To: tcp(at(nodeNet, 1, 80))}, Trace{}},
			"another port of the ClusterIP":  {Packet{Source: pod, To: tcp(at(serviceNet, 10, 81))}, Trace{Refused: true}},
			"ClusterIP without endpoints":    {Packet{Source: pod, To: tcp(at(serviceNet, 13, 80))}, Trace{Refused: true}},
			"the same from the node":         {Packet{Source: nodeIP, To: tcp(at(serviceNet, 13, 80)), FromHost: true}, Trace{Refused: true}},
			"external IP without endpoints":  {Packet{Source: public, To: tcp(at(publicNet, 2, 80))}, Trace{Refused: true}},
			"NodePort without endpoints":     {Packet{Source: public, To: tcp(at(nodeNet, 2, 30081))}, Trace{Refused: true}},
			"its other port is not refused":  {Packet{Source: public, To: tcp(at(publicNet, 2, 81))}, Trace{}},
			"from one pod to another":        {Packet{Source: pod, To: tcp(at(podNet, 1, 8080))}, Trace{}},
		} {
			t.Run(family.String()+" "+name, func(t *testing.T) {
				got := trace(family, testNode(family), everyKind(family), tc.packet)
				got.Steps, got.Map, got.List = nil, "", 0
				if diff := cmp.Diff(tc.want, got, addrs); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
	}
}

var addrs = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

func trace(family model.Family, node policy.Node, decisions []policy.Decision, p Packet) Trace {
	var planner Planner
	planner.Sync(node, decisions, nil)
	return Tracer{NewSchema(family, policy.Features{}), planner.Elements()}.Trace(p)
}

func TestWhoIsMasqueraded(t *testing.T) {
	family := model.IPv4
	pods := testNode(family).LocalPods
	pod, foreign := ip(family, podNet, 77), ip(family, otherNet, 77)
	for name, tc := range map[string]struct {
		pods     []netip.Prefix
		all      bool
		source   netip.Addr
		fromHost bool
		want     bool
	}{
		"a local pod is not":                            {pods, false, pod, false, false},
		"a foreign source is":                           {pods, false, foreign, false, true},
		"without detection no one is foreign":           {nil, false, foreign, false, false},
		"without detection the node is nevertheless":    {nil, false, ip(family, nodeNet, 1), true, true},
		"with masquerade-all a local pod is":            {pods, true, pod, false, true},
		"with masquerade-all and no detection, too":     {nil, true, pod, false, true},
		"of two ranges, one inside the other, both are": {append([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/24")}, pods...), false, pod, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			node := testNode(family)
			node.LocalPods, node.MasqueradeAll = tc.pods, tc.all
			to := Frontend{model.SCTP, netip.AddrPortFrom(ip(family, serviceNet, 12), 80)}
			got := trace(family, node, everyKind(family), Packet{Source: tc.source, To: to, FromHost: tc.fromHost})
			if len(got.Targets) != 1 || got.Targets[0].Masqueraded != tc.want {
				t.Errorf("got %+v, want masqueraded %v", got.Targets, tc.want)
			}
		})
	}
}

func TestATraceNamesTheRules(t *testing.T) {
	family := model.IPv4
	to := Frontend{model.SCTP, netip.AddrPortFrom(ip(family, serviceNet, 12), 80)}
	got := trace(family, testNode(family), everyKind(family), Packet{Source: ip(family, otherNet, 77), To: to})
	want := []string{
		"nat-prerouting: goto find-service",
		"find-service: meta priority set ip daddr . meta l4proto . th dport map @frontends goto services",
		"services: meta priority & 3ff0:0 vmap @classes",
		"pick-1: meta priority set meta priority & f:ffff",
		"pick-1: dnat ip to meta l4proto . meta priority . numgen random mod 1 map @endpoints",
		"nat-postrouting: ct status dnat goto translated",
		"translated: meta priority set none",
		"translated: ip saddr != @unmasqueraded goto stranger-to-clusterip",
		"stranger-to-clusterip: meta l4proto sctp ct original ip daddr . meta l4proto . ct original proto-dst @cluster-frontends masquerade fully-random",
	}
	if diff := cmp.Diff(want, got.Steps); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

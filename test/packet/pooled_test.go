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

package packet

import (
	"net/netip"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// pooled is service with an address from a pool, on a node that announces those.
func (w *world) pooled(protocol model.Protocol, endpoints ...netip.AddrPort) policy.Decision {
	d := w.service(protocol, endpoints...)
	d.Pooled = true
	return d
}

func (w *world) announce() { w.reopen(policy.Features{RefusePooled: true}) }

func TestAPortThatAnAddressFromAPoolDoesNotHaveIsRefused(t *testing.T) {
	eachFamily(t, func(w *world) {
		w.announce()
		at := w.serve(w.a, "a", w.podIP(podA))
		w.wild(w.vips(), 80, 81)
		given, foreign := w.pooled(model.TCP, at), w.service(model.TCP, at)
		other := netip.AddrPortFrom(w.balancerIP(), 81)
		everyone := func(network string, want outcome) {
			w.Helper()
			for _, from := range []way{{w.client, other}, {w.node, other}, {w.outside, other}} {
				from.expect(w.T, network, want)
			}
		}
		w.program(foreign)
		everyone("tcp", "wild")
		before, err := dial(w.client, "tcp", other)
		if err != nil {
			w.Fatal(err)
		}
		defer func() { _ = before.Close() }()

		if result := w.apply(given); result.Added != 1 || result.Deleted+result.Replaced != 0 {
			w.Errorf("one address is one element, and it took %+v", result)
		}
		expect(w.T, before, "wild")
		everyone("tcp", refused)
		everyone("udp", refused)
		w.expectSCTPRefused(w.client, other, 42000)
		w.expectSCTPRefused(w.outside, netip.AddrPortFrom(w.balancerIP(), 80), 42001)
		for _, ns := range []way{{from: w.client}, {from: w.outside}} {
			if got := w.ping(ns.from, w.balancerIP(), "unreachable"); got != "unreachable" {
				w.Errorf("ping: %q, want unreachable", got)
			}
		}
		way{w.outside, netip.AddrPortFrom(w.balancerIP(), 80)}.expect(w.T, "tcp", "a")
		way{w.outside, netip.AddrPortFrom(w.externalIP(), 81)}.expect(w.T, "tcp", "wild")
		way{w.outside, netip.AddrPortFrom(w.externalIP(), 80)}.expect(w.T, "udp", "wild")

		w.apply(foreign)
		everyone("tcp", "wild")
		expect(w.T, before, "wild")
	})
}

func TestWhoSharesAnAddressFromAPoolHasPortsOfItsOwn(t *testing.T) {
	eachFamily(t, func(w *world) {
		w.announce()
		at := w.serve(w.a, "a", w.podIP(podA))
		w.wild(w.vips(), 80, 53)
		web, dns := w.pooled(model.TCP, at), w.pooled(model.UDP, at)
		dns.Name.Name, dns.ClusterIP, dns.Port, dns.NodePort = "dns", w.clusterIP().Next(), 53, 0
		expect := func(network string, port uint16, want outcome) {
			w.Helper()
			way{w.outside, netip.AddrPortFrom(w.balancerIP(), port)}.expect(w.T, network, want)
		}
		w.program(web, dns)
		expect("tcp", 80, "a")
		expect("udp", 53, "a")
		expect("udp", 80, refused)
		expect("tcp", 53, refused)
		w.remove(web.Name)
		expect("tcp", 80, refused)
		expect("udp", 53, "a")
		web.Cluster, web.Near = nil, nil
		w.apply(web)
		expect("tcp", 80, refused)
		w.remove(web.Name)
		w.remove(dns.Name)
		expect("tcp", 80, "wild")
		expect("udp", 53, "wild")
	})
}

// An address from a pool may be on the node as well, as keepalived or a virtual
// router puts it there. What listens there goes on.
func TestAnAddressFromAPoolThatTheNodeHasIsItsOwn(t *testing.T) {
	eachFamily(t, func(w *world) {
		w.announce()
		w.in(w.node, func() error { return w.address("lo", w.balancerIP()) })
		at := netip.AddrPortFrom(w.balancerIP(), 81)
		w.serveAt(w.node, "node", at)
		w.program(w.pooled(model.TCP, w.serve(w.a, "a", w.podIP(podA))))
		for _, network := range []string{"tcp", "udp"} {
			for name, from := range map[string]way{"a pod": {w.client, at}, "outside": {w.outside, at}, "the node": {w.node, at}} {
				w.Run(network+" from "+name, func(t *testing.T) { from.expect(t, network, "node") })
			}
		}
		way{w.outside, netip.AddrPortFrom(w.balancerIP(), 80)}.expect(w.T, "tcp", "a")
	})
}

func TestSourceRangesDropAtAnAddressFromAPool(t *testing.T) {
	eachFamily(t, func(w *world) {
		w.announce()
		d := w.pooled(model.TCP, w.serve(w.a, "a", w.podIP(podA)))
		d.SourceRanges = []netip.Prefix{w.single(w.outsideIP())}
		w.program(d)
		for network, ports := range map[string]map[uint16][2]outcome{
			"tcp": {80: {"a", dropped}, 81: {refused, refused}},
			"udp": {80: {refused, refused}},
		} {
			for port, want := range ports {
				at := netip.AddrPortFrom(w.balancerIP(), port)
				way{w.outside, at}.expect(w.T, network, want[0])
				way{w.client, at}.expect(w.T, network, want[1])
			}
		}
	})
}

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
)

func TestAPortThatAClusterIPDoesNotHaveIsRefused(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.a, "a", w.podIP(podA))
		w.wild(w.vips(), 80, 81)
		tcp, empty := w.service(model.TCP, at), w.service(model.SCTP)
		for name, program := range map[string]func(){
			"with endpoints":    func() { w.program(tcp, empty) },
			"without endpoints": func() { w.program(empty) },
			"applied":           func() { w.program(); w.apply(tcp); w.apply(empty) },
		} {
			program()
			for from, way := range w.allWays() {
				if !toClusterIP(from) {
					continue
				}
				w.Run(name+" "+from, func(t *testing.T) {
					way.to = netip.AddrPortFrom(way.to.Addr(), 81)
					way.expect(t, "tcp", refused)
					way.expect(t, "udp", refused)
					if got := w.ping(way.from, way.to.Addr(), "unreachable"); got != "unreachable" {
						t.Errorf("ping: %q, want unreachable", got)
					}
				})
			}
		}
	})
}

func TestAPortThatAnExternalAddressDoesNotHaveIsNotOurs(t *testing.T) {
	eachFamily(t, func(w *world) {
		w.program(w.service(model.TCP, w.serve(w.a, "a", w.podIP(podA))))
		w.wild(w.vips(), 80, 81)
		for _, addr := range []netip.Addr{w.externalIP(), w.balancerIP()} {
			other := way{w.client, netip.AddrPortFrom(addr, 81)}
			other.expect(w.T, "tcp", "wild")
			other.expect(w.T, "udp", "wild")
			way{w.client, netip.AddrPortFrom(addr, 80)}.expect(w.T, "udp", "wild")
			if got := w.ping(w.client, addr, "reply"); got != "reply" {
				w.Errorf("ping: %q, want the reply of its owner", got)
			}
		}
	})
}

func TestAClusterIPThatIsNoOnesIsDropped(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.a, "a", w.podIP(podA))
		unused := w.either("10.96.0.11", "fd00:96::11")
		beyond := w.either("10.97.0.11", "fd00:97::11")
		w.wild([]netip.Addr{unused, beyond, w.clusterIP()}, 80)
		cidr := w.prefix(unused, 16, 108).Masked()
		everyone := func(to netip.Addr, network string, want outcome) {
			for _, from := range []way{{from: w.client}, {from: w.node}, {from: w.outside}} {
				from.to = netip.AddrPortFrom(to, 80)
				from.expect(w.T, network, want)
			}
		}
		w.program(w.service(model.TCP, at))
		everyone(unused, "tcp", "wild")
		before, err := dial(w.client, "tcp", netip.AddrPortFrom(unused, 80))
		if err != nil {
			w.Fatal(err)
		}
		defer func() { _ = before.Close() }()

		w.config.ServiceCIDRs = []netip.Prefix{cidr}
		w.program(w.service(model.TCP, at))
		expect(w.T, before, "wild")
		for network := range networks {
			everyone(unused, network, dropped)
			everyone(beyond, network, "wild")
		}
		if got := w.ping(w.client, unused, dropped); got != dropped {
			w.Errorf("ping: %q", got)
		}
		everyone(w.clusterIP(), "tcp", "a")
		everyone(w.clusterIP(), "udp", refused)

		// Its address comes into use, and goes out of it.
		late := w.service(model.TCP, at)
		late.Name.Name, late.ClusterIP = "late", unused
		late.ExternalIPs, late.LoadBalancerIPs, late.NodePort = nil, nil, 0
		w.apply(late)
		everyone(unused, "tcp", "a")
		w.remove(late.Name)
		everyone(unused, "tcp", dropped)

		w.config.ServiceCIDRs = nil
		w.program(w.service(model.TCP, at))
		everyone(unused, "tcp", "wild")
	})
}

func TestServiceCIDRsMayOverlap(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.a, "a", w.podIP(podA))
		unused := w.either("10.96.0.11", "fd00:96::11")
		w.wild([]netip.Addr{unused}, 80)
		wide, narrow := w.prefix(unused, 16, 108).Masked(), w.prefix(unused, 24, 112).Masked()
		for _, cidrs := range [][]netip.Prefix{{wide}, {wide, narrow}, {narrow}, {wide, narrow}, {wide}} {
			w.config.ServiceCIDRs = cidrs
			w.program(w.service(model.TCP, at))
			way{w.client, netip.AddrPortFrom(unused, 80)}.expect(w.T, "tcp", dropped)
			way{w.client, netip.AddrPortFrom(w.clusterIP(), 80)}.expect(w.T, "tcp", "a")
		}
	})
}

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
	"slices"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/netns"
)

// strange is an address of the outside machine besides outsideIP.
func (w *world) strange() netip.Addr {
	ip := w.either("198.51.100.7", "2001:db8:51::7")
	w.in(w.outside, func() error { return w.address("lo", ip) })
	w.in(w.node, func() error { return w.route("uplink", w.single(ip), w.outsideIP()) })
	return ip
}

func TestSourceRangesGuardTheLoadBalancerIPAndNothingElse(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.a, "a", w.podIP(podA))
		w.wild(w.vips(), 80)
		sources := map[string]struct {
			ns      *netns.Namespace
			addr    netip.Addr
			allowed bool
		}{
			"a pod":              {w.client, w.podIP(clientPod), true},
			"another pod":        {w.b, w.podIP(podB), false},
			"the node":           {w.node, w.nodeIP(), true},
			"the node elsewhere": {w.node, w.podIP(gateway), false},
			"a known machine":    {w.outside, w.outsideIP(), true},
			"a strange machine":  {w.outside, w.strange(), false},
		}
		for network, protocol := range networks {
			service := w.service(protocol, at)
			service.SourceRanges = []netip.Prefix{w.single(w.podIP(clientPod)), w.single(w.nodeIP()), w.single(w.outsideIP())}
			slices.SortFunc(service.SourceRanges, netip.Prefix.Compare)
			w.program(service)
			for name, source := range sources {
				for _, to := range []netip.AddrPort{
					netip.AddrPortFrom(w.clusterIP(), 80), netip.AddrPortFrom(w.externalIP(), 80),
					netip.AddrPortFrom(w.balancerIP(), 80), netip.AddrPortFrom(w.nodeIP(), nodePort),
				} {
					want := outcome("a")
					if to.Addr() == w.balancerIP() && !source.allowed {
						want = dropped
					}
					w.Run(network+" "+name+" to "+to.String(), func(t *testing.T) {
						if got := outcomeAs(source.ns, source.addr, network, to, want); got != want {
							t.Errorf("got %q, want %q", got, want)
						}
					})
				}
			}
		}
	})
}

func TestSourceRangesGuardNodePortsWhereAskedTo(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.a, "a", w.podIP(podA))
		strange := w.strange()
		w.wild(w.vips(), 80)
		w.serveAt(w.node, "wild", netip.AddrPortFrom(w.nodeIP(), nodePort))
		w.config.RestrictNodePorts = true
		for network, protocol := range networks {
			service := w.service(protocol, at)
			service.SourceRanges = []netip.Prefix{w.single(w.outsideIP())}
			w.program(service)
			for to, stranger := range map[netip.AddrPort]outcome{
				netip.AddrPortFrom(w.clusterIP(), 80):    "a",
				netip.AddrPortFrom(w.externalIP(), 80):   "a",
				netip.AddrPortFrom(w.balancerIP(), 80):   dropped,
				netip.AddrPortFrom(w.nodeIP(), nodePort): dropped,
			} {
				w.Run(network+" to "+to.String(), func(t *testing.T) {
					if got := outcomeAs(w.outside, w.outsideIP(), network, to, "a"); got != "a" {
						t.Errorf("an allowed source: %q", got)
					}
					if got := outcomeAs(w.outside, strange, network, to, stranger); got != stranger {
						t.Errorf("another source: %q, want %q", got, stranger)
					}
				})
			}
		}
	})
}

func TestSourceRangesAreFollowed(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.a, "a", w.podIP(podA))
		strange := w.strange()
		balancer := netip.AddrPortFrom(w.balancerIP(), 80)
		w.wild(w.vips(), 80)
		// A range of addresses, its halves, and single addresses in it.
		wide := w.prefix(w.outsideIP(), 24, 64).Masked()
		half := netip.PrefixFrom(wide.Addr(), wide.Bits()+1)
		w.program()
		for i, step := range []struct {
			ranges           []netip.Prefix
			outside, strange outcome
		}{
			{nil, "a", "a"},
			{[]netip.Prefix{}, dropped, dropped},
			{[]netip.Prefix{wide}, "a", dropped},
			{[]netip.Prefix{half}, "a", dropped},
			{[]netip.Prefix{wide, half, w.single(w.outsideIP())}, "a", dropped},
			{[]netip.Prefix{half, w.single(strange)}, "a", "a"},
			{[]netip.Prefix{w.single(strange)}, dropped, "a"},
			{[]netip.Prefix{w.single(w.nodeIP())}, dropped, dropped},
			{nil, "a", "a"},
		} {
			slices.SortFunc(step.ranges, netip.Prefix.Compare)
			service := w.service(model.TCP, at)
			service.SourceRanges = step.ranges
			w.apply(service)
			for source, want := range map[netip.Addr]outcome{w.outsideIP(): step.outside, strange: step.strange} {
				if got := outcomeAs(w.outside, source, "tcp", balancer, want); got != want {
					w.Errorf("step %d, from %s: got %q, want %q", i, source, got, want)
				}
			}
			if result := w.program(service); result.Added+result.Deleted+result.Replaced != 0 {
				w.Errorf("step %d did not lead to what a full sync wants: %+v", i, result)
			}
		}
	})
}

func TestSourceRangesOfOneServiceAreNotThoseOfAnother(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.a, "a", w.podIP(podA))
		strange := w.strange()
		one, other, open := w.service(model.TCP, at), w.service(model.TCP, at), w.service(model.UDP, at)
		one.SourceRanges = []netip.Prefix{w.single(w.outsideIP())}
		other.Name.Port, other.Port, other.NodePort = "other", 81, 0
		other.SourceRanges = []netip.Prefix{w.single(strange)}
		w.program(one, other, open)
		for _, tc := range []struct {
			source  netip.Addr
			network string
			port    uint16
			want    outcome
		}{
			{w.outsideIP(), "tcp", 80, "a"}, {strange, "tcp", 80, dropped},
			{w.outsideIP(), "tcp", 81, dropped}, {strange, "tcp", 81, "a"},
			{w.outsideIP(), "udp", 80, "a"}, {strange, "udp", 80, "a"},
		} {
			if got := outcomeAs(w.outside, tc.source, tc.network, netip.AddrPortFrom(w.balancerIP(), tc.port), tc.want); got != tc.want {
				w.Errorf("from %s to %s port %d: got %q, want %q", tc.source, tc.network, tc.port, got, tc.want)
			}
		}
	})
}

// A node that holds the load balancer's IP uses it as its source when it
// connects to it, which is why the IP is among the ranges that allow the node.
func TestANodeThatHoldsTheLoadBalancerIPReachesItself(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.a, "a", w.podIP(podA))
		w.in(w.node, func() error { return w.address("lo", w.balancerIP()) })
		balancer := way{w.node, netip.AddrPortFrom(w.balancerIP(), 80)}
		service := w.service(model.TCP, at)
		service.SourceRanges = []netip.Prefix{w.single(w.nodeIP()), w.single(w.balancerIP())}
		slices.SortFunc(service.SourceRanges, netip.Prefix.Compare)
		w.program(service)
		balancer.expect(w.T, "tcp", "a")
		service.SourceRanges = []netip.Prefix{w.single(w.nodeIP())}
		w.apply(service)
		balancer.expect(w.T, "tcp", dropped)
	})
}

func TestAConnectionOutlivesTheRangeThatAllowedIt(t *testing.T) {
	eachFamily(t, func(w *world) {
		service := w.service(model.TCP, w.serve(w.a, "a", w.podIP(podA)))
		w.program(service)
		balancer := netip.AddrPortFrom(w.balancerIP(), 80)
		open, err := dial(w.outside, "tcp", balancer)
		if err != nil {
			w.Fatal(err)
		}
		defer func() { _ = open.Close() }()
		expect(w.T, open, "a")
		service.SourceRanges = []netip.Prefix{}
		w.apply(service)
		way{w.outside, balancer}.expect(w.T, "tcp", dropped)
		expect(w.T, open, "a")
	})
}

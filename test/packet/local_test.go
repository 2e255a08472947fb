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
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// divided is a world in which one endpoint is on this node and another one is
// not. What the table does not stop is answered by "wild".
type divided struct {
	*world
	far       machine
	near, off netip.AddrPort
}

func eachFamilyDivided(t *testing.T, test func(d *divided)) {
	eachFamily(t, func(w *world) {
		d := &divided{world: w, far: w.anotherMachine("far"), near: w.serve(w.a, "near", w.podIP(podA))}
		d.off = w.serve(d.far.Namespace, "far", d.far.ip)
		w.wild(w.vips(), 80)
		w.serveAt(w.node, "wild", netip.AddrPortFrom(w.nodeIP(), nodePort))
		test(d)
	})
}

// local is a service of which some endpoints are on this node.
func (d *divided) local(protocol model.Protocol, local []netip.AddrPort, all ...netip.AddrPort) policy.Decision {
	slices.SortFunc(all, netip.AddrPort.Compare)
	s := d.service(protocol, all...)
	s.Local = local
	return s
}

const (
	// often is enough for nearly every run to meet who should not answer.
	often = 12
	// mostOften is enough to meet both of two endpoints, but for once in 10^11 times.
	mostOften = 40
)

// servers are those who answer often attempts, or more while not all who are
// wanted have: one of two is missing in 12 attempts once in 2,048 times, and
// there are dozens of ways.
func (w way) servers(t *testing.T, network, want string) string {
	t.Helper()
	met := map[string]bool{}
	names := func() string { return strings.Join(slices.Sorted(maps.Keys(met)), " ") }
	for i := range mostOften {
		if i >= often && names() == want {
			break
		}
		met[string(w.outcome(network, outcome(want)))] = true
	}
	return names()
}

func TestInternalPolicyLocalKeepsClusterIPTrafficOnTheNode(t *testing.T) {
	eachFamilyDivided(t, func(d *divided) {
		for network, protocol := range networks {
			service := d.local(protocol, []netip.AddrPort{d.near}, d.near, d.off)
			service.Internal = policy.LocalScope
			d.program(service)
			for name, way := range d.allWays() {
				want := "far near"
				if toClusterIP(name) {
					want = "near"
				}
				d.Run(network+" "+name, func(t *testing.T) {
					if got := way.servers(t, network, want); got != want {
						t.Errorf("%q answered, want %q", got, want)
					}
				})
			}
		}
	})
}

func TestInternalPolicyLocalWithoutLocalEndpointsDrops(t *testing.T) {
	eachFamilyDivided(t, func(d *divided) {
		for network, protocol := range networks {
			service := d.local(protocol, nil, d.off)
			service.Internal = policy.LocalScope
			d.program(service)
			for name, way := range d.allWays() {
				want := outcome("far")
				if toClusterIP(name) {
					want = dropped
				}
				d.Run(network+" "+name, func(t *testing.T) { way.expect(t, network, want) })
			}
		}
	})
}

func TestExternalPolicyLocalKeepsTheNodeAndTheClientsAddress(t *testing.T) {
	eachFamilyDivided(t, func(d *divided) {
		for network, protocol := range networks {
			service := d.local(protocol, []netip.AddrPort{d.near}, d.near, d.off)
			service.External = policy.LocalScope
			d.program(service)
			for name, way := range d.allWays() {
				want := "far near"
				if fromOutside(name) && !toClusterIP(name) {
					want = "near"
				}
				d.Run(network+" "+name, func(t *testing.T) {
					if got := way.servers(t, network, want); got != want {
						t.Errorf("%q answered, want %q", got, want)
					}
					if want == "far near" {
						return
					}
					if got, err := ask(way.from, network, way.to); err != nil || got.source != d.outsideIP() {
						t.Errorf("the endpoint saw %+v, %v; want the source %s", got, err, d.outsideIP())
					}
				})
			}
		}
	})
}

// The short-circuits: what this node and its pods send to an external
// destination stays inside the cluster, where all endpoints may answer it.
func TestExternalPolicyLocalDoesNotBindTheNodeAndItsPods(t *testing.T) {
	eachFamilyDivided(t, func(d *divided) {
		for network, protocol := range networks {
			service := d.local(protocol, nil, d.off)
			service.External = policy.LocalScope
			d.program(service)
			for name, way := range d.allWays() {
				d.Run(network+" "+name, func(t *testing.T) {
					if fromOutside(name) && !toClusterIP(name) {
						way.expect(t, network, dropped)
						return
					}
					want := d.podIP(clientPod)
					if fromNode(name) || fromOutside(name) {
						want = d.far.via
					}
					if got, err := ask(way.from, network, way.to); err != nil || got.server != "far" || got.source != want {
						t.Errorf("got %+v, %v; want far to see %s", got, err, want)
					}
				})
			}
		}
	})
}

func TestPolicyLocalRefusesWhenThereAreNoEndpointsAtAll(t *testing.T) {
	eachFamilyDivided(t, func(d *divided) {
		for network, protocol := range networks {
			service := d.service(protocol)
			service.Internal, service.External = policy.LocalScope, policy.LocalScope
			d.program(service)
			for name, way := range d.allWays() {
				d.Run(network+" "+name, func(t *testing.T) { way.expect(t, network, refused) })
			}
		}
	})
}

func TestPolicyLocalWithoutLocalEndpointsRefusesWhereAskedTo(t *testing.T) {
	eachFamilyDivided(t, func(d *divided) {
		d.config.RejectWithoutLocal = true
		for network, protocol := range networks {
			service := d.local(protocol, nil, d.off)
			service.Internal, service.External = policy.LocalScope, policy.LocalScope
			d.program(service)
			for name, way := range d.allWays() {
				want := outcome("far")
				if toClusterIP(name) || fromOutside(name) {
					want = refused
				}
				d.Run(network+" "+name, func(t *testing.T) { way.expect(t, network, want) })
			}
		}
	})
}

func TestAnEndpointIsItsOwnClientUnderPolicyLocal(t *testing.T) {
	eachFamilyDivided(t, func(d *divided) {
		for network, protocol := range networks {
			service := d.local(protocol, []netip.AddrPort{d.near}, d.near)
			service.Internal, service.External = policy.LocalScope, policy.LocalScope
			d.program(service)
			for name, way := range d.ways() {
				if way.from != d.client {
					continue
				}
				d.Run(network+" "+name, func(t *testing.T) {
					got, err := ask(d.a, network, way.to)
					if err != nil || got.source == d.podIP(podA) {
						t.Errorf("got %+v, %v; want the node's address as the source", got, err)
					}
				})
			}
		}
	})
}

func TestPoliciesAndLocalEndpointsAreFollowed(t *testing.T) {
	eachFamilyDivided(t, func(d *divided) {
		outside := way{d.outside, netip.AddrPortFrom(d.balancerIP(), 80)}
		pod := way{d.client, netip.AddrPortFrom(d.clusterIP(), 80)}
		local := []netip.AddrPort{d.near}
		d.program()
		for _, step := range []struct {
			internal, external policy.Scope
			local, all         []netip.AddrPort
			outside, pod       outcome
		}{
			{policy.ClusterScope, policy.ClusterScope, nil, []netip.AddrPort{d.off}, "far", "far"},
			{policy.ClusterScope, policy.LocalScope, nil, []netip.AddrPort{d.off}, dropped, "far"},
			{policy.LocalScope, policy.LocalScope, nil, []netip.AddrPort{d.off}, dropped, dropped},
			{policy.LocalScope, policy.LocalScope, local, []netip.AddrPort{d.near, d.off}, "near", "near"},
			{policy.LocalScope, policy.LocalScope, local, local, "near", "near"},
			{policy.LocalScope, policy.LocalScope, nil, nil, refused, refused},
			{policy.LocalScope, policy.ClusterScope, nil, []netip.AddrPort{d.off}, "far", dropped},
			{policy.LocalScope, policy.ClusterScope, local, []netip.AddrPort{d.off}, "far", "near"},
			{policy.ClusterScope, policy.ClusterScope, nil, local, "near", "near"},
		} {
			service := d.local(model.TCP, step.local, step.all...)
			service.Internal, service.External = step.internal, step.external
			d.apply(service)
			outside.expect(d.T, "tcp", step.outside)
			pod.expect(d.T, "tcp", step.pod)
			if result := d.program(service); result.Added+result.Deleted+result.Replaced != 0 {
				d.Errorf("the step did not lead to what a full sync wants: %+v", result)
			}
		}
	})
}

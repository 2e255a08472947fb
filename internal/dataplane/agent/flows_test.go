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

package agent

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// asked prints requests, sorted.
func asked(list []conntrack.Stale) (lines []string) {
	for _, s := range list {
		line := fmt.Sprintf("%s %v:%d keep %v", s.Protocol, s.Addrs, s.Port, s.Allowed)
		if s.Amends {
			line += " amends"
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

func TestWhatTheSweeperIsToldOfTCP(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.setService(ctx, makeService("web", "10.96.0.1", 80, tcp))
		w.setSlice(ctx, makeSlice("web", 8080, tcp, "10.0.0.1", "10.0.0.2"))
		w.begin(ctx)
		synctest.Wait()
		expect(t, "at the start", asked(w.sweeper.take()), nil)
		w.setSlice(ctx, makeSlice("web", 8080, tcp, "10.0.0.2"))
		synctest.Wait()
		expect(t, "an endpoint goes", asked(w.sweeper.take()), []string{
			"TCP [10.96.0.1]:80 keep [10.0.0.2:8080]", "TCP [172.18.0.2]:30080 keep [10.0.0.2:8080]",
		})
		w.setSlice(ctx, makeSlice("web", 8080, tcp, "10.0.0.2", "10.0.0.3"))
		synctest.Wait()
		expect(t, "another comes while that may wait", asked(w.sweeper.take()), []string{
			"TCP [10.96.0.1]:80 keep [10.0.0.2:8080 10.0.0.3:8080] amends", "TCP [172.18.0.2]:30080 keep [10.0.0.2:8080 10.0.0.3:8080] amends",
		})
		w.setService(ctx, makeService("api", "10.96.0.2", 81, tcp))
		w.setSlice(ctx, makeSlice("api", 8081, tcp, "10.0.0.4"))
		synctest.Wait()
		expect(t, "a Service comes", asked(w.sweeper.take()), []string{
			"TCP [10.96.0.2]:81 keep [10.0.0.4:8081] amends", "TCP [172.18.0.2]:30081 keep [10.0.0.4:8081] amends",
		})
		w.repair(model.IPv4)
		synctest.Wait()
		expect(t, "a repair", asked(w.sweeper.take()), nil)
	})
}

func TestNodePortsOnLocalhostAreSweptAndCounted(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.Features = policy.Features{LocalhostNodePorts: true}
		for _, lane := range w.lanes {
			lane.features = w.Features
		}
		w.setService(ctx, makeService("dns", "10.96.0.1", 53, udp))
		w.setSlice(ctx, makeSlice("dns", 53, udp, "10.0.0.1", "10.0.0.2"))
		w.begin(ctx)
		synctest.Wait()
		w.sweeper.take()
		w.setSlice(ctx, makeSlice("dns", 53, udp, "10.0.0.1"))
		synctest.Wait()
		expect(t, "swept", asked(w.sweeper.take()), []string{
			"UDP [10.96.0.1]:53 keep [10.0.0.1:53]", "UDP [172.18.0.2 127.0.0.1]:30053 keep [10.0.0.1:53]",
		})
		to := conntrack.Destination{Protocol: model.UDP, Addr: netip.MustParseAddrPort("127.0.0.1:30053")}
		if _, counted := w.frontends(model.IPv4)[to]; !counted {
			t.Errorf("%v is not counted", to)
		}
		to.Addr = netip.AddrPortFrom(netip.IPv6Loopback(), 30053)
		if _, counted := w.frontends(model.IPv6)[to]; counted {
			t.Errorf("%v is counted", to)
		}
	})
}

// One Service may have as a VIP what is another's NodePort on the same address.
func TestANodePortIsNotSweptWhereItIsAVIP(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		vip := makeService("vip", "10.96.0.1", 30053, udp)
		vip.Spec.ExternalIPs, vip.Spec.Ports[0].NodePort = []string{"172.18.0.2"}, 0
		w.localAddresses = func() ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("172.18.0.2"), netip.MustParseAddr("172.18.0.3")}, nil
		}
		w.refreshAddresses(ctx)
		node := nodeInZone("a")
		node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "172.18.0.2"}}
		w.setNode(ctx, node)
		w.setService(ctx, vip)
		w.setService(ctx, makeService("web", "10.96.0.2", 53, udp))
		w.setSlice(ctx, makeSlice("vip", 53, udp, "10.0.0.1"))
		w.setSlice(ctx, makeSlice("web", 53, udp, "10.0.0.2", "10.0.0.3"))
		w.begin(ctx)
		synctest.Wait()
		expect(t, "NodePorts", []string{fmt.Sprint(w.v4.node.NodePortAddrs)}, []string{"[172.18.0.2 172.18.0.3]"})
		at := func(addr string) string {
			to := conntrack.Destination{Protocol: model.UDP, Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 30053)}
			return w.frontends(model.IPv4)[to].Name
		}
		expect(t, "whose traffic is counted", []string{at("172.18.0.2"), at("172.18.0.3")}, []string{"vip", "web"})
		w.sweeper.take()
		w.setSlice(ctx, makeSlice("web", 53, udp, "10.0.0.2"))
		synctest.Wait()
		expect(t, "swept", asked(w.sweeper.take()), []string{
			"UDP [10.96.0.2]:53 keep [10.0.0.2:53]", "UDP [172.18.0.3]:30053 keep [10.0.0.2:53]",
		})
		w.deleteService(ctx, "default", "vip")
		synctest.Wait()
		got := asked(w.sweeper.take())
		if want := "UDP [172.18.0.2]:30053 keep [10.0.0.2:53]"; !slices.Contains(got, want) {
			t.Errorf("the VIP goes: asked for %v, want %s: it is a NodePort from now on", got, want)
		}
	})
}

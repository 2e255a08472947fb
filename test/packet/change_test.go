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
	"context"
	"net"
	"net/netip"
	"os/exec"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

func TestChangesOfEndpointsAreFollowedWithoutBreakingConnections(t *testing.T) {
	eachFamily(t, func(w *world) {
		a, b := w.serve(w.a, "a", w.podIP(podA)), w.serve(w.b, "b", w.podIP(podB))
		vip := netip.AddrPortFrom(w.clusterIP(), 80)
		w.program(w.service(model.TCP, a))
		var open []net.Conn
		connect := func(wants string) {
			w.Helper()
			conn, err := dial(w.client, "tcp", vip)
			if err != nil {
				w.Fatal(err)
			}
			w.Cleanup(func() { _ = conn.Close() })
			open = append(open, conn)
			if got, err := exchange(conn); err != nil || got.server != wants {
				w.Errorf("a new connection went to %+v, %v; want %s", got, err, wants)
			}
		}
		connect("a")
		w.apply(w.service(model.TCP, a, b))
		w.apply(w.service(model.TCP, b))
		for range 20 {
			connect("b")
		}
		w.apply(w.service(model.TCP, a))
		for range 20 {
			connect("a")
		}
		for i, conn := range open {
			if _, err := exchange(conn); err != nil {
				w.Errorf("connection %d broke: %v", i, err)
			}
		}
	})
}

func TestAStaleUDPFlowFindsAnotherEndpoint(t *testing.T) {
	eachFamily(t, func(w *world) {
		a, b := w.serve(w.a, "a", w.podIP(podA)), w.serve(w.b, "b", w.podIP(podB))
		for name, way := range w.ways() {
			w.Run(name, func(t *testing.T) {
				w.program(w.service(model.UDP, a))
				flow, err := dial(way.from, "udp", way.to)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = flow.Close() }()
				expect(t, flow, "a")
				w.apply(w.service(model.UDP, b))
				expect(t, flow, "a") // conntrack goes on until it is told
				w.clean(conntrack.Stale{Protocol: model.UDP, Addrs: []netip.Addr{way.to.Addr()}, Port: way.to.Port(), Allowed: []netip.AddrPort{b}})
				expect(t, flow, "b")
				if deleted := w.clean(conntrack.Stale{Protocol: model.UDP, Addrs: []netip.Addr{way.to.Addr()}, Port: way.to.Port(), Allowed: []netip.AddrPort{b}}); deleted != 0 {
					t.Errorf("a flow to an allowed endpoint was deleted")
				}
			})
		}
	})
}

func TestCleaningLeavesTCPAndOtherPortsAlone(t *testing.T) {
	eachFamily(t, func(w *world) {
		a := w.serve(w.a, "a", w.podIP(podA))
		tcp, udp := w.service(model.TCP, a), w.service(model.UDP, a)
		udp.Port = 53
		w.program(tcp, udp)
		vip := netip.AddrPortFrom(w.clusterIP(), 80)
		conn, err := dial(w.client, "tcp", vip)
		if err != nil {
			w.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		flow, err := dial(w.client, "udp", netip.AddrPortFrom(w.clusterIP(), 53))
		if err != nil {
			w.Fatal(err)
		}
		defer func() { _ = flow.Close() }()
		expect(w.T, conn, "a")
		expect(w.T, flow, "a")
		for _, protocol := range []model.Protocol{model.TCP, model.UDP} {
			if n := w.clean(conntrack.Stale{Protocol: protocol, Addrs: []netip.Addr{w.clusterIP()}, Port: 80}); n != 0 {
				w.Errorf("cleaning %s port 80 deleted %d entries", protocol, n)
			}
		}
		if n := w.clean(conntrack.Stale{Protocol: model.UDP, Addrs: []netip.Addr{w.clusterIP()}, Port: 53}); n != 1 {
			w.Errorf("cleaning UDP port 53 deleted %d entries, want 1", n)
		}
		expect(w.T, conn, "a")
	})
}

func TestAFlowFromBeforeItsServiceIsTranslatedOnceItExists(t *testing.T) {
	eachFamily(t, func(w *world) {
		a := w.serve(w.a, "a", w.podIP(podA))
		w.program()
		vip := netip.AddrPortFrom(w.clusterIP(), 80)
		flow, err := dial(w.client, "udp", vip)
		if err != nil {
			w.Fatal(err)
		}
		defer func() { _ = flow.Close() }()
		// It leaves for the default route and is remembered as going there.
		if _, err := flow.Write([]byte("too early\n")); err != nil {
			w.Fatal(err)
		}
		if result := w.apply(w.service(model.UDP, a)); result.Untranslated != 1 {
			w.Errorf("%d entries deleted, want 1", result.Untranslated)
		}
		expect(w.T, flow, "a")
	})
}

func TestAFlowFromBeforeItsServiceIsTranslatedAlsoWhenTheChangeFailedHalfway(t *testing.T) {
	eachFamily(t, func(w *world) {
		w.in(w.node, func() (err error) {
			w.table, err = nft.Open(w.family, nft.Options{ElementsPerTransaction: 1})
			return err
		})
		defer func() { _ = w.table.Close() }()
		service := w.service(model.UDP, w.serve(w.a, "a", w.podIP(podA)))
		vip := netip.AddrPortFrom(w.clusterIP(), 80)
		for step := 0; ; step++ {
			w.program()
			flow, err := dial(w.client, "udp", vip)
			if err != nil {
				w.Fatal(err)
			}
			if _, err := flow.Write([]byte("too early\n")); err != nil {
				w.Fatal(err)
			}
			_, failed := w.table.Apply(&failing{Context: context.Background(), after: step}, []policy.Decision{service}, nil)
			w.program(service)
			expect(w.T, flow, "a")
			_ = flow.Close()
			if failed == nil {
				return
			}
		}
	})
}

func TestAFlowThatPassedAFrontendAForeignHandRemovedIsTranslatedAfterTheRepair(t *testing.T) {
	eachFamily(t, func(w *world) {
		tool := prereq.Tool(t, "nft", "nftables")
		family := map[model.Family]string{model.IPv4: "ip", model.IPv6: "ip6"}[w.family]
		service := w.service(model.UDP, w.serve(w.a, "a", w.podIP(podA)))
		w.program(service)
		w.in(w.node, exec.Command(tool, "flush", "map", family, "switchyard", "frontends").Run)
		flow, err := dial(w.client, "udp", netip.AddrPortFrom(w.externalIP(), 80))
		if err != nil {
			w.Fatal(err)
		}
		defer func() { _ = flow.Close() }()
		if _, err := flow.Write([]byte("too early\n")); err != nil {
			w.Fatal(err)
		}
		if result := w.program(service); result.Untranslated != 1 {
			w.Errorf("%d entries deleted, want 1", result.Untranslated)
		}
		expect(w.T, flow, "a")
	})
}

// failing is a context that ends when it was asked so many times.
type failing struct {
	context.Context
	after int
}

func (f *failing) Err() error {
	if f.after--; f.after < 0 {
		return context.Canceled
	}
	return nil
}

func (w *world) clean(stale ...conntrack.Stale) int {
	w.Helper()
	deleted := 0
	w.in(w.node, func() error {
		cleaner, err := conntrack.NewCleaner()
		if err != nil {
			return err
		}
		defer func() { _ = cleaner.Close() }()
		deleted, err = cleaner.Clean(context.Background(), stale)
		return err
	})
	return deleted
}

func expect(t *testing.T, conn net.Conn, server string) {
	t.Helper()
	if got, err := exchange(conn); err != nil || got.server != server {
		t.Errorf("%s answered (%v), want %s", got.server, err, server)
	}
}

func TestAHostProcessIsAnsweredWhateverSourceItsRouteChose(t *testing.T) {
	eachFamily(t, func(w *world) {
		// The default route leads over a link whose address the endpoint's
		// machine has no way back to.
		elsewhere := w.namespace()
		strange := w.either("172.31.0.1", "fd72::1")
		w.connect(elsewhere, "other", w.either("172.31.0.2", "fd72::2"), strange)
		w.in(w.node, func() error { return w.route("other", w.everything(), w.either("172.31.0.2", "fd72::2")) })
		w.in(w.outside, func() error { return w.noWayTo(strange) })
		at := w.serve(w.outside, "outside", w.outsideIP())
		for name, pods := range map[string][]netip.Prefix{"pods known": w.config.LocalPods, "pods not known": nil} {
			w.Run(name, func(t *testing.T) {
				w.config.LocalPods = pods
				w.program(w.service(model.TCP, at))
				got, err := ask(w.node, "tcp", netip.AddrPortFrom(w.clusterIP(), 80))
				if err != nil || got.source != w.nodeIP() {
					t.Errorf("got %+v, %v; want the source %s", got, err, w.nodeIP())
				}
			})
		}
	})
}

func TestWhoIsMasqueradedToAClusterIP(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.a, "a", w.podIP(podA))
		known := w.config.LocalPods
		for name, tc := range map[string]struct {
			pods []netip.Prefix
			all  bool
			from *netns.Namespace
			want netip.Addr
		}{
			"a local pod is not": {known, false, w.client, w.podIP(clientPod)},
			"a stranger is":      {known, false, w.outside, w.podIP(gateway)},
			"without detection no one is, not even this": {nil, false, w.outside, w.outsideIP()},
			"with masquerade-all a local pod is, too":    {known, true, w.client, w.podIP(gateway)},
		} {
			w.Run(name, func(t *testing.T) {
				w.config.LocalPods, w.config.MasqueradeAll = tc.pods, tc.all
				w.program(w.service(model.TCP, at))
				if got, err := ask(tc.from, "tcp", netip.AddrPortFrom(w.clusterIP(), 80)); err != nil || got.source != tc.want {
					t.Errorf("got %+v, %v; want the source %s", got, err, tc.want)
				}
			})
		}
	})
}

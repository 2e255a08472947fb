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

package conntrack

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl/nfnltest"
	"switchyard.dev/switchyard/test/prereq"
)

var addresses = cmp.Options{cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })}

func TestTrafficIsAddedUpByDestination(t *testing.T) {
	web, dns := Destination{model.TCP, at(model.IPv4, 96, 1, 80)}, Destination{model.UDP, at(model.IPv6, 96, 2, 53)}
	idle := Destination{model.UDP, at(model.IPv4, 96, 3, 53)}
	ours := func(to Destination) entry { return entry{sentTo: to, status: statusTranslated} }
	tally := newTally([]Destination{web, dns, idle})
	tally.add(ours(web), counters{true, 3, 300})
	tally.add(ours(web), counters{true, 4, 400})
	tally.add(ours(dns), counters{true, 9, 900})
	tally.forget(model.IPv6) // the list changed
	tally.add(ours(dns), counters{true, 1, 100})
	tally.add(ours(Destination{model.TCP, at(model.IPv4, 96, 9, 80)}), counters{true, 7, 700})
	tally.add(entry{sentTo: web}, counters{true, 7, 700}) // let through before there was a Service
	want := Usages{map[Destination]Usage{web: {2, 7, 700}, dns: {1, 1, 100}}, true}
	if diff := cmp.Diff(want, tally.usages(), addresses); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestCountersOfBothDirectionsAreRead(t *testing.T) {
	counts := func(fill func(m *nfnl.Messages)) nfnl.Attributes {
		var m nfnl.Messages
		m.Begin(getEntry, 0, 0, "")
		fill(&m)
		return m.LastAttributes()
	}
	direction := func(m *nfnl.Messages, kind uint16, packets, octets byte) {
		m.Nest(kind, func() {
			m.Bytes(ctaCountersPackets, []byte{7: packets})
			m.Bytes(ctaCountersBytes, []byte{6: octets, 7: 0})
		})
	}
	got := parseCounters(counts(func(m *nfnl.Messages) {
		direction(m, ctaCountersOriginal, 2, 1)
		direction(m, ctaCountersReply, 3, 2)
	}))
	if want := (counters{true, 5, 3 * 256}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := parseCounters(counts(func(*nfnl.Messages) {})); got != (counters{}) {
		t.Errorf("without counters: %+v", got)
	}
}

func TestTrafficOfTheKernelsConnections(t *testing.T) {
	inNamespace(t, func(c *Cleaner) {
		var asked []Destination
		want := map[Destination]Usage{}
		for _, family := range families {
			for _, protocol := range protocols {
				to := Destination{protocol, at(family, 96, 1, 80)}
				asked = append(asked, to)
				want[to] = Usage{Connections: 2}
				for host := range byte(2) {
					insert(t, c, flow{protocol, at(family, 1, host, 1000), to.Addr, at(family, 2, host, 8080), host > 0})
				}
				insert(t, c, flow{protocol: protocol, from: at(family, 1, 9, 1000), to: to.Addr})
				insert(t, c, flow{protocol, at(family, 1, 1, 1000), at(family, 96, 2, 80), at(family, 2, 1, 8080), true})
			}
		}
		got, err := Traffic(context.Background(), asked)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.ByDestination, addresses); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestAListThatIsReadAgainCountsOnce(t *testing.T) {
	inNamespace(t, func(c *Cleaner) {
		to := Destination{model.UDP, at(model.IPv4, 96, 1, 53)}
		insert(t, c, flow{model.UDP, at(model.IPv4, 1, 1, 1000), to.Addr, at(model.IPv4, 2, 1, 53), true})
		var faults nfnltest.Faults
		conn, err := faults.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		faults.Add(nfnltest.DumpChanged, 1, 2)
		got, err := traffic(context.Background(), conn, []Destination{to})
		if err != nil || got.ByDestination[to].Connections != 1 || faults.Left() != 0 {
			t.Errorf("got %+v (%v)", got, err)
		}
	})
}

func TestPacketsAreCountedWhereTheKernelDoes(t *testing.T) {
	nft := prereq.Tool(t, "nft", "nftables")
	inNamespace(t, func(*Cleaner) {
		// The files under /proc/sys/net are those of the thread's namespace.
		if err := os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_acct", []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
		rules := exec.Command(nft, `table ip t { chain c { type nat hook output priority -100; ip daddr 127.96.0.1 udp dport 53 dnat to 127.2.0.1:5353; }; }`)
		if out, err := rules.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err != nil {
			t.Fatal(err)
		}
		server, err := net.ListenPacket("udp", "127.2.0.1:5353")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = server.Close() }()
		client, err := net.Dial("udp", "127.96.0.1:53")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = client.Close() }()
		for range 3 {
			if _, err := client.Write([]byte("ten octets")); err != nil {
				t.Fatal(err)
			}
		}
		vip := Destination{model.UDP, netip.MustParseAddrPort("127.96.0.1:53")}
		got, err := Traffic(context.Background(), []Destination{vip})
		if err != nil {
			t.Fatal(err)
		}
		const headers = 20 + 8
		want := Usages{map[Destination]Usage{vip: {1, 3, 3 * (headers + 10)}}, true}
		if diff := cmp.Diff(want, got, addresses); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

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

package nft_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/netns"
)

// track makes the kernel remember a UDP flow to port 53 of vip, translated if
// there is an endpoint. The numbers are those of nfnetlink_conntrack.h.
func track(t *testing.T, ns *netns.Namespace, family model.Family, vip netip.Addr, endpoint netip.AddrPort) {
	t.Helper()
	client := ip(family, 77, 1)
	number, source, destination, minimum := uint8(unix.AF_INET), uint16(1), uint16(2), uint16(1)
	if family == model.IPv6 {
		number, source, destination, minimum = unix.AF_INET6, 3, 4, 4
	}
	var m nfnl.Messages
	m.Begin(unix.NFNL_SUBSYS_CTNETLINK<<8, unix.NLM_F_CREATE|unix.NLM_F_EXCL, number, "adding a flow")
	tuple := func(kind uint16, from, to netip.AddrPort) {
		m.Nest(kind, func() {
			m.Nest(1, func() { m.Bytes(source, from.Addr().AsSlice()); m.Bytes(destination, to.Addr().AsSlice()) })
			m.Nest(2, func() { m.Uint8(1, unix.IPPROTO_UDP); m.Uint16(2, from.Port()); m.Uint16(3, to.Port()) })
		})
	}
	here, there := netip.AddrPortFrom(client, 1000), netip.AddrPortFrom(vip, 53)
	tuple(1, here, there)
	tuple(2, there, here)
	m.Uint32(3, 1<<3) // confirmed
	m.Uint32(7, 600)  // seconds
	if endpoint.IsValid() {
		m.Nest(13, func() {
			m.Bytes(minimum, endpoint.Addr().AsSlice())
			m.Bytes(minimum+1, endpoint.Addr().AsSlice())
		})
	}
	err := ns.Do(func() error {
		conn, err := nfnl.Dial()
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		return conn.Request(&m)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFlowsOfAServiceThatWentWhileNoAgentRanAreDeleted(t *testing.T) {
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			ns := newNamespace(t)
			gone, stays := decision(family, 2, 1), decision(family, 3, 1)
			gone.Name.Protocol, gone.Port = model.UDP, 53
			stays.Name.Protocol, stays.Port = model.UDP, 53
			before := open(t, ns, family, nft.Options{})
			fullSync(t, before, node(family), append(mixture(family)[:1], gone, stays))
			_ = before.Close()
			track(t, ns, family, gone.ClusterIP, gone.Cluster[0])
			track(t, ns, family, stays.ClusterIP, stays.Cluster[0])
			after := open(t, ns, family, nft.Options{})
			if result := fullSync(t, after, node(family), append(mixture(family)[:1], stays)); result.Untranslated != 1 {
				t.Errorf("%d entries deleted, want 1", result.Untranslated)
			}
			to := func(d policy.Decision) conntrack.Destination {
				return conntrack.Destination{Protocol: model.UDP, Addr: netip.AddrPortFrom(d.ClusterIP, 53)}
			}
			var left conntrack.Usages
			if err := ns.Do(func() (err error) {
				left, err = conntrack.Traffic(context.Background(), []conntrack.Destination{to(gone), to(stays)})
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if left.ByDestination[to(gone)].Connections != 0 || left.ByDestination[to(stays)].Connections != 1 {
				t.Errorf("left: %+v", left)
			}
		})
	}
}

func TestASweeperDeletesWhatATableAsksFor(t *testing.T) {
	ns := newNamespace(t)
	var cleaner *conntrack.Cleaner
	if err := ns.Do(func() (err error) { cleaner, err = conntrack.NewCleaner(); return err }); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cleaner.Close() }()
	swept := make(chan conntrack.Swept, 100)
	sweeper := conntrack.NewSweeper(cleaner, func(s conntrack.Swept) { swept <- s })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); sweeper.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	for _, family := range families {
		ours := open(t, ns, family, nft.Options{Sweeper: sweeper})
		dns := decision(family, 2, 1)
		dns.Name.Protocol, dns.Port = model.UDP, 53
		track(t, ns, family, dns.ClusterIP, netip.AddrPort{})
		if result := fullSync(t, ours, node(family), []policy.Decision{dns}); result.Untranslated != 0 {
			t.Errorf("the table itself deleted %d entries", result.Untranslated)
		}
		select {
		case got := <-swept:
			if got.Deleted != 1 || got.Err != nil {
				t.Errorf("%+v", got)
			}
		case <-time.After(3 * time.Minute):
			t.Error("nothing was swept")
		}
	}
}

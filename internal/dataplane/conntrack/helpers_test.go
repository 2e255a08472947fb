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
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

// flow is a tracked connection of a test.
type flow struct {
	protocol model.Protocol
	from, to netip.AddrPort
	// endpoint is where it was translated to; not valid for a flow that was
	// let through as it is.
	endpoint netip.AddrPort
	replied  bool
}

// write appends the flow as the kernel sends it and takes it.
func (f flow) write(m *nfnl.Messages) {
	writeTuple(m, ctaOriginal, f.protocol, f.from, f.to)
	writeTuple(m, ctaReply, f.protocol, f.to, f.from)
	const confirmed = 1 << 3
	status := uint32(confirmed)
	if f.replied {
		status |= statusSeenReply
	}
	m.Uint32(ctaStatus, status)
	const timeout, protocolInfo = 7, 4
	m.Uint32(timeout, 600)
	m.Nest(protocolInfo, func() {
		const tcp, sctp, state = 1, 3, 1
		switch f.protocol {
		case model.TCP:
			m.Nest(tcp, func() { m.Uint8(state, map[bool]uint8{false: 1, true: 3}[f.replied]) }) // SYN_SENT, ESTABLISHED
		case model.SCTP:
			m.Nest(sctp, func() {
				m.Uint8(state, map[bool]uint8{false: 2, true: 4}[f.replied]) // COOKIE_WAIT, ESTABLISHED
				m.Uint32(2, 1)
				m.Uint32(3, 2)
			})
		}
	})
	if f.endpoint.IsValid() {
		writeTranslation(m, f.endpoint)
	}
}

func writeTuple(m *nfnl.Messages, kind uint16, protocol model.Protocol, source, destination netip.AddrPort) {
	v4, v6 := []uint16{ctaIPv4Source, ctaIPv4Destination}, []uint16{ctaIPv6Source, ctaIPv6Destination}
	kinds := v4
	if source.Addr().Is6() {
		kinds = v6
	}
	m.Nest(kind, func() {
		m.Nest(ctaTupleAddrs, func() {
			m.Bytes(kinds[0], source.Addr().AsSlice())
			m.Bytes(kinds[1], destination.Addr().AsSlice())
		})
		m.Nest(ctaTuplePorts, func() {
			m.Uint8(ctaProtocol, uint8(protocol))
			m.Uint16(ctaSourcePort, source.Port())
			m.Uint16(ctaDestinationPort, destination.Port())
		})
	})
}

// writeTranslation asks for destination NAT.
func writeTranslation(m *nfnl.Messages, endpoint netip.AddrPort) {
	const natDestination, v4Min, v4Max, natProtocol, v6Min, v6Max, portMin, portMax = 13, 1, 2, 3, 4, 5, 1, 2
	first, last := uint16(v4Min), uint16(v4Max)
	if endpoint.Addr().Is6() {
		first, last = v6Min, v6Max
	}
	m.Nest(natDestination, func() {
		m.Bytes(first, endpoint.Addr().AsSlice())
		m.Bytes(last, endpoint.Addr().AsSlice())
		m.Nest(natProtocol, func() {
			m.Uint16(portMin, endpoint.Port())
			m.Uint16(portMax, endpoint.Port())
		})
	})
}

// inNamespace runs test with a Cleaner in an empty network namespace.
func inNamespace(tb testing.TB, test func(c *Cleaner)) {
	tb.Helper()
	prereq.Root(tb)
	ns, err := netns.New()
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = ns.Close() }()
	err = ns.Do(func() error {
		c, err := NewCleaner()
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		test(c)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// insert makes the kernel track flows.
func insert(tb testing.TB, c *Cleaner, flows ...flow) {
	tb.Helper()
	insertInZone(tb, c, 0, flows...)
}

func insertInZone(tb testing.TB, c *Cleaner, zone uint16, flows ...flow) {
	tb.Helper()
	const newEntry = unix.NFNL_SUBSYS_CTNETLINK << 8
	done, err := c.conn.RequestEach(len(flows), func(m *nfnl.Messages, i int) {
		family := familyNumber(model.FamilyOf(flows[i].to.Addr()))
		m.Begin(newEntry, unix.NLM_F_CREATE|unix.NLM_F_EXCL, family, "adding a flow")
		flows[i].write(m)
		if zone != 0 {
			m.Uint16(ctaZone, zone)
		}
	})
	if err != nil || done != len(flows) {
		tb.Fatalf("%d of %d flows added: %v", done, len(flows), err)
	}
}

// tracked reads all flows of a family back.
func tracked(tb testing.TB, c *Cleaner, family model.Family) []flow {
	tb.Helper()
	var all []flow
	var list nfnl.Messages
	list.Begin(getEntry, 0, familyNumber(family), "listing entries")
	err := c.conn.Dump(&list, func() { all = nil }, func(_ uint8, a nfnl.Attributes) {
		e, original := parseEntry(a), a.Nested(ctaOriginal)
		f := flow{
			protocol: e.sentTo.Protocol, to: e.sentTo.Addr, replied: e.replied(),
			from: netip.AddrPortFrom(address(original, ctaIPv4Source, ctaIPv6Source), original.Nested(ctaTuplePorts).Uint16(ctaSourcePort)),
		}
		if e.translated() {
			f.endpoint = e.answering
		}
		all = append(all, f)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// at is an address of a family, with a port: 10.0.NET.HOST or fd00::NET:HOST.
func at(family model.Family, net, host byte, port uint16) netip.AddrPort {
	if family == model.IPv4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, net, host}), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0: 0xfd, 13: net, 15: host}), port)
}

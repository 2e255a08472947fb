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
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

// Destination is where a client sends its packets: a VIP or a node address.
type Destination struct {
	Protocol model.Protocol
	Addr     netip.AddrPort
}

// Stale says which flows to one ServicePort may stay.
type Stale struct {
	// Protocol is UDP; entries of other protocols are left alone.
	Protocol model.Protocol
	// Addrs are the original destinations concerned: the ServicePort's VIPs
	// when Port is its port, the node's NodePort addresses when Port is its
	// NodePort.
	Addrs []netip.Addr
	Port  uint16
	// Allowed are the endpoints whose flows stay; with none, all flows go.
	Allowed []netip.AddrPort
}

// Cleaner deletes conntrack entries. It is safe for concurrent use.
type Cleaner struct {
	mu   sync.Mutex
	conn *nfnl.Conn
}

// NewCleaner opens a Cleaner for the network namespace of the calling thread
// and makes sure that the kernel lets it in.
func NewCleaner() (*Cleaner, error) {
	conn, err := nfnl.Dial()
	if err != nil {
		return nil, fmt.Errorf("conntrack: %w", err)
	}
	if err := probe(conn); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("conntrack: %w", err)
	}
	return &Cleaner{conn: conn}, nil
}

// probe asks for a number that costs the kernel nothing.
func probe(conn *nfnl.Conn) error {
	var m nfnl.Messages
	m.Begin(getStatistics, 0, unix.AF_UNSPEC, "asking for the number of entries")
	err := conn.Request(&m)
	var refused *nfnl.MessageError
	if errors.As(err, &refused) && refused.Errno != unix.EPERM {
		return fmt.Errorf("this kernel can not list and delete tracked connections (CONFIG_NF_CT_NETLINK, module nf_conntrack_netlink): %w", err)
	}
	return err
}

// Close closes the Cleaner's socket.
func (c *Cleaner) Close() error { return c.conn.Close() }

// Clean deletes the UDP entries whose original destination one of stale names
// and whose replies come from an endpoint it does not allow, and counts them.
// The table is read at most once per IP family.
func (c *Cleaner) Clean(ctx context.Context, stale []Stale) (deleted int, err error) {
	allowed := map[Destination]map[netip.AddrPort]bool{}
	for _, s := range stale {
		if s.Protocol != model.UDP {
			continue
		}
		for _, addr := range s.Addrs {
			to := Destination{s.Protocol, netip.AddrPortFrom(addr, s.Port)}
			if allowed[to] == nil {
				allowed[to] = map[netip.AddrPort]bool{}
			}
			for _, endpoint := range s.Allowed {
				allowed[to][endpoint] = true
			}
		}
	}
	return c.delete(ctx, passes(allowed), func(model.Protocol) uint32 { return 0 }, func(e entry) bool {
		endpoints, concerned := allowed[e.sentTo]
		return concerned && !endpoints[e.answering]
	})
}

// CleanUntranslated deletes entries to destinations that went through before
// the destination was programmed and so are not translated, and counts them.
// TCP and SCTP entries that were ever answered stay.
func (c *Cleaner) CleanUntranslated(ctx context.Context, to []Destination) (deleted int, err error) {
	wanted := make(map[Destination]bool, len(to))
	for _, d := range to {
		wanted[d] = true
	}
	return c.delete(ctx, passes(wanted), spared, func(e entry) bool {
		return wanted[e.sentTo] && e.status&spared(e.sentTo.Protocol) == 0
	})
}

// spared are the bits in an entry's status that keep CleanUntranslated off.
func spared(protocol model.Protocol) uint32 {
	if protocol == model.UDP {
		return statusTranslated
	}
	return statusTranslated | statusSeenReply
}

// pass is one reading of the table.
type pass struct {
	family   model.Family
	protocol model.Protocol
}

// passes groups destinations into readings; the value is the only address a
// reading is about, or the zero Addr if there are several.
func passes[V any](destinations map[Destination]V) map[pass]netip.Addr {
	all := map[pass]netip.Addr{}
	for d := range destinations {
		p := pass{model.FamilyOf(d.Addr.Addr()), d.Protocol}
		if only, seen := all[p]; seen && only != d.Addr.Addr() {
			all[p] = netip.Addr{}
		} else {
			all[p] = d.Addr.Addr()
		}
	}
	return all
}

func (c *Cleaner) delete(
	ctx context.Context, passes map[pass]netip.Addr, without func(model.Protocol) uint32, doomed func(entry) bool,
) (deleted int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, only := range passes {
		if err := ctx.Err(); err != nil {
			return deleted, err
		}
		n, err := c.deleteIn(p, only, without(p.protocol), doomed)
		deleted += n
		if err != nil {
			return deleted, fmt.Errorf("conntrack: deleting %s %s entries: %w", p.family, p.protocol, err)
		}
	}
	return deleted, nil
}

func (c *Cleaner) deleteIn(p pass, only netip.Addr, without uint32, doomed func(entry) bool) (int, error) {
	family := uint8(unix.AF_INET)
	if p.family == model.IPv6 {
		family = unix.AF_INET6
	}
	var list nfnl.Messages
	list.Begin(getEntry, 0, family, "listing entries")
	appendFilter(&list, p.protocol, only, without)
	var found []map[uint16][]byte
	err := c.conn.Dump(&list, func() { found = nil }, func(_ uint8, a nfnl.Attributes) {
		if doomed(parseEntry(a)) {
			found = append(found, identity(a))
		}
	})
	if err != nil {
		return 0, err
	}
	return c.conn.RequestEach(len(found), func(m *nfnl.Messages, i int) {
		m.Begin(deleteEntry, 0, family, "deleting an entry")
		for kind, value := range found[i] {
			if kind == ctaOriginal {
				kind |= unix.NLA_F_NESTED
			}
			m.Bytes(kind, value)
		}
	})
}

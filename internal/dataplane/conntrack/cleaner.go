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
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

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

// Clean deletes the entries whose original destination one of stale names and
// whose replies come from an endpoint it does not allow, and counts them.
func (c *Cleaner) Clean(ctx context.Context, stale []Stale) (deleted int, err error) {
	return c.Sweep(ctx, Sweep{Stale: stale})
}

// CleanUntranslated deletes entries to destinations that went through before
// the destination was programmed and so are not translated, and counts them.
// TCP and SCTP entries that were ever answered stay.
func (c *Cleaner) CleanUntranslated(ctx context.Context, to []Destination) (deleted int, err error) {
	return c.Sweep(ctx, Sweep{Untranslated: to})
}

// Sweep deletes what it is told to and counts it. However much that is, it
// takes at most two walks through the table for each IP family.
func (c *Cleaner) Sweep(ctx context.Context, what Sweep) (deleted int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for g, part := range what.selection().groups() {
		if err := ctx.Err(); err != nil {
			return deleted, err
		}
		n, err := c.walk(g, part, what.newer)
		deleted += n
		if err != nil {
			return deleted, fmt.Errorf("conntrack: deleting %s entries: %w", g.family, err)
		}
	}
	return deleted, nil
}

// walk lists entries and deletes those that are not wanted. Between the two one
// may lead to an endpoint that came a moment ago; newer knows of that. One may
// also be answered: the kernel deletes by tuple and id whatever the state, and
// its conditional deletion is a walk of its own for each. So a handshake with an
// endpoint that is neither ready nor serving, and answers all the same within
// those milliseconds, is lost.
func (c *Cleaner) walk(g group, wanted selection, newer func() []Stale) (deleted int, err error) {
	family := familyNumber(g.family)
	var list nfnl.Messages
	list.Begin(getEntry, 0, family, "listing entries")
	wanted.filter(g).append(&list)
	var found []doomed
	err = c.conn.Dump(&list, func() { found = nil }, func(_ uint8, a nfnl.Attributes) {
		if e := parseEntry(a); wanted.doomed(e) {
			found = append(found, doomed{e, identify(a)})
		}
	})
	if err != nil {
		return 0, err
	}
	if newer != nil && len(found) > 0 {
		since := Sweep{Stale: newer()}.selection()
		found = slices.DeleteFunc(found, func(d doomed) bool { return since.spares(d.entry) })
	}
	return c.conn.RequestEach(len(found), func(m *nfnl.Messages, i int) {
		m.Begin(deleteEntry, 0, family, "deleting an entry")
		found[i].append(m)
	})
}

// doomed is an entry that is to be deleted.
type doomed struct {
	entry
	identity
}

func familyNumber(family model.Family) uint8 {
	if family == model.IPv6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

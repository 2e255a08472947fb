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

package nft

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// Watcher notices when someone else changes one of our tables: a firewall that
// flushes the whole ruleset, or an administrator.
type Watcher struct{ listener *nfnl.Listener }

// Watch listens in the network namespace of the calling thread to all but
// tables, whose own changes are no news. Open a new one with a new Table.
func Watch(tables ...*Table) (*Watcher, error) {
	var ports []uint32
	for _, t := range tables {
		port, err := t.conn.Port()
		if err != nil {
			return nil, fmt.Errorf("nftables: watching for changes: %w", err)
		}
		ports = append(ports, port)
	}
	listener, err := nfnl.Listen(unix.NFNLGRP_NFTABLES, ports)
	if err != nil {
		return nil, fmt.Errorf("nftables: watching for changes: %w", err)
	}
	return &Watcher{listener}, nil
}

// Close ends the Watcher.
func (w *Watcher) Close() error { return w.listener.Close() }

// Run calls changed with the family of each foreign change to our tables,
// several times for one transaction, until ctx is done. When notifications
// were lost it calls it with both families. changed must not block: the
// remedy, a FullSync, belongs to whoever drives the Table.
func (w *Watcher) Run(ctx context.Context, changed func(model.Family)) error {
	families := map[uint8]model.Family{unix.NFPROTO_IPV4: model.IPv4, unix.NFPROTO_IPV6: model.IPv6}
	for {
		err := w.listener.Receive(ctx, func(_ uint16, number uint8, a nfnl.Attributes) {
			// Of every kind of notification, the table's name is attribute 1.
			if family, ok := families[number]; ok && a.String(unix.NFTA_TABLE_NAME) == ruleset.TableName {
				changed(family)
			}
		})
		switch {
		case errors.Is(err, nfnl.ErrOverrun):
			changed(model.IPv4)
			changed(model.IPv6)
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("nftables: watching for changes: %w", err)
		}
	}
}

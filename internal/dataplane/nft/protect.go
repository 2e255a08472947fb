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
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// Flags of a table, and the attribute that names its owner's socket.
const (
	flagOwner   = 1 << 1 // Linux 5.12
	flagPersist = 1 << 2 // Linux 6.9

	tableOwner = 7

	// protection lets only the socket that set it change the table, and keeps
	// the table when that socket is closed. An owner without persist would take
	// all Services down with the agent, so it is both or none.
	protection = flagOwner | flagPersist
)

// canProtect asks the kernel for a protected table that is never committed.
func canProtect(conn *nfnl.Conn, schema *ruleset.Schema) (bool, error) {
	w := newWriter(schema)
	w.table = ruleset.TableName + "-probe"
	w.flags = protection
	w.newTable(unix.NLM_F_EXCL)
	err := conn.Rehearse(unix.NFNL_SUBSYS_NFTABLES, &w.Messages)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return false, nil
	}
	return err == nil, err
}

// Protected says whether the table is one that only this process can change:
// Options asked for it and the kernel can (Linux 6.9).
func (t *Table) Protected() bool { return t.flags == protection }

// usable says whether a table that is not another's can be kept with the flags
// it has: they are the wanted ones, or become so by taking it over.
//
// The kernel lets no one add or remove persist, so that a change of the
// protection replaces the table.
func (t *Table) usable(flags uint32) bool { return flags == t.flags || t.orphaned(flags) }

// orphaned is true for a protected table whose owner is gone and that this
// Table is to own.
func (t *Table) orphaned(flags uint32) bool { return t.Protected() && flags == flagPersist }

// takeOver makes an orphaned table ours, with all that it holds.
func (t *Table) takeOver() error {
	w := newWriter(t.schema)
	w.flags = t.flags
	w.newTable(0)
	return t.conn.Commit(unix.NFNL_SUBSYS_NFTABLES, &w.Messages)
}

// OwnedError means that a living socket, of another process most likely, owns
// the table and so only it can change it.
type OwnedError struct {
	// Table is the family's keyword and the name.
	Table string
	Owner Owner
}

func (e *OwnedError) Error() string {
	return fmt.Sprintf("table %s is protected by %s, only that can change it: stop it first", e.Table, e.Owner)
}

// Unwrap is what the kernel says of it.
func (e *OwnedError) Unwrap() error { return unix.EPERM }

// checkOwner returns an *OwnedError if someone else owns the table.
func (l lister) checkOwner(found tableState) error {
	own, err := l.conn.Port()
	if err != nil {
		return err
	}
	if found.owner == 0 || found.owner == own {
		return nil
	}
	return &OwnedError{Table: l.schema.Title(), Owner: findOwner(found.owner)}
}

// explain tells why the kernel permitted no change: to it, a missing capability
// and a table of someone else are the same.
func (l lister) explain(refused error) error {
	var owned *OwnedError
	if !errors.Is(refused, unix.EPERM) || errors.As(refused, &owned) {
		return refused
	}
	found, err := l.table()
	if err != nil {
		return refused
	}
	if err := l.checkOwner(found); err != nil {
		return err
	}
	return refused
}

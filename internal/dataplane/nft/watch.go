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
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
	"switchyard.dev/switchyard/internal/netns"
)

// reopenPause is how long a Watcher waits before it opens its socket again.
const reopenPause = time.Second

// Watcher notices when someone else changes one of our tables: a firewall that
// flushes the whole ruleset, or an administrator.
//
// It polls nothing. The kernel's generation counter is one for all tables of a
// namespace, so it can not tell a change of ours from anybody's; and whenever
// the kernel drops a notification, the next reading says so.
type Watcher struct {
	home     *netns.Namespace
	listen   func() (listener, error)
	listener listener
	// tables are those that are repaired, by family.
	tables map[model.Family]*Table
}

// listener is a *nfnl.Listener.
type listener interface {
	Receive(ctx context.Context, handle func(kind uint16, family uint8, a nfnl.Attributes)) error
	Close() error
}

// Watch listens in the network namespace of the calling thread to all but
// tables, whose own changes are no news. Open a new one with a new Table.
func Watch(tables ...*Table) (*Watcher, error) {
	w, err := watch(tables)
	if err != nil {
		return nil, fmt.Errorf("nftables: watching for changes: %w", err)
	}
	return w, nil
}

func watch(tables []*Table) (*Watcher, error) {
	var ports []uint32
	byFamily := map[model.Family]*Table{}
	for _, t := range tables {
		byFamily[t.schema.Family] = t
		port, err := t.conn.Port()
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	home, err := netns.Current()
	if err != nil {
		return nil, err
	}
	w := &Watcher{home: home, tables: byFamily}
	w.listen = func() (l listener, err error) {
		err = within(home, func() (err error) {
			l, err = nfnl.Listen(unix.NFNLGRP_NFTABLES, ports)
			return err
		})
		return l, err
	}
	if w.listener, err = w.listen(); err != nil {
		_ = home.Close()
		return nil, err
	}
	return w, nil
}

// within runs fn in a namespace. To enter one takes CAP_SYS_ADMIN, which the
// agent, at home in its only one, need not have.
func within(home *netns.Namespace, fn func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var here, there unix.Stat_t
	if unix.Stat("/proc/thread-self/ns/net", &here) == nil && unix.Fstat(home.Fd(), &there) == nil &&
		here.Dev == there.Dev && here.Ino == there.Ino {
		return fn()
	}
	return home.Do(fn)
}

// repairTook is how long the last comparison of the family's table took.
func (w *Watcher) repairTook(family model.Family) time.Duration {
	if t := w.tables[family]; t != nil {
		return time.Duration(t.compared.Load())
	}
	return 0
}

// Close frees what the Watcher holds, once Run has ended.
func (w *Watcher) Close() error {
	err := errors.Join(w.listener.Close(), w.home.Close())
	if errors.Is(err, os.ErrClosed) { // Run has closed it
		return nil
	}
	return err
}

// Run calls changed with the family of each foreign change to our tables, once
// for a transaction and at once, but not more often than a repair may cost
// when they do not end. Where changes may have been missed, it calls it with
// both families. It ends with ctx, and only then. changed must not block: the
// remedy, a FullSync, belongs to whoever drives the Table.
func (w *Watcher) Run(ctx context.Context, changed func(model.Family)) error {
	news := newNews(ctx, w.repairTook, changed)
	for ctx.Err() == nil {
		err := w.listener.Receive(ctx, news.take)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, nfnl.ErrOverrun):
			news.missed()
		case err != nil:
			log.FromContext(ctx).Error(err, "The kernel stopped telling what others do to our tables, listening anew")
			w.reopen(ctx)
			news.missed()
		}
	}
	return nil
}

// reopen goes on until there is a socket or ctx ends.
func (w *Watcher) reopen(ctx context.Context) {
	_ = w.listener.Close()
	for ctx.Err() == nil {
		fresh, err := w.listen()
		if err == nil {
			w.listener = fresh
			return
		}
		log.FromContext(ctx).Error(err, "Can not listen to what others do to our tables, will try again")
		select {
		case <-ctx.Done():
		case <-time.After(reopenPause):
		}
	}
}

// news gathers the notifications of one transaction.
type news struct {
	ctx   context.Context
	bells map[model.Family]*bell
	// touched are the families of which the current transaction has told.
	touched map[model.Family]bool
}

func newNews(ctx context.Context, repair func(model.Family) time.Duration, changed func(model.Family)) *news {
	n := &news{ctx: ctx, bells: map[model.Family]*bell{}, touched: map[model.Family]bool{}}
	for _, family := range []model.Family{model.IPv4, model.IPv6} {
		n.bells[family] = newBell(func() time.Duration { return repair(family) }, func() { changed(family) })
	}
	return n
}

// take reads one notification. Of every kind but the last of a transaction, the
// table's name is attribute 1.
func (n *news) take(kind uint16, number uint8, a nfnl.Attributes) {
	families := [...]model.Family{unix.NFPROTO_IPV4: model.IPv4, unix.NFPROTO_IPV6: model.IPv6}
	switch {
	case kind == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN:
		n.tell(a)
	case int(number) < len(families) && families[number] != 0 && string(a.Get(unix.NFTA_TABLE_NAME)) == ruleset.TableName+"\x00":
		n.touched[families[number]] = true
	}
}

// tell rings for the families that a transaction touched, now that it has
// ended; the kernel says who made it.
func (n *news) tell(transaction nfnl.Attributes) {
	for family := range n.touched {
		if n.bells[family].press(n.ctx) {
			log.FromContext(n.ctx).Info("Someone else changed our table, repairing it", "family", family.String(),
				"by", transaction.String(unix.NFTA_GEN_PROC_NAME), "process", transaction.Uint32(unix.NFTA_GEN_PROC_PID))
		}
	}
	clear(n.touched)
}

// missed rings for all.
func (n *news) missed() {
	clear(n.touched)
	for _, b := range n.bells {
		b.press(n.ctx)
	}
}

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
	"slices"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// Cleanup removes our table from each family, in the network namespace of the
// calling thread. That it is not there is success; a table that a living
// process protects is an *OwnedError.
//
// Another program may serve in our place by now, and no connection may be lost
// between the two. So first our hooks leave new connections to it, but for the
// one that gives what we translated the node's address, which only it can; and
// nothing is deleted that a packet may be in.
func Cleanup(ctx context.Context, families []model.Family) error {
	conn, err := nfnl.Dial()
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	defer func() { _ = conn.Close() }()
	var failed []error
	for _, family := range families {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(failed, err)...)
		}
		l := lister{conn, ruleset.NewSchema(family, policy.Features{})}
		if err := l.removeTables(); err != nil {
			failed = append(failed, fmt.Errorf("nftables %s: removing the table: %w", family, l.explain(err)))
		}
	}
	return errors.Join(failed...)
}

// removeTables removes the table and the stand-in, in three steps with a pause
// between them.
func (l lister) removeTables() error {
	both := []lister{l, {l.conn, l.schema.StandIn()}}
	isLast := func(hook string) bool { return hook == lastHook }
	for _, step := range []func(w *writer, hooks []string){
		func(w *writer, hooks []string) { w.emptyChains(slices.DeleteFunc(hooks, isLast)) },
		func(w *writer, hooks []string) { w.emptyChains(hooks) },
		func(w *writer, _ []string) { w.removeTable() },
	} {
		for _, table := range both {
			hooks, err := table.hooks()
			if err != nil {
				return err
			}
			w := newWriter(table.schema)
			if step(w, hooks); w.Len() == 0 {
				continue
			}
			if err := l.conn.Commit(unix.NFNL_SUBSYS_NFTABLES, &w.Messages); err != nil {
				return err
			}
		}
		Settle()
	}
	return nil
}

// lastHook is the hook that packets pass behind all others.
const lastHook = "nat-postrouting"

func (w *writer) emptyChains(names []string) {
	for _, name := range names {
		w.emptyChain(name)
	}
}

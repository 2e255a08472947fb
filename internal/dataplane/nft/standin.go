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
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// replace writes the table anew in place of another one, while a stand-in
// serves.
//
// To delete the one and add the other in a single transaction would lose packets
// that other processors are working on at that moment. A new hook comes before an
// old one of the same priority as soon as it is written, and its rules count from
// the commit on: a packet may pass the new chain before the commit and the old
// one after it, and meet the rules of neither. And a packet that is in the middle
// of the old chain at the commit no longer finds the elements of the old maps
// (since Linux 6.9), so it draws no endpoint and is dropped.
//
// With a stand-in, whose hooks come after those of both, only chains that no
// packet needs are emptied, and only tables that no packet is in are deleted. A
// table whose hooks are empty needs none: either a stand-in serves already,
// because a replacement was cut short, or nothing does. While a stand-in serves, the
// hooks of the table get their rules last: were they there before the elements, who
// goes on after a replacement was cut short would take such a table for the one that
// serves, and write the stand-in anew, which does.
func (t *Table) replace(ctx context.Context, found *tableState, node policy.Node, desired []policy.Decision) (Result, error) {
	hooks, err := lister{t.conn, t.schema}.hooks()
	if err != nil {
		return Result{}, err
	}
	var before Result
	if len(hooks) > 0 {
		if err := t.writeStandIn(ctx, node, desired, &before); err != nil {
			return before, err
		}
		found.standIn = true
		if err := t.retire(t.schema, hooks, &before); err != nil {
			return before, err
		}
	}
	where := inPlace
	if found.standIn {
		where = beforeStandIn
	}
	result, err := t.create(ctx, node, desired, where)
	result.Transactions += before.Transactions
	return result, err
}

// writeStandIn writes the same table under another name, behind ours.
func (t *Table) writeStandIn(ctx context.Context, node policy.Node, desired []policy.Decision, result *Result) error {
	schema := t.schema.StandIn()
	s := &Table{
		schema: schema, limit: t.limit, flags: t.flags, conn: t.conn, writer: newWriter(schema),
		planner:      ruleset.Planner{Features: t.planner.Features},
		untranslated: map[conntrack.Destination]struct{}{}, gone: map[conntrack.Destination]struct{}{},
	}
	_, err := s.write(ctx, node, desired, inPlace, result)
	return err
}

// dismissStandIn removes the stand-in, now that the table itself is complete.
func (t *Table) dismissStandIn(result *Result) error {
	schema := t.schema.StandIn()
	hooks, err := lister{t.conn, schema}.hooks()
	if err != nil {
		return err
	}
	if err := t.retire(schema, hooks, result); err != nil {
		return err
	}
	w := newWriter(schema)
	w.removeTable()
	result.Transactions++
	return t.conn.Commit(unix.NFNL_SUBSYS_NFTABLES, &w.Messages)
}

// retire empties the hooks of a table, so that no packet enters it any more, and
// waits for those that are in it.
func (t *Table) retire(schema *ruleset.Schema, hooks []string, result *Result) error {
	Settle() // all packets pass the table that takes over
	w := newWriter(schema)
	for _, chain := range hooks {
		w.emptyChain(chain)
	}
	if len(hooks) > 0 {
		result.Transactions++
		if err := t.conn.Commit(unix.NFNL_SUBSYS_NFTABLES, &w.Messages); err != nil {
			return err
		}
	}
	Settle()
	return nil
}

// emptyChain deletes all rules of a chain.
func (w *writer) emptyChain(name string) {
	w.begin(unix.NFT_MSG_DELRULE, 0, "emptying chain %s", name)
	w.String(unix.NFTA_RULE_TABLE, w.table)
	w.String(unix.NFTA_RULE_CHAIN, name)
}

// hooks are the base chains that have rules.
func (l lister) hooks() ([]string, error) {
	chains, err := l.chains()
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	err = l.dump(unix.NFT_MSG_GETRULE, "listing rules", nil, func() { clear(found) }, func(a nfnl.Attributes) {
		if name := a.String(unix.NFTA_RULE_CHAIN); chains[name].Get(unix.NFTA_CHAIN_HOOK) != nil {
			found[name] = true
		}
	})
	return slices.Sorted(maps.Keys(found)), err
}

// Settle waits until every packet that was in a hook has left it. Packets pass
// hooks as readers of RCU, and the kernel waits for all of those before it
// answers. Where it may not be asked, no packet takes as long as the pause.
func Settle() {
	const global = 1 // MEMBARRIER_CMD_GLOBAL
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0); errno != 0 {
		time.Sleep(100 * time.Millisecond)
	}
}

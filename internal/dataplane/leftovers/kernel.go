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

package leftovers

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// firstChain is where our table's translation begins. It has no rules while
// another one takes its place.
const firstChain = "nat-prerouting"

// kernel reads and writes the nftables of the calling thread's network namespace.
type kernel struct {
	conn *nfnl.Conn
	// limit is about how many bytes a transaction may have.
	limit int
}

func protocol(f model.Family) uint8 {
	if f == model.IPv4 {
		return unix.NFPROTO_IPV4
	}
	return unix.NFPROTO_IPV6
}

// dump reads everything of one kind in a family.
func (k kernel) dump(f model.Family, command uint16, about string, restart func(), each func(nfnl.Attributes)) error {
	var m nfnl.Messages
	m.Begin(unix.NFNL_SUBSYS_NFTABLES<<8|command, 0, protocol(f), about)
	return k.conn.Dump(&m, restart, func(_ uint8, a nfnl.Attributes) { each(a) })
}

// read lists what a family has.
func (k kernel) read(f model.Family) (state, error) {
	var s state
	hooked := map[place]bool{}
	err := k.dump(f, unix.NFT_MSG_GETTABLE, "listing tables", func() { s.tables = nil }, func(a nfnl.Attributes) {
		s.tables = append(s.tables, a.String(unix.NFTA_TABLE_NAME))
	})
	if err != nil {
		return s, err
	}
	err = k.dump(f, unix.NFT_MSG_GETCHAIN, "listing chains", func() { s.chains = nil; clear(hooked) }, func(a nfnl.Attributes) {
		at := place{a.String(unix.NFTA_CHAIN_TABLE), a.String(unix.NFTA_CHAIN_NAME)}
		hook := a.Nested(unix.NFTA_CHAIN_HOOK)
		if at.table == ruleset.TableName {
			hooked[at] = hook != nil
		} else if concerns(at.table) {
			const postrouting = 4 // NF_INET_POST_ROUTING
			s.chains = append(s.chains, chain{place: at, base: hook != nil, last: hook != nil && hook.Uint32(unix.NFTA_HOOK_HOOKNUM) == postrouting})
		}
	})
	if err != nil {
		return s, err
	}
	err = k.dump(f, unix.NFT_MSG_GETRULE, "listing rules", func() { s.rules, s.serves = nil, false }, func(a nfnl.Attributes) {
		at := place{a.String(unix.NFTA_RULE_TABLE), a.String(unix.NFTA_RULE_CHAIN)}
		if hooked[at] && at.chain == firstChain {
			s.serves = true
		}
		if concerns(at.table) {
			s.rules = append(s.rules, rule{place: at, handle: a.Uint64(unix.NFTA_RULE_HANDLE), target: target(a)})
		}
	})
	return s, err
}

func concerns(table string) bool { return table == proxyTable || iptablesTables[table] }

// target is the chain that a rule jumps or goes to; lists of expressions end
// with the verdict.
func target(a nfnl.Attributes) (chain string) {
	for _, e := range a.Nested(unix.NFTA_RULE_EXPRESSIONS).All() {
		expression := nfnl.Attributes(e)
		if expression.String(unix.NFTA_EXPR_NAME) != "immediate" {
			continue
		}
		verdict := expression.Nested(unix.NFTA_EXPR_DATA).Nested(unix.NFTA_IMMEDIATE_DATA).Nested(unix.NFTA_DATA_VERDICT)
		if verdict != nil {
			chain = verdict.String(unix.NFTA_VERDICT_CHAIN)
		}
	}
	return chain
}

// remove carries out edits in their order, in as few transactions as possible,
// and says how many are done.
func (k kernel) remove(f model.Family, edits []edit) (done int, err error) {
	var m nfnl.Messages
	for i, e := range edits {
		encode(&m, f, e)
		if m.Size() < k.limit && i < len(edits)-1 {
			continue
		}
		if err := k.conn.Commit(unix.NFNL_SUBSYS_NFTABLES, &m); err != nil {
			return done, err
		}
		m.Reset()
		done = i + 1
	}
	return done, nil
}

func encode(m *nfnl.Messages, f model.Family, e edit) {
	begin := func(command uint16, about string) {
		m.Begin(unix.NFNL_SUBSYS_NFTABLES<<8|command, 0, protocol(f), fmt.Sprintf("%s %s %s", about, e.table, e.chain))
	}
	switch e.what {
	case removeRule:
		begin(unix.NFT_MSG_DELRULE, "deleting a rule of")
		m.String(unix.NFTA_RULE_TABLE, e.table)
		m.String(unix.NFTA_RULE_CHAIN, e.chain)
		m.Bytes(unix.NFTA_RULE_HANDLE, binary.BigEndian.AppendUint64(nil, e.handle))
	case removeRules:
		begin(unix.NFT_MSG_DELRULE, "emptying")
		m.String(unix.NFTA_RULE_TABLE, e.table)
		m.String(unix.NFTA_RULE_CHAIN, e.chain)
	case removeChain:
		begin(unix.NFT_MSG_DELCHAIN, "deleting")
		m.String(unix.NFTA_CHAIN_TABLE, e.table)
		m.String(unix.NFTA_CHAIN_NAME, e.chain)
	case removeTable:
		begin(unix.NFT_MSG_DELTABLE, "deleting table")
		m.String(unix.NFTA_TABLE_NAME, e.table)
	}
}

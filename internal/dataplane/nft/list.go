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
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// lister reads one table from the kernel.
type lister struct {
	conn   *nfnl.Conn
	schema *ruleset.Schema
}

// dump reads what our table has of one kind. Of every kind, the table's name
// is attribute 1.
func (l lister) dump(command uint16, about string, more func(*nfnl.Messages), restart func(), each func(nfnl.Attributes)) error {
	const table = unix.NFTA_TABLE_NAME
	var m nfnl.Messages
	m.Begin(unix.NFNL_SUBSYS_NFTABLES<<8|command, 0, protocolFamily(l.schema.Family), about)
	m.String(table, l.schema.Name)
	if more != nil {
		more(&m)
	}
	return l.conn.Dump(&m, restart, func(_ uint8, a nfnl.Attributes) {
		if a.String(table) == l.schema.Name {
			each(a)
		}
	})
}

// tableState is what the kernel says of the table itself.
type tableState struct {
	exists bool
	// declared is true if the table has our comment.
	declared bool
	flags    uint32
	// owner is the port of the socket that owns the table, 0 for none.
	owner uint32
	// standIn is true if there is a stand-in, too.
	standIn bool
}

// table looks for a table of our name.
func (l lister) table() (tableState, error) {
	var found tableState
	var m nfnl.Messages
	m.Begin(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETTABLE, 0, protocolFamily(l.schema.Family), "listing tables")
	err := l.conn.Dump(&m, func() { found = tableState{} }, func(_ uint8, a nfnl.Attributes) {
		switch a.String(unix.NFTA_TABLE_NAME) {
		case ruleset.StandInName:
			found.standIn = true
		case l.schema.Name:
			found.exists = true
			found.declared = bytes.Equal(a.Get(tableUserdata), tableNotes(l.schema.Comment()))
			found.flags = a.Uint32(unix.NFTA_TABLE_FLAGS)
			found.owner = a.Uint32(tableOwner)
		}
	})
	return found, err
}

// matchesSchema says whether the table in the kernel has exactly our sets,
// chains and rules.
func (l lister) matchesSchema() (bool, error) {
	if same, err := l.setsMatch(); err != nil || !same {
		return false, err
	}
	held, err := l.chains()
	if err != nil {
		return false, err
	}
	wanted := l.schema.Chains
	for name := range held {
		if c := l.schema.Chain(name); c != nil && c.OnDemand {
			wanted = append(slices.Clip(wanted), *c)
		}
	}
	if !l.chainsMatch(held, wanted) {
		return false, nil
	}
	return l.rulesMatch(wanted)
}

func (l lister) setsMatch() (bool, error) {
	sets := map[string][]byte{}
	err := l.dump(unix.NFT_MSG_GETSET, "listing sets", nil, func() { clear(sets) },
		func(a nfnl.Attributes) { sets[a.String(unix.NFTA_SET_NAME)] = slices.Clone(a) })
	if err != nil || len(sets) != len(l.schema.Sets) {
		return false, err
	}
	for _, set := range l.schema.Sets {
		got := nfnl.Attributes(sets[set.Name])
		data := uint32(0)
		switch {
		case set.Verdicts:
			data = verdictSize
		case set.Data != nil:
			data = uint32(set.Data.Size(l.schema.Family))
		}
		if got == nil || got.Uint32(unix.NFTA_SET_FLAGS) != setFlags(set) || got.Uint32(unix.NFTA_SET_DATA_LEN) != data ||
			got.Nested(unix.NFTA_SET_DESC).Uint32(unix.NFTA_SET_DESC_SIZE) != set.Size ||
			got.Uint32(unix.NFTA_SET_KEY_LEN) != uint32(set.Key.Size(l.schema.Family)) {
			return false, nil
		}
	}
	return true, nil
}

// chains are the attributes of every chain, by name.
func (l lister) chains() (map[string]nfnl.Attributes, error) {
	chains := map[string]nfnl.Attributes{}
	err := l.dump(unix.NFT_MSG_GETCHAIN, "listing chains", nil, func() { clear(chains) },
		func(a nfnl.Attributes) { chains[a.String(unix.NFTA_CHAIN_NAME)] = slices.Clone(a) })
	return chains, err
}

func (l lister) chainsMatch(held map[string]nfnl.Attributes, wanted []ruleset.Chain) bool {
	return len(held) == len(wanted) && !slices.ContainsFunc(wanted, func(want ruleset.Chain) bool {
		return !l.within(func(w *writer) { w.chain(want) }, held[want.Name])
	})
}

func (l lister) rulesMatch(chains []ruleset.Chain) (bool, error) {
	rules := map[string][][]byte{}
	err := l.dump(unix.NFT_MSG_GETRULE, "listing rules", nil, func() { clear(rules) },
		func(a nfnl.Attributes) {
			chain := a.String(unix.NFTA_RULE_CHAIN)
			rules[chain] = append(rules[chain], slices.Clone(a))
		})
	if err != nil {
		return false, err
	}
	for _, c := range chains {
		if len(rules[c.Name]) != len(c.Rules) {
			return false, nil
		}
		for i, want := range c.Rules {
			if !l.within(func(w *writer) { w.rule(c.Name, want) }, rules[c.Name][i]) {
				return false, nil
			}
		}
	}
	return true, nil
}

// within says whether what the kernel lists has all that we would write. It
// lists more: handles and defaults.
func (l lister) within(write func(*writer), listed nfnl.Attributes) bool {
	w := newWriter(l.schema)
	write(w)
	return listed.Contain(w.LastAttributes(), unix.NFTA_LIST_ELEM)
}

// elements reads all elements of all our sets, but those that packets make,
// and the chains that are made when they are needed.
func (l lister) elements() (ruleset.Elements, error) {
	chains, err := l.chains()
	if err != nil {
		return nil, err
	}
	all := ruleset.Elements{}
	for name := range chains {
		// A foreign one may have come since matchesSchema; that is news, too.
		if c := l.schema.Chain(name); c != nil && c.OnDemand {
			all.Add(ruleset.Element{Set: ruleset.StickyChains, Key: name})
		}
	}
	for _, set := range l.schema.Sets {
		if set.Size > 0 {
			continue
		}
		list, err := l.elementsOf(set)
		if err != nil {
			return nil, err
		}
		all[set.Name] = list
	}
	return all, nil
}

func (l lister) elementsOf(set ruleset.Set) (map[string]string, error) {
	found := map[string]string{}
	var ends []string
	err := l.entries(set, func() { clear(found); ends = nil }, func(e nfnl.Attributes) {
		k := string(e.Nested(unix.NFTA_SET_ELEM_KEY).Get(unix.NFTA_DATA_VALUE))
		if e.Uint32(unix.NFTA_SET_ELEM_FLAGS)&unix.NFT_SET_ELEM_INTERVAL_END != 0 {
			ends = append(ends, k)
			return
		}
		if end := e.Nested(elementKeyEnd); end != nil {
			found[k] = string(end.Get(unix.NFTA_DATA_VALUE))
			return
		}
		found[k] = elementData(e.Nested(unix.NFTA_SET_ELEM_DATA))
	})
	if errors.Is(err, unix.ENOENT) {
		return found, nil
	}
	if set.Interval && !set.IsConcatRange() {
		closeRanges(found, ends)
	}
	return found, err
}

// entries reads the attributes of every element of a set.
func (l lister) entries(set ruleset.Set, restart func(), each func(nfnl.Attributes)) error {
	return l.dump(unix.NFT_MSG_GETSETELEM, "listing elements of "+set.Name,
		func(m *nfnl.Messages) { m.String(unix.NFTA_SET_ELEM_LIST_SET, set.Name) }, restart,
		func(a nfnl.Attributes) {
			for _, entry := range a.Nested(unix.NFTA_SET_ELEM_LIST_ELEMENTS).All() {
				each(entry)
			}
		})
}

func elementData(data nfnl.Attributes) string {
	if v := data.Nested(unix.NFTA_DATA_VERDICT); v != nil {
		if code := v.Get(unix.NFTA_VERDICT_CODE); len(code) == 4 && int32(binary.BigEndian.Uint32(code)) != unix.NFT_GOTO {
			return fmt.Sprintf("verdict %x", code) // a foreign hand's; compares unequal to all of ours
		}
		return v.String(unix.NFTA_VERDICT_CHAIN)
	}
	return string(data.Get(unix.NFTA_DATA_VALUE))
}

// closeRanges gives each range the end that follows its beginning.
func closeRanges(found map[string]string, ends []string) {
	slices.Sort(ends)
	for first := range found {
		at, _ := slices.BinarySearchFunc(ends, first, func(end, first string) int {
			if end <= first {
				return -1
			}
			return 1
		})
		if at < len(ends) {
			found[first] = strings.Clone(ends[at])
		}
	}
}
